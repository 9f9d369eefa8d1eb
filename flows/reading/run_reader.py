"""Reads run states from Prefect, for many deployments in few requests."""

import datetime as dt
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
    Operator,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from instances.world.facts import AWAITING_RETRY, BLOCKED, DECISIVE, ENDED, SKIPPED, RunFact, RunId, RunState

PAGE = 200  # what the Prefect API gives at most in one answer
UNDER_WAY = (RunState.PENDING, RunState.RUNNING, RunState.PAUSED, RunState.CANCELLING)
ENOUGH = 5  # of a deployment's newest decisive runs, to see whether it fails again and again


@dataclass(frozen=True)
class RunsByDeployment:
    """What Prefect says of each deployment's runs; a deployment without such a run is left out.

    Runs that ended as Skipped are in none of it: only their rows tell which of them have confirmed something.
    `recent` are the newest decisive runs of those that did not complete last, newest first, up to the last
    that completed. `cancelled` are the newest that a person cancelled, where that may still count.
    """

    live: dict[UUID, tuple[RunFact, ...]]
    decisive: dict[UUID, RunFact]
    completed: dict[UUID, RunFact]
    last_ended: dict[UUID, RunFact]
    recent: dict[UUID, tuple[RunFact, ...]]
    cancelled: dict[UUID, RunFact]


@dataclass(frozen=True)
class FoundRun:
    """A run that Prefect has, and the deployment whose it is or was; no fact of one that has not ended."""

    deployment_id: UUID | None
    ended: RunFact | None


class PrefectReader:
    """Reads through one client; `requests` counts what it has asked.

    No query pages by offset: runs start and end meanwhile, and a page that shifts would hide some.
    """

    def __init__(self, client: PrefectClient) -> None:
        self.client = client
        self.requests = 0

    async def runs(
        self, deployments: Collection[UUID], *, deciding: Collection[UUID] = (), now: dt.datetime
    ) -> RunsByDeployment:
        """Return the live and the newest ended runs of `deployments`; none of deployments that are gone.

        For those in `deciding` the newest ended run of any kind is read too, and the failures in a row.
        """
        live = await self.live(deployments, now)
        decisive = await self.newest(deployments, DECISIVE)
        undecided = [d for d in deployments if d in decisive and decisive[d].state is not RunState.COMPLETED]
        completed = {d: run for d, run in decisive.items() if run.state is RunState.COMPLETED}
        completed |= await self.newest(undecided, {RunState.COMPLETED})
        last_ended = await self.newest(deciding, ENDED) if deciding else {}
        recent = await self.recent(set(undecided) & set(deciding))
        cancelled = {d: run for d, run in last_ended.items() if run.cancelled_by_a_person}
        behind = [d for d, run in last_ended.items() if run.state is not RunState.COMPLETED and d not in cancelled]
        cancelled |= await self.newest(behind, {RunState.CANCELLED}, other_than=BLOCKED)
        return RunsByDeployment(live, decisive, completed, last_ended, recent, cancelled)

    async def live(self, deployments: Collection[UUID], now: dt.datetime) -> dict[UUID, tuple[RunFact, ...]]:
        """Return the runs that are under way, waiting, or scheduled and due, by deployment.

        Of many at once some may be left out, but never all of a deployment.
        """
        under_way = FlowRunFilterState(
            type=FlowRunFilterStateType(any_=[StateType(state.value) for state in UNDER_WAY]),
            name=FlowRunFilterStateName(any_=[AWAITING_RETRY]),
        )
        under_way.operator = Operator.or_
        due = _in_states([RunState.SCHEDULED])
        due.expected_start_time = FlowRunFilterExpectedStartTime(before_=now)
        found: dict[UUID, dict[RunId, RunFact]] = {}
        for query in (FlowRunFilter(state=under_way), due):
            # The newest that are due first: one that is not superfluous must not be hidden by many that are.
            async for run in self._all(deployments, query, FlowRunSort.EXPECTED_START_TIME_DESC):
                fact = live_fact(run)
                found.setdefault(_deployment(run), {})[fact.run_id] = fact
        return {deployment: tuple(sorted(runs.values(), key=_age)) for deployment, runs in found.items()}

    async def newest(
        self, deployments: Collection[UUID], states: Iterable[RunState], *, other_than: str = SKIPPED
    ) -> dict[UUID, RunFact]:
        """Return the newest ended run in one of `states`, but not of one name, of each deployment that has one.

        Asks for the newest of all together, drops the deployments seen, and asks again.
        """
        found: dict[UUID, RunFact] = {}
        query = _in_states(states, other_than=other_than)
        async for run in self._all(deployments, query, FlowRunSort.END_TIME_DESC):
            found.setdefault(_deployment(run), ended_fact(run))
        return found

    async def with_ids(self, run_ids: Collection[RunId]) -> dict[RunId, FoundRun]:
        """Return those of these runs that Prefect has, whatever has become of their deployments."""
        found: dict[RunId, FoundRun] = {}
        ordered = sorted(run_ids)
        for start in range(0, len(ordered), PAGE):
            self.requests += 1
            query = FlowRunFilter(id=FlowRunFilterId(any_=list(ordered[start : start + PAGE])))
            for run in await self.client.read_flow_runs(flow_run_filter=query, limit=PAGE):
                ended = ended_fact(run) if _state(run)[0] in ENDED else None
                found[RunId(run.id)] = FoundRun(run.deployment_id, ended)
        return found

    async def recent(self, deployments: Collection[UUID]) -> dict[UUID, tuple[RunFact, ...]]:
        """Return the newest decisive runs of each deployment, newest first, up to one that completed."""
        found: dict[UUID, dict[RunId, RunFact]] = {deployment: {} for deployment in deployments}
        open_ones, before = set(deployments), None
        while open_ones:
            query = _in_states(DECISIVE, other_than=SKIPPED)
            if before is not None:
                query.end_time = FlowRunFilterEndTime(before_=before)
            page = await self._page(open_ones, query, FlowRunSort.END_TIME_DESC)
            for run in page:
                runs = found[_deployment(run)]
                if _deployment(run) in open_ones:
                    runs[RunId(run.id)] = ended_fact(run)
                if run.state_type is StateType.COMPLETED or len(runs) >= ENOUGH:
                    open_ones.discard(_deployment(run))
            if len(page) < PAGE or page[-1].end_time == before:
                break
            before = page[-1].end_time
        return {deployment: tuple(runs.values()) for deployment, runs in found.items()}

    async def _all(
        self, deployments: Collection[UUID], query: FlowRunFilter, sort: FlowRunSort
    ) -> AsyncIterator[FlowRun]:
        """Yield at least the first run of each deployment, in the order of `sort`.

        Asks for the runs of all deployments together, drops those that were seen, and asks again.
        """
        remaining = set(deployments)
        while remaining:
            page = await self._page(remaining, query, sort)
            for run in page:
                yield run
            if len(page) < PAGE:
                return
            remaining -= {_deployment(run) for run in page}

    async def _page(self, deployments: Collection[UUID], query: FlowRunFilter, sort: FlowRunSort) -> list[FlowRun]:
        self.requests += 1
        return await self.client.read_flow_runs(
            # By the deployment itself, not by the id that a run still bears when its deployment is gone.
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=list(deployments))),
            flow_run_filter=query,
            sort=sort,
            limit=PAGE,
        )


def _age(run: RunFact) -> dt.datetime:
    return run.at


def _in_states(states: Iterable[RunState], *, other_than: str | None = None) -> FlowRunFilter:
    types = FlowRunFilterStateType(any_=[StateType(state.value) for state in states])
    name = FlowRunFilterStateName(not_any_=[other_than]) if other_than is not None else None
    return FlowRunFilter(state=FlowRunFilterState(type=types, name=name))


def _deployment(run: FlowRun) -> UUID:
    assert run.deployment_id is not None  # runs are only ever asked for by their deployment
    return run.deployment_id


def _state(run: FlowRun) -> tuple[RunState, str, str]:
    if run.state is None:  # every stored run has a state; one without can't be judged
        raise ValueError(f"flow run {run.id} has no state")
    return RunState(run.state.type.value), run.state.name or "", run.state.message or ""


def ended_fact(run: FlowRun) -> RunFact:
    """Return an ended run as a fact."""
    state, name, message = _state(run)
    assert run.state is not None
    return RunFact(
        RunId(run.id), state, name, run.end_time or run.state.timestamp, message, parameters=_parameters(run)
    )


def live_fact(run: FlowRun) -> RunFact:
    state, name, message = _state(run)
    assert run.state is not None
    due = state is RunState.SCHEDULED and name != AWAITING_RETRY
    at = (run.expected_start_time or run.state.timestamp) if due else run.state.timestamp
    return RunFact(RunId(run.id), state, name, at, message, parameters=_parameters(run))


def _parameters(run: FlowRun) -> dict[str, object]:
    """Return what a run was given beside its instance; what it could as well have been left out is."""
    return {name: value for name, value in run.parameters.items() if name != "instance" and value}
