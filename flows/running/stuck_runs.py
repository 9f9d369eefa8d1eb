"""Stuck runs: found by what they no longer say, and ended as Crashed, or as Cancelled where that was asked for."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from prefect import State
from prefect.client.orchestration import PrefectClient
from prefect.states import Cancelled, Crashed

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
    client: PrefectClient, flows: Iterable[FlowFacts], now: dt.datetime, patience: StuckTimeouts
) -> tuple[str, ...]:
    """End the runs that are stuck, and return a sentence about each.

    A run that never had a heartbeat is left alone: they may be turned off where it runs.
    """
    ended: list[str] = []
    for flow in flows:
        for run in flow.live:
            why = await _stuck(client, run, now, patience)
            if why is not None:
                message = ended_message(why)
                cancelling = run.state is RunState.CANCELLING
                state: State[None] = Cancelled(message=message) if cancelling else Crashed(message=message)
                await client.set_flow_run_state(run.run_id, state)
                ended.append(f"{flow.label}: {why}")
    return tuple(ended)


async def _stuck(client: PrefectClient, run: RunFact, now: dt.datetime, patience: StuckTimeouts) -> str | None:
    age = now - run.at
    if run.state is RunState.PENDING and age > patience.pending:
        return f"it has been pending since {moment(run.at, now)}, for more than {span(patience.pending)}"
    if run.state is RunState.CANCELLING and age > patience.pending:
        return f"it has been cancelling since {moment(run.at, now)}, for more than {span(patience.pending)}"
    if run.state is RunState.RUNNING and age > patience.heartbeat:
        last = await _last_heartbeat(client, run)
        if last is not None and now - last > patience.heartbeat:
            return f"its last heartbeat was at {moment(last, now)}, more than {span(patience.heartbeat)} ago"
    return None


async def _last_heartbeat(client: PrefectClient, run: RunFact) -> dt.datetime | None:
    """Return when the run last sent a heartbeat since it began to run; None when it never has."""
    response = await client.request(
        "POST",
        "/events/filter",
        json={
            "limit": 1,
            "filter": {
                "order": "DESC",
                "event": {"name": [HEARTBEAT]},
                "resource": {"id": [f"prefect.flow-run.{run.run_id}"]},
                "occurred": {"since": run.at.isoformat(), "until": dt.datetime.now(dt.UTC).isoformat()},
            },
        },
    )
    events = response.json()["events"]
    return dt.datetime.fromisoformat(events[0]["occurred"]) if events else None
