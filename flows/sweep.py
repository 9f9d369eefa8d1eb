"""The sweep: the cascade's decision for every flow, on a schedule: what lost events and killed workers left undone."""

import datetime as dt
from dataclasses import replace

from prefect import flow, get_run_logger
from prefect.context import FlowRunContext

from flows.drawing.lineage_layout import lay_out_lineage
from flows.drawing.lineage_svg import save_lineage
from flows.integrations.prefect_api import PrefectApi
from flows.integrations.services import Services, opened
from flows.reading.run_reader import PrefectReader
from flows.reading.server_clock import server_clock, server_now
from flows.reading.status_reader import read_all_flows
from flows.running.events import emit_overdue
from flows.running.run_messages import superfluous_sweep_message
from flows.running.run_starter import end_as_skipped, log_decisions, start_due_in
from flows.running.stuck_runs import StuckTimeouts, end_stuck_runs
from instances.rules.cascade import Start, withdrawn_at
from instances.world.facts import RunId, World


@flow(name="sweep", persist_result=False)
async def sweep(pending_timeout_minutes: int = 15, heartbeat_timeout_minutes: int = 10) -> int:
    """Decide for every flow whether a run of it is due, start those that are, and return how many that were.

    Args:
        pending_timeout_minutes: How long a run may stay pending before it is ended as Crashed.
        heartbeat_timeout_minutes: How long a running one may send no heartbeat before it is; Prefect sends one
            every 3 minutes, unless PREFECT_FLOWS_HEARTBEAT_FREQUENCY says otherwise where the run is.
    """
    patience = StuckTimeouts(
        pending=dt.timedelta(minutes=pending_timeout_minutes), heartbeat=dt.timedelta(minutes=heartbeat_timeout_minutes)
    )
    async with opened() as services:
        await _do_for_late_ones(services.prefect)
        return await sweep_once(services, patience)


async def _do_for_late_ones(prefect: PrefectApi) -> None:
    """End as Skipped the sweeps that are due and not started: where no worker was for a while, they are many."""
    context = FlowRunContext.get()
    own = context.flow_run if context else None
    if own is None or own.deployment_id is None:
        return
    late = await PrefectReader(prefect).live([own.deployment_id], await server_now(prefect))
    for run in late.get(own.deployment_id, ()):
        if run.waiting:
            await end_as_skipped(prefect, run, superfluous_sweep_message(RunId(own.id)))


async def sweep_once(services: Services, patience: StuckTimeouts) -> int:
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
    looked = await start_due_in(world, services, [flow.flow_id for flow in flows], now)
    await save_lineage(prefect, lay_out_lineage(looked.world, now))
    log_decisions(replace(looked, decisions=tuple(d for d in looked.decisions if isinstance(d, Start))), logger)
    logger.info("looked at %d flows, started %d", len(flows), len(looked.started))
    return len(looked.started)


def _withdraw(services: Services, world: World) -> None:
    for facts in world.values():
        cancelled_at = withdrawn_at(facts)
        if cancelled_at is not None and facts.requests:
            services.ledger.withdraw_requests(facts.flow_id, cancelled_at)
