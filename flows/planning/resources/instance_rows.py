"""The rows of instances in Postgres, with their flows and edges."""

from collections.abc import Callable, Sequence

from definitions.contract import FlowKind
from flows.integrations.services import Services
from flows.planning.resources.resource import DesiredState, Proposal
from flows.reading.server_clock import server_now
from instances.plans.plan import Action, Step, compare
from instances.storage.row_fields import desired_row, without_flows


class Rows:
    """All rows are written in one transaction, and deleted in one."""

    kind = "instance"

    async def plan(self, state: DesiredState, services: Services) -> Proposal:
        desired = {instance.spec.name: desired_row(instance) for instance in state.instances}
        actual = without_flows(state.record.rows, state.surplus_flows)
        steps = compare(self.kind, desired, actual, deleted=state.deleted)
        return Proposal(steps, tuple(services.writer.problems(state.instances)))

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, services: Services, done: Callable[[Step], None]
    ) -> None:
        writer = services.writer
        written = {step.name for step in steps if step.action is not Action.DELETE}
        if written:
            saved = [instance for instance in state.instances if instance.spec.name in written]
            writer.save(saved, await server_now(services.prefect))
        deleted = [step.name for step in steps if step.action is Action.DELETE]
        if deleted:
            writer.remove(deleted)
        for step in steps:
            done(step)


class Flows:
    """Flows on record that the definitions call for no more; those that are called for come with their rows."""

    kind = "flow"

    async def plan(self, state: DesiredState, services: Services) -> Proposal:
        surplus = [f"{name}.{kind}" for name, kind in state.surplus_flows]
        return Proposal(compare(self.kind, {}, {name: {} for name in surplus}, deleted=surplus))

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, services: Services, done: Callable[[Step], None]
    ) -> None:
        keys = [step.name.partition(".") for step in steps]
        services.writer.remove_flows([(name, FlowKind(kind)) for name, _, kind in keys])
        for step in steps:
            done(step)
