"""What the commands do, without how they show it: apply a manifest, run a flow, read the statuses."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from instances.errors import OptaicError
from instances.world.facts import RunId, RunState

if TYPE_CHECKING:
    from definitions.work.flow_spec import FlowSpec
    from flows.integrations.services import Services
    from flows.planning.changeset import Changeset
    from flows.planning.scope import Scope
    from instances.plans.plan import Plan, Step
    from instances.rules.instance_status import InstanceStatus
    from instances.rules.standstills import Standstills
    from instances.specification.applied import FlowRecord
    from instances.specification.handles import InstanceHandles
    from instances.world.facts import World

POLL = 0.3  # seconds between two looks at a run


class NoDeployment(OptaicError):
    """A flow without a deployment: bootstrap has not made it yet, or somebody deleted it."""

    def __init__(self, instance: str, flow: str) -> None:
        super().__init__(f"{instance}.{flow} has no deployment. Run `optaic apply`: it makes what is missing.")


class UnknownParameter(OptaicError):
    """A parameter that a flow's runs don't take."""

    def __init__(self, instance: str, flow: str, name: str, known: Collection[str]) -> None:
        super().__init__(
            f"{instance}.{flow} takes no parameter {name!r}; it takes: {', '.join(sorted(known))}. "
            f"Leave {name!r} out; nothing was started."
        )


class PartOf(OptaicError):
    """A part that is described inside an instance goes with that only."""

    def __init__(self, name: str, whole: str) -> None:
        super().__init__(
            f"{name} is a part of {whole}, described in its block: `optaic destroy {whole}` deletes both, "
            "and a change of that block makes it another."
        )


async def plan(services: "Services", scope: "Scope") -> "Changeset":
    """Return what must change for what `scope` asks. Writes nothing.

    Raises `InvalidSpec` with every problem found; the sources that a manifest names are looked at too.
    """
    from flows.planning.planner import make_plan, storage_of_bootstrap

    return await make_plan(services, await storage_of_bootstrap(services), scope, dt.datetime.now(dt.UTC))


async def apply(
    services: "Services", changeset: "Changeset", done: "Callable[[Step], None]", check: Callable[[], None]
) -> None:
    """Carry out a plan. To be called, like `plan` before it, under `services.exclusive`, which yields `check`."""
    from flows.planning.planner import apply_plan

    await apply_plan(changeset, services, done, check=check)


async def destroy_scope(services: "Services", names: "tuple[str, ...]", *, data: bool) -> "Scope":
    """Return the scope of a plan that deletes these instances with the parts that are their own; all without names.

    Raises `PartOf` for a part that is described inside an instance which is not to go.
    """
    from flows.planning.scope import Scope
    from flows.reading.block_reader import read_blocks
    from instances.specification.types import PARTS, part_name
    from instances.storage.row_fields import recorded_rows

    blocks = await read_blocks(services.prefect)
    there = blocks.names | recorded_rows(services.engine).keys()
    if not names:
        return Scope(destroy=tuple(sorted(there)), data=data)
    for whole, saved in blocks.by_name.items():
        if whole not in names and (parts := {part.name for part in saved.parts}.intersection(names)):
            raise PartOf(min(parts), whole)
    own = {part_name(name, type_) for name in names for type_ in PARTS.values()}
    return Scope(destroy=(*names, *sorted(own & there)), data=data)


async def adopt(services: "Services", names: "tuple[str, ...]") -> list[str]:
    """Make ours what exists already, and return what that was; of the named instances, or of all.

    Raises `UnknownInstance`.
    """
    from flows.planning import adoption

    return await adoption.adopt(services, names)


@dataclass(frozen=True)
class WorldSnapshot:
    """All flows, the world that they were read in, and what of the machinery stood still, at one moment."""

    flows: tuple["FlowRecord", ...]
    world: "World"
    standstills: "Standstills"
    now: dt.datetime


async def read_snapshot(services: "Services") -> WorldSnapshot:
    """Return the world of all flows now."""
    from flows.reading.server_clock import server_now
    from flows.reading.standstill_reader import read_standstills
    from flows.reading.status_reader import read_all_flows

    now = await server_now(services.prefect)
    flows, world = await read_all_flows(services, now)
    pools = {flow.work_pool for flow in world.values()}
    return WorldSnapshot(flows, world, await read_standstills(services, pools, now), now)


async def standstills_of(services: "Services", plan: "Plan") -> "Standstills":
    """Return what keeps runs of the deployments in a plan from starting by themselves."""
    from flows.reading.server_clock import server_now
    from flows.reading.standstill_reader import read_standstills

    pools = {step.after.get("work_pool") for step in plan.steps if step.kind == "deployment"}
    return await read_standstills(services, pools, await server_now(services.prefect))


@dataclass(frozen=True)
class PauseChange:
    """A flow that was paused or resumed, and whether it was so already."""

    label: str
    paused: bool
    before: bool


async def set_paused(services: "Services", flows: "Sequence[FlowRecord]", *, paused: bool) -> list[PauseChange]:
    """Pause or resume the deployments of flows; those that are resumed with their schedules.

    Raises `NoDeployment` before any is changed.
    """
    from flows.reading.deployment_reader import deployments_with_ids

    ids = [flow.deployment_id for flow in flows if flow.deployment_id is not None]
    there = {found.deployment_id: found for found in await deployments_with_ids(services.prefect, ids)}
    for flow in flows:
        if flow.deployment_id not in there:
            raise NoDeployment(flow.instance, flow.kind)
    changes = []
    for flow in flows:
        assert flow.deployment_id is not None  # it is there
        found = there[flow.deployment_id]
        was = found.paused if paused else found.paused or bool(found.paused_schedules)
        changes.append(PauseChange(f"{flow.instance}.{flow.kind}", paused, was == paused))
        if paused:
            await services.prefect.pause_deployment(found.deployment_id)
            continue
        await services.prefect.resume_deployment(found.deployment_id)
        for name in found.paused_schedules:
            await services.prefect.resume_schedule(found.deployment_id, found.schedule_ids[name])
    return changes


async def statuses_in(services: "Services", snapshot: WorldSnapshot) -> tuple["InstanceStatus", ...]:
    """Return the statuses of all instances as a snapshot has them, with what is wrong with their blocks."""
    from flows.reading.status_reader import statuses_in

    return await statuses_in(services, snapshot.flows, snapshot.world, snapshot.now)


def handles_in(
    services: "Services", lines: "Iterable[InstanceStatus]", snapshot: WorldSnapshot
) -> "dict[str, InstanceHandles]":
    """Return the handles of all instances on record, by name, with what is derived as a snapshot has it."""
    from flows.reading.handle_reader import handles_in

    return handles_in(services, lines, snapshot.world, snapshot.now)


@dataclass(frozen=True)
class Withdrawal:
    """How many requests of a flow were taken back, and the runs of it that are due already all the same."""

    label: str
    count: int
    due: tuple[RunId, ...]


async def withdraw(services: "Services", flow: "FlowRecord") -> Withdrawal:
    """Take back all that is asked for of a flow."""
    from flows.reading.run_reader import PrefectReader
    from flows.reading.server_clock import server_now

    now = await server_now(services.prefect)
    count = services.ledger.withdraw_requests(flow.flow_id, now)
    due: tuple[RunId, ...] = ()
    if flow.deployment_id is not None:
        former = dict.fromkeys(flow.former_deployments, flow.deployment_id)
        live = await PrefectReader(services.prefect, former).live([flow.deployment_id], now)
        due = tuple(run.run_id for run in live.get(flow.deployment_id, ()) if run.waiting)
    return Withdrawal(f"{flow.instance}.{flow.kind}", count, due)


async def read_statuses(services: "Services") -> tuple["InstanceStatus", ...]:
    """Return the statuses of all instances now."""
    from flows.reading.server_clock import server_now
    from flows.reading.status_reader import read_statuses

    return await read_statuses(services, await server_now(services.prefect))


@dataclass(frozen=True)
class RunSnapshot:
    """A state that a run was seen in."""

    run_id: RunId
    state: RunState
    name: str
    message: str

    @property
    def ended(self) -> bool:
        return self.state in {RunState.COMPLETED, RunState.FAILED, RunState.CRASHED, RunState.CANCELLED}


async def run(services: "Services", flow: "FlowRecord", parameters: Mapping[str, object]) -> AsyncIterator[RunSnapshot]:
    """Start a flow through its deployment, and yield each state that it is seen in, up to its last.

    Raises `NoDeployment`, `UnknownParameter`; then nothing is started.
    """
    if flow.deployment_id is None:
        raise NoDeployment(flow.instance, flow.kind)
    parameters = check_parameters(flow, parameters, await asyncio.to_thread(_brought, services, flow))
    from flows.integrations.prefect_api import NotInPrefect
    from flows.reading.server_clock import server_now
    from flows.running.run_names import name_of_run

    name = name_of_run(f"{flow.instance}.{flow.kind}", await server_now(services.prefect))
    try:
        run_id = await services.prefect.create_run(flow.deployment_id, parameters, name=name)
    except NotInPrefect as error:
        raise NoDeployment(flow.instance, flow.kind) from error
    last: RunSnapshot | None = None
    while last is None or not last.ended:
        seen = await _look(services, run_id)
        if seen != last:
            yield seen
        last = seen
        if not seen.ended:
            await asyncio.sleep(POLL)


def _brought(services: "Services", flow: "FlowRecord") -> "FlowSpec | None":
    """Return what the definition of an instance says of a flow that it brings; None of a flow of ours."""
    if flow.kind.built_in:
        return None
    from instances.specification.plugins import own_definition

    applied = services.repository.applied([flow.instance])[flow.instance]
    return own_definition(applied, services.registry).definition.flow_spec(flow.kind)


def check_parameters(
    flow: "FlowRecord", parameters: Mapping[str, object], brought: "FlowSpec | None" = None
) -> Mapping[str, object]:
    """Return the parameters of a run as JSON.

    Raises `UnknownParameter` for one that runs of the flow don't take: Prefect would start it, and it would crash.
    Raises `DefinitionError` for a value that a flow which a definition has `brought` does not take.
    """
    from flows.planning.deployment_spec import flow_schema

    known = flow_schema(flow.kind)["properties"].keys() - {"instance", "flow"}
    if flow.kind.built_in:
        known = known - {"parameters"}
    for name in parameters:
        if name not in known:
            raise UnknownParameter(flow.instance, flow.kind, name, known)
    given = parameters.get("parameters")
    if brought is not None and isinstance(given, Mapping):
        own = brought.parse(given).model_dump(mode="json", exclude_unset=True)
        return {**parameters, "parameters": own}
    return parameters


async def _look(services: "Services", run_id: UUID) -> RunSnapshot:
    from flows.integrations.prefect_api import NotInPrefect

    try:
        state = (await services.prefect.run(run_id))["state"]
    except NotInPrefect as error:
        raise OptaicError(f"run {run_id} is not there any more: somebody deleted it. Start it again.") from error
    if state is None:
        raise OptaicError(f"run {run_id} has no state: it may have been deleted. Start it again.")
    return RunSnapshot(RunId(run_id), RunState(state["type"]), state["name"] or "", state["message"] or "")


async def outcome(services: "Services", instance: str, flow: str) -> str:
    """Return what the newest completed run of a flow says of what it left, as Markdown without its pictures."""
    from flows.running.run_names import outcome_key

    found = await services.prefect.newest_artifact(outcome_key(instance, flow))
    text = str(found["data"]) if found else "It has left nothing to read yet."
    return text.partition("![")[0].strip()


def has_own_message(seen: RunSnapshot) -> bool:
    """Say whether the run's own message is written for people: of a foreseen error, not of a bug."""
    return bool(seen.message) and not seen.message.startswith("Flow run encountered an exception")


async def errors_of(services: "Services", run_id: RunId, lines: int = 20) -> str:
    """Return the end of what the run logged as errors; empty when it logged none."""
    newest_first = await services.prefect.newest_errors(run_id, lines)  # each has a line at least
    return "\n".join("\n".join(log["message"] for log in reversed(newest_first)).splitlines()[-lines:])
