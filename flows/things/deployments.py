"""The deployments of flows: one for each, found again by its id or, after a crash, by its name and mark."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from prefect.exceptions import ObjectNotFound

from flows.deployments import DesiredDeployment, desired_deployment, write_deployment
from flows.found import FoundDeployment, deployments_named, deployments_with_ids
from flows.prefect_reader import PAGE
from flows.things.base import Proposed, Tools, Wanted, a_few_at_once
from instances.plan import Action, Step, compare
from instances.specs import RunnableSpec


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
        return Proposed(steps, (*_foreign(found), *await _nowhere(wanted, tools)))

    async def apply(self, steps: Sequence[Step], wanted: Wanted, tools: Tools, done: Callable[[Step], None]) -> None:
        found = await _found(wanted, tools)
        desired = {each.full_name: each for each in _desired(wanted, tools)}
        repository = tools.services.repository
        flow_ids = {f"{flow.kind}/{flow.instance}": flow.flow_id for flow in repository.flows()}
        prefect_flows = {
            name: await tools.client.create_flow_from_name(name)
            for name in sorted({step.name.partition("/")[0] for step in steps if step.action is not Action.DELETE})
        }

        async def one(step: Step) -> None:
            existing = found.ours.get(step.name)
            if step.action is not Action.DELETE:
                wish = desired[step.name]
                deployment = await write_deployment(tools.client, wish, existing, prefect_flows[wish.flow_name])
                await asyncio.to_thread(repository.set_deployment, flow_ids[step.name], deployment)
            elif existing is not None:
                await _delete(tools, existing.deployment_id)
            done(step)

        await a_few_at_once(one, steps)


class _Found:
    """The deployments with the names that flows are to have, and those of flows on record."""

    def __init__(self, recorded: set[UUID], mark: str) -> None:
        self.recorded = recorded
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
    found = _Found(set(ids), tools.mark)
    for deployment in await deployments_with_ids(tools.client, ids):
        found.add(ids[deployment.deployment_id], deployment)
    names = {f"{flow.kind}/{flow.instance}" for instance in wanted.instances for flow in instance.flows}
    for name, deployment in (await deployments_named(tools.client, names - found.ours.keys())).items():
        found.add(name, deployment)
    return found


def _foreign(found: _Found) -> list[str]:
    return [
        f"{name.partition('/')[2]}: there is a deployment {name!r} that is not ours; delete it, "
        f"or adopt it with `optaic import {name.partition('/')[2]}`"
        for name in sorted(found.foreign)
    ]


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
