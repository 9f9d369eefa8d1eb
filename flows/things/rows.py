"""The rows of instances in Postgres, with their flows and edges."""

from collections.abc import Callable, Sequence

from flows.things.base import Tools, Wanted
from instances.plan import Action, Step, compare
from instances.rowplan import rows_on_record, wanted_row


class Rows:
    """All rows are written in one transaction, and deleted in one."""

    kind = "instance"

    async def problems(self, wanted: Wanted, tools: Tools) -> list[str]:
        return tools.services.writer.problems(wanted.instances)

    async def plan(self, wanted: Wanted, tools: Tools) -> tuple[Step, ...]:
        desired = {instance.spec.name: wanted_row(instance) for instance in wanted.instances}
        return compare(self.kind, desired, rows_on_record(tools.services.engine), gone=wanted.gone)

    async def apply(self, steps: Sequence[Step], wanted: Wanted, tools: Tools, done: Callable[[Step], None]) -> None:
        writer = tools.services.writer
        written = {step.name for step in steps if step.action is not Action.DELETE}
        if written:
            writer.save([instance for instance in wanted.instances if instance.spec.name in written])
        deleted = [step.name for step in steps if step.action is Action.DELETE]
        if deleted:
            writer.remove(deleted)
        for step in steps:
            done(step)
