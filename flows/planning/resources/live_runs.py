"""Live runs of deployments that are to go: a deployment is not deleted under them, for then they could never end.

Prefect releases the slot of a run by its deployment; once that is gone no state of the run can be set any more.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Collection
from uuid import UUID

from flows.integrations.prefect_api import PrefectApi
from flows.planning.resources.resource import Refusal, StepsRefused
from flows.reading.run_reader import PrefectReader
from flows.reading.server_clock import server_now
from instances.plans.plan import Step
from instances.world.facts import RunFact, RunState
from instances.world.wording import moment, short

PATIENCE = dt.timedelta(seconds=60)  # for a worker to end what is cancelled
_POLL_SECONDS = 0.5


async def live_runs(prefect: PrefectApi, deployments: Collection[UUID]) -> list[tuple[UUID, str]]:
    """Return the runs that are at work, each by its deployment and in words."""
    if not deployments:
        return []
    now = await server_now(prefect)
    found = await _at_work(prefect, deployments, now)
    return [
        (deployment, f"its run {short(run.run_id)} is {_what(run)} since {moment(run.at, now)}")
        for deployment, runs in found.items()
        for run in runs
    ]


async def free_of_runs(prefect: PrefectApi, step: Step, deployment: UUID, *, cancel: bool) -> None:
    """See that no run of a deployment is at work; with `cancel` those that are get cancelled, and are waited for.

    Raises `StepsRefused`.
    """
    if cancel:
        await _cancelled(prefect, deployment)
    told = [what for _, what in await live_runs(prefect, [deployment])]
    if told:
        remedy = "apply again when it has ended" if cancel else "wait until it has ended, or cancel it with --cancel"
        raise StepsRefused([Refusal(step, f"{told[0]}; {remedy}.", by="optaic")])


async def _cancelled(prefect: PrefectApi, deployment: UUID) -> None:
    asked: set[UUID] = set()
    until = time.monotonic() + PATIENCE.total_seconds()
    while time.monotonic() < until:
        found = await _at_work(prefect, [deployment], await server_now(prefect))
        runs = found.get(deployment, [])
        if not runs:
            return
        for run in runs:
            if run.run_id not in asked and run.state is not RunState.CANCELLING:
                await prefect.set_state(run.run_id, RunState.CANCELLING, "Its instance is being destroyed.")
            asked.add(run.run_id)
        await asyncio.sleep(_POLL_SECONDS)


async def _at_work(prefect: PrefectApi, deployments: Collection[UUID], now: dt.datetime) -> dict[UUID, list[RunFact]]:
    """Return the runs under way; those that only wait for a worker go with their deployment."""
    live = await PrefectReader(prefect).live(deployments, now)
    at_work = {deployment: [run for run in runs if not run.waiting] for deployment, runs in live.items()}
    return {deployment: runs for deployment, runs in at_work.items() if runs}


def _what(run: RunFact) -> str:
    match run.state:
        case RunState.CANCELLING:
            return "cancelling"
        case RunState.PAUSED:
            return "paused"
        case RunState.PENDING:
            return "pending"
        case _:
            return "at work"
