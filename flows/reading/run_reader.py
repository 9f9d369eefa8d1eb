"""Reads run states from Prefect, for many deployments in few requests."""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flows.integrations.prefect_api import Json, PrefectApi, moment_of
from flows.integrations.prefect_api.prefect_lists import Page
from instances.world.facts import AWAITING_RETRY, BLOCKED, DECISIVE, ENDED, SKIPPED, RunFact, RunId, RunState

UNDER_WAY = (RunState.PENDING, RunState.RUNNING, RunState.PAUSED, RunState.CANCELLING)
_Ask = Callable[..., Awaitable[Page]]  # for the runs of some deployments
ENOUGH = 5  # of a deployment's newest decisive runs, to see whether it fails again and again
_NEWEST_DUE, _NEWEST_ENDED = "EXPECTED_START_TIME_DESC", "END_TIME_DESC"  # how runs are sorted


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
    """Reads runs of one server.

    No query pages by offset: runs start and end meanwhile, and a page that shifts would hide some.
    """

    def __init__(self, prefect: PrefectApi, former: Mapping[UUID, UUID] | None = None) -> None:
        self.prefect = prefect
        self.former = former or {}

    def counting(self, former: Mapping[UUID, UUID]) -> "PrefectReader":
        """Return a reader that counts runs of former deployments as runs of those that they are given with here."""
        return PrefectReader(self.prefect, former)

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
        types = {"any_": [state.value for state in UNDER_WAY]}
        under_way = {"state": {"operator": "or_", "type": types, "name": {"any_": [AWAITING_RETRY]}}}
        due = _in_states([RunState.SCHEDULED]) | {"expected_start_time": {"before_": now}}
        found: dict[UUID, dict[RunId, RunFact]] = {}
        for wanted in (under_way, due):
            # The newest that are due first: one that is not superfluous must not be hidden by many that are.
            async for run in self._all(deployments, wanted, _NEWEST_DUE):
                fact = live_fact(run)
                found.setdefault(self._deployment(run), {})[fact.run_id] = fact
        return {deployment: tuple(sorted(runs.values(), key=_moment)) for deployment, runs in found.items()}

    async def newest(
        self, deployments: Collection[UUID], states: Iterable[RunState], *, other_than: str = SKIPPED
    ) -> dict[UUID, RunFact]:
        """Return the newest ended run in one of `states`, but not of one name, of each deployment that has one.

        Asks for the newest of all together, drops the deployments seen, and asks again.
        """
        found: dict[UUID, RunFact] = {}
        async for run in self._all(deployments, _in_states(states, other_than=other_than), _NEWEST_ENDED):
            newest, fact = found.get(self._deployment(run)), ended_fact(run)
            if newest is None or newest.at < fact.at:
                found[self._deployment(run)] = fact
        return found

    async def with_ids(self, run_ids: Collection[RunId]) -> dict[RunId, FoundRun]:
        """Return those of these runs that Prefect has, whatever has become of their deployments."""
        found: dict[RunId, FoundRun] = {}
        for run in await self.prefect.runs_with_ids(run_ids):
            ended = ended_fact(run) if _state(run)["type"] in ENDED else None
            deployment_id = self._deployment(run) if run["deployment_id"] else None
            found[RunId(UUID(run["id"]))] = FoundRun(deployment_id, ended)
        return found

    async def recent(self, deployments: Collection[UUID]) -> dict[UUID, tuple[RunFact, ...]]:
        """Return the newest decisive runs of each deployment, newest first, up to one that completed.

        Asks for those of all together, drops the deployments of which enough was seen and the runs seen of the
        others, and asks again.
        """
        found: dict[UUID, list[RunFact]] = {deployment: [] for deployment in deployments}
        for ask, these in self._asked(deployments):
            for deployment, runs in (await self._recent(ask, these)).items():
                found[self.former.get(deployment, deployment)] += runs.values()
        return {deployment: _upto_completed(runs) for deployment, runs in found.items()}

    async def _recent(self, ask: "_Ask", deployments: Collection[UUID]) -> dict[UUID, dict[RunId, RunFact]]:
        found: dict[UUID, dict[RunId, RunFact]] = {deployment: {} for deployment in deployments}
        open_ones = set(deployments)
        while open_ones:
            seen = [run_id for deployment in open_ones for run_id in found[deployment]]
            wanted = _in_states(DECISIVE, other_than=SKIPPED) | {"id": {"not_any_": seen}}
            page = await ask(open_ones, wanted, sort=_NEWEST_ENDED)
            for run in page.entries:
                deployment, fact = _deployment(run), ended_fact(run)
                if deployment in open_ones:
                    found[deployment][fact.run_id] = fact
                    if fact.state is RunState.COMPLETED or len(found[deployment]) >= ENOUGH:
                        open_ones.discard(deployment)
            if not page.full:
                break
        return found

    async def _all(self, deployments: Collection[UUID], wanted: Json, sort: str) -> AsyncIterator[Json]:
        """Yield at least the first run of each deployment, in the order of `sort`.

        Asks for the runs of all deployments together, drops those that were seen, and asks again.
        """
        for ask, these in self._asked(deployments):
            remaining = set(these)
            while remaining:
                page = await ask(remaining, wanted, sort=sort)
                for run in page.entries:
                    yield run
                if not page.full:
                    break
                remaining -= {_deployment(run) for run in page.entries}

    def _asked(self, deployments: Collection[UUID]) -> "Iterator[tuple[_Ask, Collection[UUID]]]":
        """Yield these deployments, and the former ones of theirs, which may be gone, each with the way to ask."""
        yield self.prefect.runs, deployments
        if former := {former for former, now in self.former.items() if now in set(deployments)}:
            yield self.prefect.runs_bearing, former

    def _deployment(self, run: Json) -> UUID:
        own = _deployment(run)
        return self.former.get(own, own)


def _deployment(run: Json) -> UUID:
    return UUID(run["deployment_id"])  # runs are only ever asked for by their deployment


def _upto_completed(runs: Iterable[RunFact]) -> tuple[RunFact, ...]:
    """Return runs, the newest first, up to the last one that completed."""
    newest_first = sorted(runs, key=_moment, reverse=True)
    completed = next((place for place, run in enumerate(newest_first) if run.state is RunState.COMPLETED), ENOUGH)
    return tuple(newest_first[: completed + 1])


def _moment(run: RunFact) -> dt.datetime:
    return run.at


def _in_states(states: Iterable[RunState], *, other_than: str | None = None) -> dict[str, Any]:
    state: dict[str, Any] = {"type": {"any_": [state.value for state in states]}}
    return {"state": state | ({"name": {"not_any_": [other_than]}} if other_than is not None else {})}


def _state(run: Json) -> Json:
    state: Json | None = run["state"]
    if state is None:  # every stored run has a state; one without can't be judged
        raise ValueError(f"flow run {run['id']} has no state")
    return state


def ended_fact(run: Json) -> RunFact:
    """Return an ended run as a fact."""
    return _fact(run, run["end_time"] or _state(run)["timestamp"])


def live_fact(run: Json) -> RunFact:
    state = _state(run)
    due = state["type"] == RunState.SCHEDULED and state["name"] != AWAITING_RETRY
    return _fact(run, (due and run["expected_start_time"]) or state["timestamp"])


def _fact(run: Json, at: str) -> RunFact:
    state = _state(run)
    kind, name, message = RunState(state["type"]), state["name"] or "", state["message"] or ""
    # What could as well have been left out of its parameters is.
    given = {name: value for name, value in run["parameters"].items() if name != "instance" and value}
    return RunFact(RunId(UUID(run["id"])), kind, name, moment_of(at), message, parameters=given)
