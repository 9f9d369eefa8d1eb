"""Instances that are renamed: all that they have stays theirs, under the name that it is kept under.

A rename is one change of a row. What Prefect can't rename is made anew under the new name, and what has the former one
goes when no run of it is live. Each step is found to be done, or not yet, by what is there: a killed apply is carried
on by the next one.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from uuid import UUID

from flows.integrations.services import Services
from flows.planning.block_writer import BlockWriter
from flows.planning.deployment_spec import create_successor
from flows.planning.resources.automations import renamed_automation
from flows.planning.resources.resource import DesiredState, Proposal, Refusal, StepsRefused, run_concurrently
from flows.reading.block_reader import SavedBlocks
from flows.reading.deployment_reader import deployments_named, deployments_with_ids
from flows.reading.run_reader import PrefectReader
from flows.reading.server_clock import server_now
from instances.errors import Problem
from instances.plans.plan import Action, Change, Step
from instances.specification.applied import FlowRecord
from instances.specification.specs import ComponentSpec
from instances.specification.types import followed, in_place, part_names


class InstanceRenames:
    """One step for each instance, those for its parts and for the rest of a rename that was cut short included."""

    kind = "rename"

    async def plan(self, state: DesiredState, services: Services) -> Proposal:
        planned = {instance.spec.name for instance in state.instances}
        former = {new: old for old, new in state.renames.names.items() if new in state.renames.asked}
        asked = {new: old for new, old in former.items() if new in planned}
        before = {each.name: each.former[-1] for each in state.record.names if each.former and each.name in planned}
        renamed = [flow for flow in state.record.flows if flow.instance in before]
        unpaired = await _unpaired(services, [flow for flow in renamed if flow.instance not in asked])
        left = await _leftovers(services)
        names = dict.fromkeys([*asked, *(flow.instance for flow in unpaired), *left.values()])
        steps = tuple(
            Step(self.kind, name, Action.RENAME, (Change("name", before[name], name),))
            for name in names
            if name in before
        )
        wanted = [f"{flow.kind}/{flow.instance}" for flow in renamed if flow.instance in names]
        return Proposal(steps, tuple(await _taken(services, wanted, state.record.flows)))

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, services: Services, done: Callable[[Step], None]
    ) -> None:
        names = _names_of(steps, state)
        await _rename_blocks(services, names, state)
        for name in services.repository.automations():
            if (new := renamed_automation(name, names)) != name:
                services.writer.rename_automation(name, new)
        if names:
            services.writer.rename(names, state.renames.asked)

        async def one(step: Step) -> None:
            for flow in await _unpaired(services, services.repository.flows(instances=[step.name])):
                await _succeed(services, flow, step)
            done(step)

        await run_concurrently(one, steps)
        await clear_leftovers(services)


async def clear_leftovers(services: Services) -> None:
    """Delete the deployments of former names of which no run is live any more; their runs count all the same."""
    for deployment_id in await _leftovers(services):
        await services.prefect.delete_deployment(deployment_id)
        services.repository.note_deployment_gone(deployment_id, await server_now(services.prefect))


async def _leftovers(services: Services) -> dict[UUID, str]:
    """Return the deployments of former names that can go, each with the present name of its instance."""
    found = services.repository.leftover_deployments()
    if not found:
        return {}
    live = await PrefectReader(services.prefect).live(found, await server_now(services.prefect))
    return {deployment_id: name for deployment_id, name in found.items() if deployment_id not in live}


def _names_of(steps: Iterable[Step], state: DesiredState) -> dict[str, str]:
    """Return the new names, by the present ones, of the instances of these steps and of the parts inside them."""
    renamed = {step.name for step in steps}
    specs = {instance.spec.name: instance.spec for instance in state.instances}
    inside = {part.name for name in renamed & specs.keys() for part in in_place(specs[name], specs).values()}
    return {old: new for old, new in state.renames.names.items() if new in renamed | inside}


async def _unpaired(services: Services, flows: Collection[FlowRecord]) -> list[FlowRecord]:
    """Return those of these flows whose deployment still has a former name."""
    names = {flow.deployment_id: flow.instance for flow in flows if flow.deployment_id is not None}
    found = await deployments_with_ids(services.prefect, names)
    behind = {each.deployment_id for each in found if each.name != names[each.deployment_id]}
    return [flow for flow in flows if flow.deployment_id in behind]


async def _taken(services: Services, names: Collection[str], flows: Iterable[FlowRecord]) -> list[Problem]:
    ours = {flow.deployment_id for flow in flows}
    return [
        Problem(
            found.name,
            f"{found.name}: there is a deployment {name!r} that is not ours; delete it, or choose another name",
        )
        for name, found in (await deployments_named(services.prefect, names)).items()
        if found.owner_tag != services.owner_tag and found.deployment_id not in ours
    ]


async def _rename_blocks(services: Services, names: Mapping[str, str], state: DesiredState) -> None:
    """Give what is renamed blocks of its new names, let all others refer to them, and delete the former ones."""
    before, asked = state.blocks_before, state.renames.asked
    writer = BlockWriter(services.prefect, before)
    after = before.renamed(names, asked)
    # A block refers to those of its parts: they are there before it, and go after it.
    for new in sorted(set(names.values()), key=lambda name: _has_parts(after, name)):
        if new in after.by_name and new not in before.ids:
            await writer.save(after.by_name[new].spec, _own_parts(after, new))
    for name, saved in before.by_name.items():
        spec = followed(saved.spec, names)
        if name not in names and spec != saved.spec:
            told = saved.spec.model_dump(mode="json")
            changed = {field for field, value in spec.model_dump(mode="json").items() if value != told.get(field)}
            if saved.note is not None:  # written in today's form, it would mean something else
                changed.add("config")
            await writer.rejoin(spec, _own_parts(after, name), changed)
    for old in sorted(names.keys() & before.ids.keys(), key=lambda name: not _has_parts(before, name)):
        await services.prefect.delete_block(before.ids[old])


def _has_parts(blocks: SavedBlocks, name: str) -> bool:
    return name in blocks.by_name and bool(part_names(blocks.by_name[name].spec))


def _own_parts(blocks: SavedBlocks, name: str) -> Mapping[str, ComponentSpec]:
    saved = blocks.by_name[name]
    return in_place(saved.spec, {part.name: part for part in saved.parts})


async def _succeed(services: Services, flow: FlowRecord, step: Step) -> None:
    """Pair a flow with a deployment of the new name, a copy of its former one, which starts nothing by itself any more.

    Raises `StepsRefused`.
    """
    assert flow.deployment_id is not None  # what it is to succeed
    name = f"{flow.kind}/{flow.instance}"
    there = (await deployments_named(services.prefect, [name])).get(name)
    if there is not None and there.owner_tag != services.owner_tag:
        raise StepsRefused([Refusal(step, f"there is a deployment {name!r} that is not ours.", by="optaic")])
    former = await services.prefect.deployment(flow.deployment_id)
    successor = there.deployment_id if there else await create_successor(services.prefect, former, flow.instance)
    for schedule in former["schedules"]:
        await services.prefect.delete_schedule(flow.deployment_id, UUID(schedule["id"]))
    services.repository.succeed_deployment(flow.flow_id, flow.deployment_id, successor)
