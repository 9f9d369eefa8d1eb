"""The sweep: the cascade's decision for every flow, on a schedule: what lost events and killed workers left undone."""

import datetime as dt
from dataclasses import replace
from functools import partial
from uuid import UUID

from prefect import State, flow, get_run_logger
from prefect.context import FlowRunContext
from prefect.states import Completed

from flows.drawing.lineage_layout import lay_out_lineage
from flows.drawing.lineage_svg import save_lineage
from flows.integrations.prefect_api import PrefectApi
from flows.integrations.services import Services, opened
from flows.planning.resources.instance_renames import clear_leftovers
from flows.reading.run_reader import PrefectReader
from flows.reading.server_clock import server_clock, server_now
from flows.reading.standstill_reader import SWEEP, swept_message
from flows.reading.status_reader import aggregation_of, read_all_flows
from flows.running.events import emit_overdue
from flows.running.run_messages import superfluous_sweep_message
from flows.running.run_names import housekeeping_name
from flows.running.run_starter import CascadeResult, end_as_skipped, log_decisions, start_due_in
from flows.running.stuck_runs import StuckTimeouts, end_stuck_runs
from instances.rules.cascade import Start, withdrawn_at
from instances.world.facts import RunId, RunState, World

KEPT = 20  # of its own completed runs: there is one a minute, and people look for theirs


@flow(name=SWEEP, flow_run_name=housekeeping_name, persist_result=False)
async def sweep(pending_timeout_minutes: int = 15, heartbeat_timeout_minutes: int = 10) -> State[None]:
    """Decide for every flow whether a run of it is due, and start those that are.

    Args:
        pending_timeout_minutes: How long a run may stay pending before it is ended as Crashed.
        heartbeat_timeout_minutes: How long a running one may send no heartbeat before it is; Prefect sends one
            every 3 minutes, unless PREFECT_FLOWS_HEARTBEAT_FREQUENCY says otherwise where the run is.
    """
    patience = StuckTimeouts(
        pending=dt.timedelta(minutes=pending_timeout_minutes), heartbeat=dt.timedelta(minutes=heartbeat_timeout_minutes)
    )
    async with opened() as services:
        context = FlowRunContext.get()
        own = context.flow_run if context else None
        if own is not None and own.deployment_id is not None:
            await _end_late_sweeps(services.prefect, RunId(own.id), own.deployment_id)
            await _keep_few(services.prefect, own.deployment_id)
        looked = await sweep_once(services, patience)
    return Completed(message=swept_message(len(looked.decisions), len(looked.started), services.owner_tag))


async def _end_late_sweeps(prefect: PrefectApi, own: RunId, deployment_id: UUID) -> None:
    """End as Skipped the sweeps that are due and not started: where no worker was for a while, they are many."""
    late = await PrefectReader(prefect).live([deployment_id], await server_now(prefect))
    for run in late.get(deployment_id, ()):
        if run.waiting:
            await end_as_skipped(prefect, run, superfluous_sweep_message(own))


async def _keep_few(prefect: PrefectApi, deployment_id: UUID) -> None:
    """Delete the older sweeps of this deployment that completed; one that failed stays for people to look at."""
    completed = {"state": {"type": {"any_": [RunState.COMPLETED]}}}
    page = await prefect.runs([deployment_id], completed, sort="END_TIME_DESC")
    for run in page.entries[KEPT:]:
        await prefect.delete_run(UUID(run["id"]))


async def sweep_once(services: Services, patience: StuckTimeouts) -> CascadeResult:
    """End what is stuck, tell what is overdue, withdraw what people cancelled, start what is due, draw it all."""
    logger, prefect = get_run_logger(), services.prefect
    clock = await server_clock(prefect)
    now = clock.now()
    flows, world = await read_all_flows(services, now)
    ended = await end_stuck_runs(prefect, world.values(), now, patience)
    for sentence in ended:
        logger.warning("ended as crashed: %s", sentence)
    if ended:  # the world is another one now
        now = clock.now()
        flows, world = await read_all_flows(services, now)
    for overdue in await emit_overdue(prefect, world.values(), now):
        logger.warning("overdue: %s: %s", overdue.flow.label, overdue.missed.reason)
    _withdraw(services, world)
    await clear_leftovers(services)
    looked = await start_due_in(world, services, [flow.flow_id for flow in flows], now)
    await save_lineage(prefect, lay_out_lineage(looked.world, partial(aggregation_of, services), now))
    log_decisions(replace(looked, decisions=tuple(d for d in looked.decisions if isinstance(d, Start))), logger)
    logger.info("looked at %d flows, started %d", len(flows), len(looked.started))
    return looked


def _withdraw(services: Services, world: World) -> None:
    for facts in world.values():
        cancelled_at = withdrawn_at(facts)
        if cancelled_at is not None and facts.requests:
            services.ledger.withdraw_requests(facts.flow_id, cancelled_at)
