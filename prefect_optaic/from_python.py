"""Instances described in Python: their blocks as objects, planned and applied together as a manifest is.

    from blocks import DatasetInstance, PipelineInstance
    from prefect_optaic.from_python import apply, plan

    instances = {"prices": DatasetInstance(pipeline_instance=PipelineInstance(definition="sp500-sample"))}
    print(plan(instances, project="sp500").summary)
    apply(instances, project="sp500")

No block need be saved before: an apply saves them. `handles(NAME)` tells where an instance that was applied is.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from blocks.base import InstanceBlock
from flows.planning.scope import Scope
from flows.reading.block_reader import BlockMistakes, specs_of
from instances.errors import Problem
from instances.plans.plan import Plan
from instances.specification.handles import InstanceHandles
from instances.specification.specs import AnySpec
from instances.specification.types import TYPES
from prefect_optaic import actions
from prefect_optaic.session import session

Result = TypeVar("Result")


def plan(
    instances: Mapping[str, InstanceBlock], *, project: str | None = None, prune: bool = False, adopt: bool = False
) -> Plan:
    """Return what an apply of these instances, by their names, would do; writes nothing.

    `project` is that of all which name none. The plan's `problems` say what is wrong and left out.
    Raises `InvalidSpec` where nothing can be planned at all.
    """
    scope = scope_of(instances, project=project, prune=prune, adopt=adopt)

    async def work() -> Plan:
        async with session() as services:
            return (await actions.plan(services, scope)).plan

    return _run(work())


def apply(
    instances: Mapping[str, InstanceBlock],
    *,
    project: str | None = None,
    prune: bool = False,
    adopt: bool = False,
    yes: bool = False,
    all_or_nothing: bool = False,
) -> Plan:
    """Make blocks, rows, deployments and automations match these instances; return what was done.

    Raises `LeftOut` in the end where something is wrong, which is left out with all that reads it, or `InvalidSpec`,
    and nothing is written, where nothing else is there or `all_or_nothing` is asked for. Without `yes` a prune of
    more than half of a project raises `WouldRemoveMost`, and one of what looks renamed `WouldReplace`.
    """
    scope = scope_of(instances, project=project, prune=prune, adopt=adopt)

    async def work() -> Plan:
        async with session() as services, services.exclusive(waits=lambda message: None) as check:
            changeset = await actions.plan(services, replace(scope, all_or_nothing=all_or_nothing))
            if not yes:
                changeset.check_deletions()
            await actions.apply(services, changeset, lambda step: None, check)
            changeset.plan.check_whole()
            return changeset.plan

    return _run(work())


def handles(name: str) -> InstanceHandles:
    """Return the handles of an instance: its ids in Prefect, MLflow and Evidently, what it left last and where.

    With what is derived: `freshness_status` and `next_refresh_at`. Raises `UnknownInstance`.
    """

    async def work() -> InstanceHandles:
        async with session() as services:
            services.repository.spec(name)
            snapshot = await actions.read_snapshot(services)
            lines = await actions.statuses_in(services, snapshot)
            return actions.handles_in(services, lines, snapshot)[name]

    return _run(work())


def scope_of(
    instances: Mapping[str, InstanceBlock], *, project: str | None = None, prune: bool = False, adopt: bool = False
) -> Scope:
    """Return what a plan is asked for by instances described in Python."""
    specs: list[AnySpec] = []
    problems: list[Problem] = []
    for name, block in instances.items():
        try:
            spec, parts = _specs(name, block, project)
            specs += (*parts, spec)
        except BlockMistakes as error:
            problems.append(Problem(name, f"{name}: {error}"))
    broken = frozenset(problem.instance for problem in problems)
    return Scope(tuple(specs), prune=prune, project=project, problems=tuple(problems), broken=broken, adopt=adopt)


def _specs(name: str, block: InstanceBlock, project: str | None) -> tuple[AnySpec, tuple[AnySpec, ...]]:
    """Return what a block describes under a name, and its parts; those that were saved go by the names they have."""
    data = _data(block, project)
    named: dict[str, str] = {}
    for field in TYPES[block.instance_type].parts:
        part = getattr(block, field)
        if part._block_document_name and not part._is_anonymous:
            named[field] = part._block_document_name
        data[field] = _data(part, str(data["project"]))
    return specs_of(block.instance_type, name, data, named)


def _data(block: InstanceBlock, project: str | None) -> dict[str, object]:
    own = {} if project is None or "project" in block.model_fields_set else {"project": project}
    return block.model_dump(mode="json") | own


def _run(work: Coroutine[object, object, Result]) -> Result:
    """Run to the end, in a thread of its own: notebooks have a loop that runs already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
