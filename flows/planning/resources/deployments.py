"""The deployments of flows: one for each, found again by its id or, after a crash, by its name and mark."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from prefect.exceptions import ObjectNotFound

from definitions.contract import FlowKind
from flows.planning.deployment_spec import DesiredDeployment, create_deployment, desired_deployment, update_deployment
from flows.planning.resources.resource import Proposed, Refusal, Refused, Tools, Wanted, a_few_at_once
from flows.reading.deployment_reader import FoundDeployment, deployments_named, deployments_with_ids
from flows.reading.run_reader import PAGE
from instances.plans.plan import Action, Step, compare
from instances.specification.specs import RunnableSpec
from instances.specification.types import type_of

LOOKED_AHEAD = 16  # names in one look; made within about half a second


class Deployments:
    """What an operator has paused stays paused; all else that differs is brought back."""

    kind = "deployment"

    async def plan(self, wanted: Wanted, tools: Tools) -> Proposed:
        found = await _found(wanted, tools)
        desired = {d.full_name: d.fields() | {"on_record": True} for d in _desired(wanted, tools)}
        actual = {
            name: deployment.fields | {"on_record": deployment.deployment_id in found.recorded}
            for name, deployment in found.ours.items()
        }
        known = {*wanted.gone, *(instance.spec.name for instance in wanted.instances)}
        gone = [name for name in actual if name.partition("/")[2] in known]  # also of a flow that is called for no more
        steps = compare(self.kind, desired, actual, gone=gone)
        return Proposed(steps, (*_foreign(found), *await _nowhere(wanted, tools)), _lost(steps, found))

    async def apply(self, steps: Sequence[Step], wanted: Wanted, tools: Tools, done: Callable[[Step], None]) -> None:
        found = await _found(wanted, tools)
        desired = {each.full_name: each for each in _desired(wanted, tools)}
        repository = tools.services.repository
        flow_ids = {f"{flow.kind}/{flow.instance}": flow.flow_id for flow in repository.flows()}
        made = [step.name for step in steps if step.action is not Action.DELETE and step.name not in found.ours]
        maker = _Maker(tools, found, made)

        async def one(step: Step) -> None:
            if step.action is Action.DELETE:
                if step.name in found.ours:
                    await _delete(tools, found.ours[step.name].deployment_id)
            else:
                deployment = await maker.make(step, desired[step.name])
                await asyncio.to_thread(repository.set_deployment, flow_ids[step.name], deployment)
            done(step)

        await a_few_at_once(one, steps)


class _Maker:
    """Makes deployments as they must be, those of `names` anew.

    Prefect overwrites a deployment when one of its name is created. So it is asked what is there of the
    next few names just before, for others may have been at work since the plan was made.
    """

    def __init__(self, tools: Tools, found: "_Found", names: Sequence[str]) -> None:
        self.tools = tools
        self.found = found
        self.names = list(names)
        self.seen: set[str] = set()
        self.flow_ids: dict[str, UUID] = {}
        self.lock = asyncio.Lock()

    async def make(self, step: Step, wish: DesiredDeployment) -> UUID:
        """Update the deployment if there is one, else create it. Raises `Refused` when it is not ours."""
        if step.name not in self.found.ours:
            await self._look(step.name)
        if step.name in self.found.foreign:
            raise Refused(
                [Refusal(step, f"there is one of that name that is not ours. {_remedy(step.name).capitalize()}")]
            )
        existing = self.found.ours.get(step.name)
        if existing is not None:
            with suppress(ObjectNotFound):  # deleted a moment ago: it is made anew
                await update_deployment(self.tools.client, wish, existing)
                return existing.deployment_id
        return await create_deployment(self.tools.client, wish, await self._flow_id(wish.flow_name))

    async def _look(self, name: str) -> None:
        async with self.lock:
            if name not in self.seen:
                place = self.names.index(name)
                ahead = self.names[place : place + LOOKED_AHEAD]
                for there, deployment in (await deployments_named(self.tools.client, ahead)).items():
                    self.found.add(there, deployment)
                self.seen.update(ahead)

    async def _flow_id(self, flow_name: str) -> UUID:
        if flow_name not in self.flow_ids:
            self.flow_ids[flow_name] = await self.tools.client.create_flow_from_name(flow_name)
        return self.flow_ids[flow_name]


class _Found:
    """The deployments with the names that flows are to have, and those of flows on record."""

    def __init__(self, recorded: Mapping[UUID, str], mark: str) -> None:
        self.recorded = set(recorded)
        self.recorded_names = set(recorded.values())
        self.mark = mark
        self.ours: dict[str, FoundDeployment] = {}
        self.foreign: set[str] = set()

    def add(self, name: str, deployment: FoundDeployment) -> None:
        if deployment.deployment_id in self.recorded or deployment.mark == self.mark:
            self.ours[name] = deployment
        else:
            self.foreign.add(name)


async def _found(wanted: Wanted, tools: Tools) -> _Found:
    flows = tools.services.repository.flows()
    ids = {flow.deployment_id: f"{flow.kind}/{flow.instance}" for flow in flows if flow.deployment_id}
    found = _Found(ids, tools.mark)
    for deployment in await deployments_with_ids(tools.client, ids):
        found.add(ids[deployment.deployment_id], deployment)
    called_for = {f"{flow.kind}/{flow.instance}" for instance in wanted.instances for flow in instance.flows}
    for name, deployment in (await deployments_named(tools.client, called_for - found.ours.keys())).items():
        found.add(name, deployment)
    # An apply that was killed may have left some that no flow on record is paired with.
    left = {f"{kind}/{name}" for name, kinds in _kinds(wanted).items() for kind in kinds} - called_for
    for name, deployment in (await deployments_named(tools.client, left - found.ours.keys())).items():
        if deployment.mark == tools.mark:
            found.add(name, deployment)
    return found


def _kinds(wanted: Wanted) -> dict[str, tuple[FlowKind, ...]]:
    """Return the kinds of flows that an instance may have had: those of its type, and any of one that goes."""
    staying = {instance.spec.name: type_of(instance.spec).flows for instance in wanted.instances}
    return {name: tuple(FlowKind) for name in wanted.gone} | staying


def _foreign(found: _Found) -> list[str]:
    return [
        f"{name.partition('/')[2]}: there is a deployment {name!r} that is not ours; {_remedy(name)}"
        for name in sorted(found.foreign)
    ]


def _lost(steps: Sequence[Step], found: _Found) -> tuple[str, ...]:
    """Return a warning for each deployment that was deleted by hand: its runs tell nothing any more."""
    again = [step for step in steps if step.action is Action.CREATE and step.name in found.recorded_names]
    return tuple(
        f"{step.name}: this deployment was deleted, and is made anew; its runs don't count any more, "
        f"so that {step.instance} is NOT_INITIALIZED until it has run again"
        for step in again
    )


def _remedy(name: str) -> str:
    return f"delete it, or adopt it with `optaic import {name.partition('/')[2]}`"


async def _nowhere(wanted: Wanted, tools: Tools) -> list[str]:
    pools = {pool.name for pool in await tools.client.read_work_pools(limit=PAGE)}
    return [
        f"{wish.name}: there is no work pool {wish.storage.work_pool!r}; make it with "
        f"`prefect work-pool create`, or choose one of: {', '.join(sorted(pools)) or 'none yet'}"
        for wish in _desired(wanted, tools)
        if wish.storage.work_pool is not None and wish.storage.work_pool not in pools
    ]


def _desired(wanted: Wanted, tools: Tools) -> list[DesiredDeployment]:
    mark = tools.mark
    return [
        desired_deployment(flow.kind, instance.spec, wanted.storage, mark)
        for instance in wanted.instances
        if isinstance(instance.spec, RunnableSpec)
        for flow in instance.flows
    ]


async def _delete(tools: Tools, deployment_id: UUID) -> None:
    await tools.client.delete_resource_owned_automations(f"prefect.deployment.{deployment_id}")
    try:
        await tools.client.delete_deployment(deployment_id)
    except ObjectNotFound:
        return  # somebody was faster
