"""The cascade at work: reads the world, decides, claims, and starts runs through their deployments."""

import datetime as dt
import logging
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.logging.loggers import flow_run_logger

from flows.integrations.prefect_api import NotInPrefect, PrefectApi, PrefectError, PrefectRefusal, plain
from flows.integrations.services import Services, opened
from flows.reading.run_reader import PrefectReader
from flows.reading.server_clock import server_now
from flows.reading.world_reader import read_world
from flows.running.run_messages import started_message, superfluous_message
from flows.running.run_names import name_of_run
from instances.rules.cascade import Decision, Hold, Start, decide
from instances.rules.late_runs import superfluous_runs
from instances.world.facts import BLOCKED, SKIPPED, FlowFacts, FlowId, RunFact, RunId, RunState, World
from instances.world.wording import short

Logger = logging.Logger | logging.LoggerAdapter[Any]
REFUSED = (409, 422)  # Prefect's answers to parameters that do not fit the deployment
CASCADE = "cascade"  # tag of the runs that were started automatically


@dataclass(frozen=True)
class CascadeResult:
    """One look at some flows: the world as it was read, what was decided on each, and what came of it.

    `failed` says why a run that was to be started could not be.
    """

    world: World
    decisions: tuple[Decision, ...]
    started: Mapping[FlowId, RunId]
    failed: Mapping[FlowId, str]


async def cascade_hook(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Look again at the flow whose run has ended and at those directly downstream, and start what is due.

    Runs after Prefect has accepted the final state. What a killed process leaves undone the sweep does.
    """
    if flow_run.deployment_id is None:
        return
    logger = flow_run_logger(flow_run, flow)
    async with opened() as services:
        ended = services.repository.flow_of_deployment(flow_run.deployment_id)
        if ended is None:
            return
        if (state.is_cancelling() or state.is_cancelled()) and state.name != BLOCKED:
            services.ledger.withdraw_requests(ended.flow_id, plain(state.timestamp))
        looked = await start_due(services, [ended.flow_id, *services.repository.children(ended.flow_id)])
    log_decisions(looked, logger)


def log_decisions(looked: CascadeResult, logger: Logger) -> None:
    """Log what was decided on each flow, and why."""
    for decision in looked.decisions:
        match decision:
            case Start() if decision.flow_id in looked.failed:
                logger.error("%s: could not be started: %s", decision.label, looked.failed[decision.flow_id])
            case Start():
                run_id = looked.started.get(decision.flow_id)
                how = f"started run {short(run_id)}" if run_id else "started by another process"
                logger.info("%s: %s: %s", decision.label, how, decision.reason)
            case Hold():
                logger.info("%s: left alone: %s", decision.label, decision.reason)


async def start_due(services: Services, flow_ids: Collection[FlowId]) -> CascadeResult:
    """Decide on each of the flows in one reading of the world, and start those that are due."""
    if not flow_ids:
        return CascadeResult({}, (), {}, {})
    now = await server_now(services.prefect)
    reader = PrefectReader(services.prefect)
    world = await read_world(services.repository, services.ledger, reader, flow_ids, now=now, deciding=True)
    return await start_due_in(world, services, flow_ids, now)


async def start_due_in(
    world: World, services: Services, flow_ids: Collection[FlowId], now: dt.datetime
) -> CascadeResult:
    """Decide on each of the flows in a world that was read `deciding` at `now`, and start those that are due."""
    await end_superfluous_runs(services.prefect, (world[flow_id] for flow_id in flow_ids if flow_id in world), now)
    decisions = tuple(decide(world[flow_id], world, now) for flow_id in dict.fromkeys(flow_ids) if flow_id in world)
    started: dict[FlowId, RunId] = {}
    failed: dict[FlowId, str] = {}
    for decision in decisions:
        if not isinstance(decision, Start):
            continue
        try:  # one that can't be started must not keep the others from starting
            run_id = await _start(services, decision, now)
        except PrefectError as error:
            failed[decision.flow_id] = str(error)
            continue
        if run_id is not None:
            started[decision.flow_id] = run_id
    return CascadeResult(world, decisions, started, failed)


async def end_superfluous_runs(prefect: PrefectApi, flows: Iterable[FlowFacts], now: dt.datetime) -> None:
    """End as Skipped the late runs whose work another run has done, so that none of them is started any more.

    One that a worker takes meanwhile finds out by itself.
    """
    for flow in flows:
        for run in superfluous_runs(flow):
            assert flow.completed is not None  # what made it superfluous
            await end_as_skipped(prefect, run, superfluous_message(flow.completed, run.at, now))


async def end_as_skipped(prefect: PrefectApi, run: RunFact, message: str) -> None:
    with suppress(NotInPrefect):  # somebody has deleted it
        await prefect.set_state(run.run_id, RunState.COMPLETED, message, name=SKIPPED)


async def _start(services: Services, start: Start, now: dt.datetime) -> RunId | None:
    """Claim and start one run; None when a run has come of the claim already."""
    ledger, prefect = services.ledger, services.prefect
    taken = ledger.claim(start.key, start.flow_id, fingerprint=start.fingerprint, reason=start.reason, now=now)
    if taken is not None and await _is_there(prefect, taken):
        return None
    try:
        run_id = RunId(
            await prefect.create_run(
                start.deployment_id,
                start.parameters,
                name=name_of_run(start.label, now),
                idempotency_key=start.key,
                why=started_message(start.reason),
                tags=[CASCADE],
            )
        )
    except PrefectRefusal as error:
        if error.status in REFUSED and start.parameters:
            ledger.withdraw_requests(start.flow_id, now)  # what was asked for can't be done
        raise
    ledger.note_started(start.key, run_id)
    return run_id


async def _is_there(prefect: PrefectApi, run_id: RunId) -> bool:
    """Say whether a run still exists: one that was deleted before it ended opens no new claim."""
    try:
        await prefect.run(run_id)
    except NotInPrefect:
        return False
    return True
