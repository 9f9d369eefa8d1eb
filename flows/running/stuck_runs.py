"""Stuck runs: found by what they no longer say, and ended as Crashed, or as Cancelled where that was asked for."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from flows.integrations.prefect_api import PrefectApi, moment_of
from flows.running.run_messages import ended_message
from instances.world.facts import FlowFacts, RunFact, RunState
from instances.world.wording import moment, span

HEARTBEAT = "prefect.flow-run.heartbeat"


@dataclass(frozen=True)
class StuckTimeouts:
    """How long a run may be pending or cancelling, and how long a running one may give no sign of life.

    Prefect sends a heartbeat every 3 minutes unless told otherwise: shorter than two of them would end healthy runs.
    """

    pending: dt.timedelta = dt.timedelta(minutes=15)
    heartbeat: dt.timedelta = dt.timedelta(minutes=10)


async def end_stuck_runs(
    prefect: PrefectApi, flows: Iterable[FlowFacts], now: dt.datetime, patience: StuckTimeouts
) -> tuple[str, ...]:
    """End the runs that are stuck, and return a sentence about each.

    A run that never had a heartbeat is left alone: they may be turned off where it runs.
    """
    ended: list[str] = []
    for flow in flows:
        for run in flow.live:
            why = await _stuck(prefect, run, now, patience)
            if why is not None:
                ends_as = RunState.CANCELLED if run.state is RunState.CANCELLING else RunState.CRASHED
                await prefect.set_state(run.run_id, ends_as, ended_message(why))
                ended.append(f"{flow.label}: {why}")
    return tuple(ended)


async def _stuck(prefect: PrefectApi, run: RunFact, now: dt.datetime, patience: StuckTimeouts) -> str | None:
    age = now - run.at
    if run.state is RunState.PENDING and age > patience.pending:
        return f"it has been pending since {moment(run.at, now)}, for more than {span(patience.pending)}"
    if run.state is RunState.CANCELLING and age > patience.pending:
        return f"it has been cancelling since {moment(run.at, now)}, for more than {span(patience.pending)}"
    if run.state is RunState.RUNNING and age > patience.heartbeat:
        last = await _last_heartbeat(prefect, run)
        if last is not None and now - last > patience.heartbeat:
            return f"its last heartbeat was at {moment(last, now)}, more than {span(patience.heartbeat)} ago"
    return None


async def _last_heartbeat(prefect: PrefectApi, run: RunFact) -> dt.datetime | None:
    """Return when the run last sent a heartbeat since it began to run; None when it never has."""
    event = await prefect.newest_event(f"prefect.flow-run.{run.run_id}", HEARTBEAT, since=run.at)
    return moment_of(event["occurred"]) if event else None
