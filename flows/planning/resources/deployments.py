"""The deployments of flows: one for each, found again by its id or, after a crash, by its name and mark."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from definitions.contract import FlowKind
from flows.integrations.prefect_api import NotInPrefect
from flows.integrations.services import Services
from flows.planning.deployment_spec import (
    DesiredDeployment,
    create_deployment,
    desired_deployment,
    successor_fields,
    update_deployment,
)
from flows.planning.resources.live_runs import free_of_runs, live_runs
from flows.planning.resources.resource import DesiredState, Proposal, Refusal, StepsRefused, run_concurrently
from flows.reading.deployment_reader import DeploymentSnapshot, deployments_named, deployments_with_ids
from flows.reading.server_clock import server_clock
from instances.errors import Problem
from instances.plans.plan import Action, Step, compare
from instances.specification.applied import FlowRecord
from instances.specification.specs import RunnableSpec
from instances.specification.types import type_of

LOOKED_AHEAD = 16  # names in one look; made within about half a second


class Deployments:
    """What an operator has paused stays paused; all else that differs is brought back."""

    kind = "deployment"

    async def plan(self, state: DesiredState, services: Services) -> Proposal:
        found = await _found(state, services, state.record.flows)
        wishes = _desired(state, services)
        desired = {wish.full_name: wish.fields() | {"on_record": True} for wish in wishes}
        actual = {
            name: deployment.fields | {"on_record": deployment.deployment_id in found.recorded}
            for name, deployment in found.ours.items()
        }
        known = {*state.deleted, *(instance.spec.name for instance in state.instances)}
        deleted = [
            name for name in actual if name.partition("/")[2] in known
        ]  # also of a flow that is called for no more
        steps = compare(self.kind, desired, actual, deleted=deleted)
        going = {found.ours[s.name].deployment_id: s.instance for s in steps if s.action is Action.DELETE}
        going |= {of: name for of, name in services.repository.leftover_deployments().items() if name in state.deleted}
        at_work = [(going[of], f"{going[of]}: {what}") for of, what in await live_runs(services.prefect, going)]
        problems = (*_foreign(found), *await _nowhere(wishes, services))
        if state.cancel:
            cancelled = (f"{told}, and is cancelled" for _, told in at_work)
            return Proposal(steps, problems, (*cancelled, *_lost(steps, found)))
        remedy = "Wait until it has ended, or cancel it with --cancel"
        problems += tuple(Problem(instance, f"{told}. {remedy}") for instance, told in at_work)
        return Proposal(steps, problems, _lost(steps, found))

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, services: Services, done: Callable[[Step], None]
    ) -> None:
        repository = services.repository
        flows = repository.flows()  # with those that this apply has written
        found = await _found(state, services, flows)
        desired = {each.full_name: each for each in _desired(state, services)}
        flow_ids = {f"{flow.kind}/{flow.instance}": flow.flow_id for flow in flows}
        made = [step.name for step in steps if step.action is not Action.DELETE and step.name not in found.ours]
        maker, clock = _Maker(services, found, made), await server_clock(services.prefect)

        leftovers = repository.leftover_deployments()

        async def one(step: Step) -> None:
            if step.action is Action.DELETE:
                if step.name in found.ours:
                    await free_of_runs(services.prefect, step, found.ours[step.name].deployment_id, cancel=state.cancel)
                    await services.prefect.delete_deployment(found.ours[step.name].deployment_id)
                for former in (of for of, name in leftovers.items() if name == step.instance):
                    await free_of_runs(services.prefect, step, former, cancel=state.cancel)
                    await services.prefect.delete_deployment(former)
            else:
                deployment = await maker.make(step, desired[step.name])
                # Prefect schedules no tick from before now.
                scheduled_at = clock.now() if _gives_a_schedule(step) else None
                await asyncio.to_thread(
                    repository.set_deployment, flow_ids[step.name], deployment, scheduled_at=scheduled_at
                )
            done(step)

        await run_concurrently(one, steps)


class _Maker:
    """Makes deployments as they must be, those of `names` anew.

    Prefect overwrites a deployment when one of its name is created. So it is asked what is there of the
    next few names just before, for others may have been at work since the plan was made.
    """

    def __init__(self, services: Services, found: "_ExistingDeployments", names: Sequence[str]) -> None:
        self.services = services
        self.found = found
        self.names = list(names)
        self.seen: set[str] = set()
        self.flow_ids: dict[str, UUID] = {}
        self.lock = asyncio.Lock()

    async def make(self, step: Step, wish: DesiredDeployment) -> UUID:
        """Update the deployment if there is one, else create it. Raises `StepsRefused` when it is not ours."""
        if step.name not in self.found.ours:
            await self._look(step.name)
        if step.name in self.found.foreign:
            raise StepsRefused(
                [Refusal(step, f"there is one of that name that is not ours. {_remedy(step.name).capitalize()}")]
            )
        existing = self.found.ours.get(step.name)
        if existing is not None:
            with suppress(NotInPrefect):  # deleted a moment ago: it is made anew
                await update_deployment(self.services.prefect, wish, existing)
                return existing.deployment_id
        return await create_deployment(self.services.prefect, wish, await self._flow_id(wish.flow_name))

    async def _look(self, name: str) -> None:
        async with self.lock:
            if name not in self.seen:
                place = self.names.index(name)
                ahead = self.names[place : place + LOOKED_AHEAD]
                for there, deployment in (await deployments_named(self.services.prefect, ahead)).items():
                    self.found.add(there, deployment)
                self.seen.update(ahead)

    async def _flow_id(self, flow_name: str) -> UUID:
        if flow_name not in self.flow_ids:
            self.flow_ids[flow_name] = await self.services.prefect.create_flow(flow_name)
        return self.flow_ids[flow_name]


class _ExistingDeployments:
    """The deployments with the names that flows are to have, and those of flows on record."""

    def __init__(self, recorded: Mapping[UUID, str], owner_tag: str) -> None:
        self.recorded = set(recorded)
        self.recorded_names = set(recorded.values())
        self.owner_tag = owner_tag
        self.ours: dict[str, DeploymentSnapshot] = {}
        self.foreign: set[str] = set()

    def add(self, name: str, deployment: DeploymentSnapshot) -> None:
        if deployment.deployment_id in self.recorded or deployment.owner_tag == self.owner_tag:
            self.ours[name] = deployment
        else:
            self.foreign.add(name)


async def _found(state: DesiredState, services: Services, flows: Iterable[FlowRecord]) -> _ExistingDeployments:
    ids = {flow.deployment_id: f"{flow.kind}/{flow.instance}" for flow in flows if flow.deployment_id}
    found = _ExistingDeployments(ids, services.owner_tag)
    for deployment in await deployments_with_ids(services.prefect, ids):
        flow_name, _, instance = ids[deployment.deployment_id].partition("/")
        if deployment.name != instance:  # its instance is renamed first, with a copy of it
            fields = successor_fields(deployment.fields, deployment.name, instance)
            deployment = replace(deployment, name=instance, fields=fields)
        found.add(f"{flow_name}/{instance}", deployment)
    called_for = {f"{flow.kind}/{flow.instance}" for instance in state.instances for flow in instance.flows}
    for name, deployment in (await deployments_named(services.prefect, called_for - found.ours.keys())).items():
        found.add(name, deployment)
    # An apply that was killed may have left some that no flow on record is paired with.
    left = {f"{kind}/{name}" for name, kinds in _kinds(state, services).items() for kind in kinds} - called_for
    for name, deployment in (await deployments_named(services.prefect, left - found.ours.keys())).items():
        if deployment.owner_tag == services.owner_tag:
            found.add(name, deployment)
    return found


def _gives_a_schedule(step: Step) -> bool:
    return any(change.field.partition(".")[0] == "schedules" for change in step.changes)


def _kinds(state: DesiredState, services: Services) -> dict[str, tuple[FlowKind, ...]]:
    """Return the kinds of flows that an instance may have had: those of its type, and any of one that goes."""
    brought = services.registry.brought_flows
    staying = {i.spec.name: (*flows, *brought) for i in state.instances if (flows := type_of(i.spec).flows)}
    return dict.fromkeys(state.deleted, (*FlowKind, *brought)) | staying


def _foreign(found: _ExistingDeployments) -> list[Problem]:
    return [
        Problem(
            name.partition("/")[2],
            f"{name.partition('/')[2]}: there is a deployment {name!r} that is not ours; {_remedy(name)}",
        )
        for name in sorted(found.foreign)
    ]


def _lost(steps: Sequence[Step], found: _ExistingDeployments) -> tuple[str, ...]:
    """Return a warning for each deployment that was deleted by hand: its runs tell nothing any more."""
    again = [step for step in steps if step.action is Action.CREATE and step.name in found.recorded_names]
    return tuple(
        f"{step.name}: this deployment was deleted, and is made anew; its runs don't count any more, "
        f"so that {step.instance} is NOT_INITIALIZED until it has run again"
        for step in again
    )


def _remedy(name: str) -> str:
    return f"delete it, or adopt it with `optaic import {name.partition('/')[2]}`"


async def _nowhere(wishes: Iterable[DesiredDeployment], services: Services) -> list[Problem]:
    pools = {pool["name"] for pool in await services.prefect.work_pools()}
    return [
        Problem(
            wish.name,
            f"{wish.name}: there is no work pool {wish.storage.work_pool!r}; make it with "
            f"`prefect work-pool create`, or choose one of: {', '.join(sorted(pools)) or 'none yet'}",
        )
        for wish in wishes
        if wish.storage.work_pool is not None and wish.storage.work_pool not in pools
    ]


def _desired(state: DesiredState, services: Services) -> list[DesiredDeployment]:
    owner_tag = services.owner_tag
    return [
        desired_deployment(flow, instance.spec, state.storage, owner_tag)
        for instance in state.instances
        if isinstance(instance.spec, RunnableSpec)
        for flow in instance.flows
    ]
