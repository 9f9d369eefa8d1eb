"""Bootstrap: makes the world match the instance blocks."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from prefect import State, flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.states import Failed

from definitions.markdown_table import Code, markdown_table
from flows.drawing.lineage_layout import lay_out_lineage
from flows.drawing.lineage_svg import save_lineage
from flows.integrations.services import opened
from flows.planning.planner import BOOTSTRAP, apply_plan, make_plan, storage_of_bootstrap
from flows.planning.scope import Scope
from flows.reading.status_reader import aggregation_of, read_all_flows
from flows.running.frame import FORESEEN
from flows.running.run_names import housekeeping_name
from instances.errors import held_text
from instances.plans.plan import Action, Change, Plan, Step
from instances.plans.plan_text import change_text, changes_to_print, step_text


@dataclass(frozen=True)
class BootstrapResult:
    """How many resources bootstrap made, changed, deleted, and left as they were."""

    created: int
    updated: int
    deleted: int
    unchanged: int


@flow(name=BOOTSTRAP, flow_run_name=housekeeping_name, persist_result=False)
async def bootstrap(prune: bool = False) -> BootstrapResult | State[None]:
    """Plan what must change so that the world matches the blocks, keep the plan as an artifact, and apply it.

    What it leaves is drawn as the artifact `lineage`.

    Where something is wrong with an instance, that one is left out with all that reads it: the rest is applied, and
    the run fails in the end, with all problems. Waits for another apply to end.

    Args:
        prune: Delete the instances whose blocks are gone; refused when that is more than half of a project's.
    """
    try:
        return await _bootstrap(prune)
    except FORESEEN as error:  # its message is for people, and the traceback is not
        return Failed(message=str(error))


async def _bootstrap(prune: bool) -> BootstrapResult:
    logger = get_run_logger()
    async with opened() as services, services.exclusive(waits=logger.info) as check:
        storage = await storage_of_bootstrap(services)
        changeset = await make_plan(services, storage, Scope(prune=prune), dt.datetime.now(dt.UTC))
        description = changeset.plan.summary
        await acreate_markdown_artifact(plan_markdown(changeset.plan), key="plan", description=description)
        changeset.check_deletions()
        await apply_plan(changeset, services, lambda step: logger.info("%s %s", step.action, step.label), check=check)
        if changeset.plan.changes:
            now = dt.datetime.now(dt.UTC)
            _, world = await read_all_flows(services, now)
            await save_lineage(services.prefect, lay_out_lineage(world, partial(aggregation_of, services), now))
    changeset.plan.check_whole()
    counts = Counter(step.action for step in changeset.plan.steps)
    logger.info(changeset.plan.summary)
    return BootstrapResult(
        *(counts[action] for action in (Action.CREATE, Action.UPDATE, Action.DELETE, Action.UNCHANGED))
    )


def plan_markdown(plan: Plan) -> str:
    """Return a plan as Markdown, with a line for each change."""
    lines = [f"**{plan.summary}**", ""]
    lines += [f"- left out: {problem}" for problem in map(_one_line, plan.problems)]
    lines += [f"- {held_text(plan.held)}"] if plan.held else []
    lines += [f"- warning: {warning}" for warning in plan.warnings]
    if plan.kept:
        lines.append(f"- described no more, and kept: {', '.join(plan.kept)}")
    for step, news in changes_to_print(plan.changes):
        lines += ["", f"### {step.action} {step_text(step)}", *_change_rows(step, news)]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _change_rows(step: Step, news: Iterable[Change]) -> list[str]:
    if step.action is not Action.UPDATE:
        return []
    changes = list(map(change_text, news))
    if not changes:
        return ["", "As said above."]
    rows = [(field, Code(before), Code(after)) for field, before, after in changes]
    return ["", *markdown_table(("field", "before", "after"), rows)]
