"""What the commands do, without how they show it: apply a manifest, run a flow, read the board."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from instances.errors import OptaicError
from instances.facts import RunId, RunState
from optaic.session import Session

if TYPE_CHECKING:
    from blocks.base import AnyInstanceSpec
    from blocks.documents import BlockChanges
    from flows.bootstrap import Bootstrapped
    from instances.board import InstanceLine
    from instances.facts import World
    from instances.repository import FlowRecord

POLL = 0.3  # seconds between two looks at a run


class NoDeployment(OptaicError):
    """A flow that bootstrap has not given its deployment yet."""

    def __init__(self, instance: str, flow: str) -> None:
        super().__init__(f"{instance}.{flow} has no deployment yet. Run `optaic apply`, or the bootstrap deployment.")


@dataclass(frozen=True)
class Applied:
    """What an apply did to the blocks, and what bootstrap did to the deployments."""

    blocks: "BlockChanges"
    deployments: "Bootstrapped"


async def apply(session: Session, specs: Sequence["AnyInstanceSpec"]) -> Applied:
    """Check all of it, save the blocks, and run bootstrap.

    Raises `InvalidSpec` with every problem found, before anything is written.
    """
    from blocks.documents import read_blocks, save_blocks
    from flows.bootstrap import bootstrap
    from instances.resolution import resolve

    existing = await read_blocks(session.client)
    resolve(existing.merged(specs), session.services.registry, resources=session.services.resources)
    changes = await save_blocks(session.client, specs, existing)
    return Applied(changes, await bootstrap())


@dataclass(frozen=True)
class Judged:
    """All flows and the world that they were read in, at one moment."""

    flows: tuple["FlowRecord", ...]
    world: "World"
    now: dt.datetime


async def read_world(session: Session) -> Judged:
    """Return the world of all flows now."""
    from flows.board import read_all

    now = dt.datetime.now(dt.UTC)
    flows, world = await read_all(session.services, session.client, now)
    return Judged(flows, world, now)


async def read_lines(session: Session) -> tuple["InstanceLine", ...]:
    """Return the board of all instances now."""
    from flows.board import read_board

    return await read_board(session.services, session.client, dt.datetime.now(dt.UTC))


@dataclass(frozen=True)
class Seen:
    """A state that a run was seen in."""

    run_id: RunId
    state: RunState
    name: str
    message: str

    @property
    def ended(self) -> bool:
        return self.state in {RunState.COMPLETED, RunState.FAILED, RunState.CRASHED, RunState.CANCELLED}


async def run(session: Session, instance: str, flow: str, parameters: Mapping[str, object]) -> AsyncIterator[Seen]:
    """Start a flow through its deployment, and yield each state that it is seen in, up to its last.

    Raises `UnknownInstance`, `UnknownFlow`, `NoDeployment`.
    """
    repository = session.services.repository
    flow_id = repository.flow_id(instance, flow)
    record = next(r for r in repository.flows(instances=[instance]) if r.flow_id == flow_id)
    if record.deployment_id is None:
        raise NoDeployment(instance, flow)
    created = await session.client.create_flow_run_from_deployment(record.deployment_id, parameters=dict(parameters))
    last: Seen | None = None
    while last is None or not last.ended:
        seen = await _look(session, created.id)
        if seen != last:
            yield seen
        last = seen
        if not seen.ended:
            await asyncio.sleep(POLL)


async def _look(session: Session, run_id: UUID) -> Seen:
    state = (await session.client.read_flow_run(run_id)).state
    if state is None:
        raise OptaicError(f"run {run_id} has no state: it may have been deleted. Start it again.")
    return Seen(RunId(run_id), RunState(state.type.value), state.name or "", state.message or "")


def explains_itself(seen: Seen) -> bool:
    """Say whether the run's own message is written for people: of a foreseen error, not of a bug."""
    return bool(seen.message) and not seen.message.startswith("Flow run encountered an exception")


async def errors_of(session: Session, run_id: RunId, lines: int = 20) -> str:
    """Return the end of what the run logged as errors; empty when it logged none."""
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId, LogFilterLevel
    from prefect.client.schemas.sorting import LogSort

    logs = await session.client.read_logs(
        LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]), level=LogFilterLevel(ge_=40)),
        sort=LogSort.TIMESTAMP_ASC,
    )
    return "\n".join("\n".join(log.message for log in logs).splitlines()[-lines:])
