"""The rows of instances in Postgres, with their flows and edges."""

from collections.abc import Callable, Sequence

from definitions.contract import FlowKind
from flows.planning.resources.resource import DesiredState, Proposal, Tools
from flows.reading.server_clock import server_now
from instances.plans.plan import Action, Step, compare
from instances.storage.row_fields import desired_row, recorded_rows, without_flows


class Rows:
    """All rows are written in one transaction, and deleted in one."""

    kind = "instance"

    async def plan(self, state: DesiredState, tools: Tools) -> Proposal:
        desired = {instance.spec.name: desired_row(instance) for instance in state.instances}
        actual = without_flows(recorded_rows(tools.services.engine), surplus_flows(state, tools))
        steps = compare(self.kind, desired, actual, deleted=state.deleted)
        return Proposal(steps, tuple(tools.services.writer.problems(state.instances)))

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, tools: Tools, done: Callable[[Step], None]
    ) -> None:
        writer = tools.services.writer
        written = {step.name for step in steps if step.action is not Action.DELETE}
        if written:
            saved = [instance for instance in state.instances if instance.spec.name in written]
            writer.save(saved, await server_now(tools.client))
        deleted = [step.name for step in steps if step.action is Action.DELETE]
        if deleted:
            writer.remove(deleted)
        for step in steps:
            done(step)


class Flows:
    """Flows on record that the definitions call for no more; those that are called for come with their rows."""

    kind = "flow"

    async def plan(self, state: DesiredState, tools: Tools) -> Proposal:
        surplus = [f"{name}.{kind}" for name, kind in surplus_flows(state, tools)]
        return Proposal(compare(self.kind, {}, {name: {} for name in surplus}, deleted=surplus))

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, tools: Tools, done: Callable[[Step], None]
    ) -> None:
        keys = [step.name.partition(".") for step in steps]
        tools.services.writer.remove_flows([(name, FlowKind(kind)) for name, _, kind in keys])
        for step in steps:
            done(step)


def surplus_flows(state: DesiredState, tools: Tools) -> list[tuple[str, FlowKind]]:
    """Return the flows on record that instances which stay do not have any more."""
    called_for = {flow.key for instance in state.instances for flow in instance.flows}
    staying = [instance.spec.name for instance in state.instances]
    on_record = [(flow.instance, flow.kind) for flow in tools.services.repository.flows(instances=staying)]
    return [key for key in on_record if key not in called_for]
