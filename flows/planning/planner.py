"""Planning: reads the world, says what must change, and does exactly that."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from prefect.context import FlowRunContext

from flows.integrations.prefect_api import NotInPrefect
from flows.integrations.services import Services
from flows.planning.changeset import Changeset
from flows.planning.deployment_spec import Storage
from flows.planning.held_back import held_with, named_in, needed, of_the_whole, recorded_parts, sound
from flows.planning.resources import RESOURCE_KINDS, DesiredState
from flows.planning.resources.resource import Proposal, Record, Refusal, StepsRefused
from flows.planning.scope import Scope
from flows.reading.block_reader import SavedBlocks, UnreadableBlock, read_blocks
from instances.errors import InvalidSpec, OptaicError, Problem, UnknownInstance, located
from instances.plans.plan import Action, Fields, Plan, Step
from instances.plans.plan_warnings import advice
from instances.plans.renames import (
    Renames,
    called_now,
    find_renames,
    former_references,
    kept_names,
    made_again,
    present_names,
)
from instances.plans.usage import blocks_gone, still_used
from instances.specification.resolution import ResolvedInstance, resolution
from instances.specification.specs import AnySpec
from instances.specification.types import PARTS, followed, part_name, part_names
from instances.storage.row_fields import recorded_rows
from instances.world.wording import listed

BOOTSTRAP = "bootstrap"


class NotDeployed(OptaicError):
    """Bootstrap's own deployment is not there, so nobody knows where flows find their code."""

    def __init__(self) -> None:
        super().__init__(
            f"there is no deployment '{BOOTSTRAP}/{BOOTSTRAP}' on this Prefect server, from which the flows of "
            "instances take their code and their work pool. Run `prefect deploy --all` in the project's folder."
        )


async def storage_of_bootstrap(services: Services) -> Storage:
    """Return where bootstrap's own deployment keeps its code and runs. Raises `NotDeployed`."""
    context = FlowRunContext.get()
    own = context.flow_run.deployment_id if context and context.flow_run else None
    try:
        if own is not None:
            return Storage.of(await services.prefect.deployment(own))
        return Storage.of(await services.prefect.deployment_of(BOOTSTRAP, BOOTSTRAP))
    except NotInPrefect as error:
        raise NotDeployed from error


async def make_plan(services: Services, storage: Storage, scope: Scope, now: dt.datetime) -> Changeset:
    """Read everything and return what must change; writes nothing.

    What has something wrong is left out of the plan, with all that reads it, and the plan names it. Raises
    `InvalidSpec` with every problem found where that can't be, as with a deletion that was asked for, and where
    the scope asks for all or nothing.
    """
    before, recorded = await _found(services)
    # All that follows is planned for the world as it is once the renames are carried out.
    renames = _renames(scope, before, recorded)
    blocks, record = before.renamed(renames.names, renames.asked), recorded.renamed(renames)
    described = blocks.merged(scope.specs, without=scope.broken)
    present = present_names(record.names, {spec.name for spec in described} | scope.broken)
    behind = former_references(described, present)
    scope, described = scope.followed(present), tuple(followed(spec, present) for spec in described)
    leaving, kept = _leaving(scope, blocks, described, record)
    unreadable = _unreadable(blocks, record.rows, {*leaving, *(spec.name for spec in scope.specs), *scope.broken})
    gone = blocks_gone(kept, [spec for spec in described if spec.name not in leaving])
    refused: list[str] = [
        *_protected(leaving, described, record.rows),
        *_still_used(leaving, described, record, services, renames.names),
    ]
    going = leaving - named_in(refused) - needed(named_in(refused), record).keys()
    staying = [spec for spec in described if spec.name not in going]
    resolved = resolution(
        staying,
        services.registry,
        resources=services.resources,
        sources={spec.name for spec in scope.specs},
        broken=scope.broken | unreadable.keys() | gone.keys(),
        kept_as=kept_names(record.names, (spec.name for spec in staying)),
    )
    of_specs = [*gone.values(), *resolved.problems]
    if not scope.adopt:
        of_specs += _of_other_projects(scope.specs, blocks, record.rows)
    wrong = [
        *scope.problems,
        *renames.problems,
        *blocks.problems,
        *unreadable.values(),
        *(located(each, scope.places) for each in of_specs),
    ]
    state = DesiredState(
        resolved.instances,
        storage,
        blocks,
        tuple(spec for spec in scope.specs if spec.name not in going),
        tuple(sorted(going)),
        data=scope.data,
        cancel=scope.cancel,
        record=record,
        renames=renames,
        blocks_before=before,
    )
    proposed = await _proposals(state, services)
    found = _problems(proposed)
    busy = [problem for problem in found if named_in([problem]) & going]  # a run is at work on it
    wrong += [problem for problem in found if problem not in busy]
    if busy:
        refused += busy
        stays = named_in(busy) | needed(named_in(busy), record).keys()
        state = replace(state, deleted=tuple(name for name in state.deleted if name not in stays))
        proposed = await _proposals(state, services)
    if (wrong or refused) and (scope.all_or_nothing or (scope.destroy and refused) or of_the_whole(wrong)):
        raise InvalidSpec(list(dict.fromkeys([*wrong, *refused])))
    state, proposed = await _without_problems(state, proposed, staying, wrong, services, destroyed=scope.destroy)
    planned = {instance.spec.name for instance in state.instances}
    said = (*(warning for each in proposed for warning in each.warnings), *advice(state.instances, now))
    again = made_again(record.names, staying)
    warnings = (*scope.notes, *renames.warnings, *behind, *again, *said)
    if scope.prune and scope.problems:
        warnings = (*warnings, "what of the file can't be read may describe anything, so --prune deletes nothing")
    plan = Plan(
        _in_order([step for each in proposed for step in each.steps]),
        kept=tuple(sorted(kept | (leaving - set(state.deleted)))),
        warnings=warnings,
        problems=tuple(dict.fromkeys([*wrong, *refused])),
        held=held_with(staying, planned, wrong) if wrong else (),
    )
    members = {name: str(fields.get("project", "")) for name, fields in record.rows.items()}
    members = dict.fromkeys(blocks.unreadable, "") | members | {spec.name: spec.project for spec in described}
    return Changeset(plan, state, members)


async def _without_problems(
    state: DesiredState,
    proposed: list[Proposal],
    staying: Sequence[AnySpec],
    wrong: list[str],
    services: Services,
    *,
    destroyed: Collection[str],
) -> tuple[DesiredState, list[Proposal]]:
    """Leave out what has something wrong until nothing else has, and return what is planned then.

    What is found wrong meanwhile is added to `wrong`.
    """
    instances, unsound = state.instances, set[str]()
    while not named_in(wrong) <= unsound:
        unsound = named_in(wrong)
        state = _without(state, staying, wrong, instances, destroyed=destroyed)
        proposed = await _proposals(state, services)
        wrong += _problems(proposed)
    return state, proposed


async def _proposals(state: DesiredState, services: Services) -> list[Proposal]:
    return [await kind_of_resource.plan(state, services) for kind_of_resource in RESOURCE_KINDS]


def _problems(proposed: Iterable[Proposal]) -> list[str]:
    return [problem for each in proposed for problem in each.problems]


def _without(
    state: DesiredState,
    staying: Sequence[AnySpec],
    wrong: Sequence[str],
    instances: Sequence[ResolvedInstance],
    *,
    destroyed: Collection[str],
) -> DesiredState:
    """Return what is to be without what has something wrong. Raises `InvalidSpec` for a deletion that that forbids."""
    kept = sound(instances, staying, named_in(wrong), state.blocks.ids)
    planned = {instance.spec.name for instance in kept}
    left_out = {*(spec.name for spec in staying), *named_in(wrong)} - planned - set(state.deleted)
    stays = needed(left_out, state.record)
    if forbidden := sorted(stays.keys() & set(destroyed)):
        told = (
            f"{name}: can't be deleted while {stays[name]} reads it, which has a problem of its own; "
            "put that right, or delete it too"
            for name in forbidden
        )
        raise InvalidSpec([*dict.fromkeys(wrong), *told])
    return replace(
        state,
        instances=kept,
        to_save=tuple(spec for spec in state.to_save if spec.name in planned),
        deleted=tuple(name for name in state.deleted if name not in stays),
        left_out=frozenset(left_out),
    )


def _unreadable(blocks: SavedBlocks, on_record: Mapping[str, Fields], covered: Collection[str]) -> dict[str, Problem]:
    """Return what to do about blocks that can't be read, where nothing is planned that puts them right."""

    def remedy(name: str, block: UnreadableBlock) -> str:
        others = f"apply a file that describes it, or `optaic destroy {name}`"
        lost = [on_record[name][field] for field in block.lost] if name in on_record else []
        if not lost:
            return f"Edit the block, {others}"
        deleted = f"the block{'s' if lost[1:] else ''} {listed(map(repr, lost))}, deleted since"
        return f"It referred to {deleted}: get that back with `optaic import {name}`, {others}"

    return {
        name: Problem(name, f"{name}: {block}. {remedy(name, block)}")
        for name, block in blocks.unreadable.items()
        if name not in covered
    }


def _leaving(
    scope: Scope, blocks: SavedBlocks, described: Iterable[AnySpec], record: Record
) -> tuple[set[str], set[str]]:
    """Return the names that go, and those of instances that are described no more but stay."""
    on_record = record.rows
    names = {spec.name for spec in described} | blocks.unreadable.keys() | scope.broken
    for name in scope.destroy:
        if name not in names and name not in on_record:
            raise UnknownInstance(name, sorted(names | on_record.keys()), called_now(record.names, name))
    deleted, projects = set(scope.destroy), scope.projects
    undescribed = on_record.keys() - names - _parts_of_unread(blocks.unreadable.keys() | scope.broken, on_record)
    if scope.problems:  # what of the file can't be read may describe any of them
        return deleted, undescribed - deleted
    if scope.prune and projects is None:
        deleted |= undescribed
    elif scope.prune and projects is not None:
        in_file = {spec.name for spec in scope.specs}
        deleted |= {spec.name for spec in described if spec.project in projects} - in_file
        deleted |= {name for name in undescribed if on_record[name].get("project") in projects}
    return deleted, undescribed - deleted


def _parts_of_unread(unread: Iterable[str], on_record: Mapping[str, Fields]) -> set[str]:
    """Return the parts, as they were applied, of instances whose description can't be read: these may say so still."""
    rows = [on_record[name] for name in unread if name in on_record]
    return {part for row in rows for part in recorded_parts(row)}


def _of_other_projects(specs: Sequence[AnySpec], blocks: SavedBlocks, on_record: Mapping[str, Fields]) -> list[Problem]:
    """Return why a manifest may not have those of its names that another project has already."""
    projects = {name: str(row.get("project", "")) for name, row in on_record.items()}
    projects |= {spec.name: spec.project for spec in blocks.specs}  # where a block was edited it is what counts
    theirs = {spec.name: projects[spec.name] for spec in specs if projects.get(spec.name, spec.project) != spec.project}
    with_whole = {part_name(name, type_) for name in theirs for type_ in PARTS.values()}
    # What is of another type can't be taken over either: that is told of its block and its row.
    types = {name: row.get("type") for name, row in on_record.items()} | dict(blocks.types)
    other_types = {spec.name for spec in specs if types.get(spec.name, spec.type) != spec.type}
    return [
        Problem(
            name,
            f"{name}: is the name of an instance of the project {project!r}, and names are unique; choose another "
            "name, or take that instance over with --adopt",
        )
        for name, project in theirs.items()
        if name not in with_whole and name not in other_types
    ]


async def _found(services: Services) -> tuple[SavedBlocks, Record]:
    """Return what the blocks describe, and what is on record."""
    record = Record(recorded_rows(services.engine), services.repository.flows(), services.repository.names())
    return (await read_blocks(services.prefect)).beside(record.rows), record


def _renames(scope: Scope, blocks: SavedBlocks, record: Record) -> Renames:
    described = blocks.merged(scope.specs, without=scope.broken)
    in_file = {spec.name for spec in scope.specs} | scope.broken
    return find_renames(described, in_file, record.rows, record.names, adopt=scope.adopt)


def _protected(
    deleted: Collection[str], described: Iterable[AnySpec], on_record: Mapping[str, Fields]
) -> list[Problem]:
    protected = {spec.name for spec in described if spec.protect}
    protected |= {name for name, fields in on_record.items() if fields.get("protect")}
    return [
        Problem(name, f"{name}: is protected; set protect to false and apply, before you delete it")
        for name in sorted(protected.intersection(deleted))
    ]


def _still_used(
    leaving: Collection[str],
    described: Sequence[AnySpec],
    record: Record,
    services: Services,
    renamed: Collection[str],
) -> list[Problem]:
    """Return why some of what is to go can't: an instance that stays, described or on record, needs it."""
    if not leaving:
        return []
    names = {spec.name for spec in described} | set(renamed)
    by_record = (spec for spec in services.repository.specs() if spec.name not in names)
    staying = [spec for spec in (*described, *by_record) if spec.name not in leaving]
    return still_used(leaving, staying, without_block=record.rows.keys() - names)


def _in_order(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return what is made in the order of `RESOURCE_KINDS`, then what is deleted in the reverse one."""
    rank = {kind_of_resource.kind: place for place, kind_of_resource in enumerate(RESOURCE_KINDS)}
    made = [step for step in steps if step.action is not Action.DELETE]
    deleted = sorted(
        (step for step in steps if step.action is Action.DELETE), key=lambda step: rank[step.kind], reverse=True
    )
    return (*made, *deleted)


async def apply_plan(
    changeset: Changeset, services: Services, done: Callable[[Step], None], *, check: Callable[[], None] = lambda: None
) -> None:
    """Apply exactly the steps of a plan; killed at any point, the next plan holds what is left.

    Before each kind of resource `check` says, by not raising, that no other apply is under way.
    Raises `StepsRefused` at the end, when the server did not take some resources; what needs them was left out.
    """
    kinds_by_name = {kind_of_resource.kind: kind_of_resource for kind_of_resource in RESOURCE_KINDS}
    refusals: list[Refusal] = []
    for (kind, deleting), group in groupby(
        changeset.plan.changes, key=lambda step: (step.kind, step.action is Action.DELETE)
    ):
        needed = _still_needed(refusals, services) if deleting and refusals else set()
        steps = tuple(step for step in group if step.instance not in needed)
        check()
        try:
            await kinds_by_name[kind].apply(steps, changeset.state, services, done)
        except StepsRefused as error:
            refusals.extend(error.refusals)
    if refusals:
        raise StepsRefused(refusals)


def _still_needed(refusals: Iterable[Refusal], services: Services) -> set[str]:
    """Return the instances that must stay with their parts: by them what of them did not go is found again."""
    left = {refusal.step.instance for refusal in refusals if refusal.step.action is Action.DELETE}
    return left.union(*(part_names(spec) for spec in services.repository.specs() if spec.name in left))
