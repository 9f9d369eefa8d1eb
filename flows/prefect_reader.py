"""Reads run states from Prefect, for many deployments in few requests."""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort

from instances.facts import DECISIVE, ENDED, RunFact, RunId, RunState

PAGE = 200  # what the Prefect API gives at most in one answer
LIVE = (
    RunState.SCHEDULED,
    RunState.PENDING,
    RunState.RUNNING,
    RunState.PAUSED,
    RunState.CANCELLING,
)
AWAITING_RETRY = "AwaitingRetry"  # scheduled, but under way: it has run, and will again
# A worker takes scheduled runs a little early; asking this far ahead finds those that it has in hand.
AHEAD = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class RunsByDeployment:
    """What Prefect says of each deployment's runs; a deployment without such a run is left out."""

    live: dict[UUID, tuple[RunFact, ...]]
    decisive: dict[UUID, RunFact]
    completed: dict[UUID, RunFact]
    last_ended: dict[UUID, RunFact]
    crashes: dict[UUID, int]


class PrefectReader:
    """Reads through one client; `requests` counts what it has asked."""

    def __init__(self, client: PrefectClient) -> None:
        self.client = client
        self.requests = 0

    async def runs(
        self, deployments: Collection[UUID], *, deciding: Collection[UUID] = (), now: dt.datetime
    ) -> RunsByDeployment:
        """Return the live and the newest ended runs of `deployments`.

        For those in `deciding` the newest ended run of any kind is read too, and the crashes in a row.
        """
        live = await self.live(deployments, now)
        decisive = await self.newest(deployments, DECISIVE)
        undecided = [d for d in deployments if d in decisive and decisive[d].state is not RunState.COMPLETED]
        completed = {d: run for d, run in decisive.items() if run.state is RunState.COMPLETED}
        completed |= await self.newest(undecided, {RunState.COMPLETED})
        last_ended = await self.newest(deciding, ENDED) if deciding else {}
        crashed = [d for d in deciding if d in decisive and decisive[d].state is RunState.CRASHED]
        crashes = {d: await self.crashes_in_row(d) for d in crashed}
        return RunsByDeployment(live, decisive, completed, last_ended, crashes)

    async def live(self, deployments: Collection[UUID], now: dt.datetime) -> dict[UUID, tuple[RunFact, ...]]:
        """Return the runs that are under way, waiting, or scheduled and due, by deployment."""
        found: dict[UUID, list[RunFact]] = {}
        offset = 0
        while deployments:
            page = await self._page(deployments, LIVE, FlowRunSort.EXPECTED_START_TIME_ASC, offset)
            for run in page:
                if run.deployment_id and (fact := _live_fact(run, now)):
                    found.setdefault(run.deployment_id, []).append(fact)
            last = page[-1].expected_start_time if page else None
            if len(page) < PAGE or (last is not None and last > now + AHEAD):
                break
            offset += PAGE
        return {deployment: tuple(runs) for deployment, runs in found.items()}

    async def newest(self, deployments: Collection[UUID], states: Iterable[RunState]) -> dict[UUID, RunFact]:
        """Return the newest ended run in one of `states` of each deployment that has one.

        Asks for the newest of all together, drops the deployments seen, and asks again.
        """
        wanted = tuple(states)
        remaining = set(deployments)
        found: dict[UUID, RunFact] = {}
        while remaining:
            page = await self._page(remaining, wanted, FlowRunSort.END_TIME_DESC)
            for run in page:
                if run.deployment_id and run.deployment_id not in found:
                    found[run.deployment_id] = ended_fact(run)
            if len(page) < PAGE:
                break
            remaining -= found.keys()
        return found

    async def crashes_in_row(self, deployment: UUID, at_most: int = 20) -> int:
        """Count the crashes since the last run that ended otherwise; blocked and cancelled ones don't count."""
        page = await self._page([deployment], tuple(DECISIVE), FlowRunSort.END_TIME_DESC, limit=at_most)
        count = 0
        for run in page:
            if run.state_type is not StateType.CRASHED:
                break
            count += 1
        return count

    async def deployments(self, ids: Collection[UUID]) -> dict[UUID, DeploymentResponse]:
        """Return the deployments that still exist, by id."""
        found: dict[UUID, DeploymentResponse] = {}
        ordered = sorted(ids)
        for start in range(0, len(ordered), PAGE):
            self.requests += 1
            part = await self.client.read_deployments(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=ordered[start : start + PAGE])),
                limit=PAGE,
            )
            found |= {deployment.id: deployment for deployment in part}
        return found

    async def deployments_named(self, names: Collection[str]) -> dict[str, DeploymentResponse]:
        """Return the deployments that exist of these 'flow/name' names."""
        found: dict[str, DeploymentResponse] = {}
        by_flow: dict[str, list[str]] = {}
        for name in sorted(names):
            flow, _, own = name.partition("/")
            by_flow.setdefault(flow, []).append(own)
        for flow, own_names in by_flow.items():
            for start in range(0, len(own_names), PAGE):
                self.requests += 1
                part = await self.client.read_deployments(
                    flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
                    deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=own_names[start : start + PAGE])),
                    limit=PAGE,
                )
                found |= {f"{flow}/{deployment.name}": deployment for deployment in part}
        return found

    async def _page(
        self,
        deployments: Collection[UUID],
        states: tuple[RunState, ...],
        sort: FlowRunSort,
        offset: int = 0,
        limit: int = PAGE,
    ) -> list[FlowRun]:
        self.requests += 1
        return await self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=list(deployments)),
                state=FlowRunFilterState(
                    type=FlowRunFilterStateType(any_=[StateType(state.value) for state in states])
                ),
            ),
            sort=sort,
            limit=limit,
            offset=offset,
        )


def _state(run: FlowRun) -> tuple[RunState, str, str]:
    if run.state is None:  # every stored run has a state; one without can't be judged
        raise ValueError(f"flow run {run.id} has no state")
    return RunState(run.state.type.value), run.state.name or "", run.state.message or ""


def ended_fact(run: FlowRun) -> RunFact:
    """Return an ended run as a fact."""
    state, name, message = _state(run)
    assert run.state is not None
    return RunFact(RunId(run.id), state, name, run.end_time or run.state.timestamp, message)


def _live_fact(run: FlowRun, now: dt.datetime) -> RunFact | None:
    state, name, message = _state(run)
    assert run.state is not None
    if state is not RunState.SCHEDULED or name == AWAITING_RETRY:
        return RunFact(RunId(run.id), state, name, run.state.timestamp, message)
    due = run.expected_start_time or run.state.timestamp
    if due > now:
        return None
    return RunFact(RunId(run.id), state, name, due, message)
