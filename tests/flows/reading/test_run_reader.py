"""What is read of runs in Prefect: nothing hidden by many others, nothing of what is gone."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import State, get_client
from prefect.client.orchestration import PrefectClient
from prefect.states import (
    AwaitingRetry,
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Paused,
    Pending,
    Running,
    Scheduled,
)

from flows.integrations.prefect_api import PrefectApi
from flows.integrations.prefect_api.prefect_lists import FULL
from flows.reading.deployment_reader import deployments_named, deployments_with_ids
from flows.reading.run_reader import ENOUGH, PrefectReader
from instances.world.facts import DECISIVE, ENDED, RunFact, RunId, RunState
from prefect_optaic.stack import Target

AT_MOST = 4  # requests at a time
HOUR = dt.timedelta(hours=1)

States = tuple[State[Any], ...]
Look = Callable[[PrefectClient, PrefectApi], Awaitable[None]]


@pytest.fixture
def ask(stack: Target) -> Callable[[Look], None]:
    """Ask the server of the stack."""

    def run(look: Look) -> None:
        async def main() -> None:
            async with get_client() as client, PrefectApi() as prefect:
                await look(client, prefect)

        asyncio.run(main())

    return run


@pytest.fixture(params=[10, pytest.param(FULL, marks=pytest.mark.torture)])
def many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """More runs than one answer holds: of a reader that asks for fewer at a time, and of one as it is."""
    page: int = request.param
    defaults = PrefectApi._page.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "limit", page)
    return page + 5


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


async def deployed(client: PrefectClient) -> UUID:
    flow_id = await client.create_flow_from_name("read")
    return await client.create_deployment(flow_id=flow_id, name=uuid4().hex)


async def run_in(client: PrefectClient, deployment: UUID, state: State[Any]) -> RunId:
    """Make a run in a state, whatever Prefect says of the way there."""
    run = await client.create_flow_run_from_deployment(deployment, state=Scheduled(scheduled_time=now() + HOUR))
    await client.set_flow_run_state(run.id, state, force=True)
    return RunId(run.id)


async def runs_in(client: PrefectClient, deployment: UUID, states: Iterable[State[Any]]) -> list[RunId]:
    """Make many runs, in no order."""
    slots = asyncio.Semaphore(AT_MOST)

    async def one(state: State[Any]) -> RunId:
        async with slots:
            run = await client.create_flow_run_from_deployment(deployment, state=state)
            return RunId(run.id)

    return list(await asyncio.gather(*(one(state) for state in states)))


def ids(runs: Iterable[RunFact]) -> list[RunId]:
    return [run.run_id for run in runs]


def test_many_live_runs_of_one_deployment_do_not_hide_those_of_another(ask: Callable[[Look], None], many: int) -> None:
    async def look(client: PrefectClient, prefect: PrefectApi) -> None:
        busy, calm = await deployed(client), await deployed(client)
        await runs_in(client, busy, (Scheduled(scheduled_time=now() - HOUR) for _ in range(many)))
        (due,) = await runs_in(client, calm, [Scheduled(scheduled_time=now() - 2 * HOUR)])  # the newest come first
        pending = await run_in(client, calm, Pending())
        reader = PrefectReader(prefect)
        live = await reader.live([busy, calm], now())
        assert set(live) == {busy, calm}
        assert set(ids(live[calm])) == {due, pending}
        assert prefect.requests == 3

    ask(look)


def test_runs_are_live_that_are_under_way_or_due(ask: Callable[[Look], None]) -> None:
    async def look(client: PrefectClient, prefect: PrefectApi) -> None:
        at = now()
        not_live: States = (Completed(), Failed(), Crashed(), Cancelled(), Cancelled(name="Blocked"))
        some, none = await deployed(client), await deployed(client)
        waiting_or_ended: States = (*not_live, Scheduled(scheduled_time=at + HOUR))
        for state in waiting_or_ended:
            await run_in(client, none, state)
        (due,) = await runs_in(client, some, [Scheduled(scheduled_time=at - HOUR)])
        (future,) = await runs_in(client, some, [Scheduled(scheduled_time=at + HOUR)])
        states: States = (Pending(), Running(), Paused(timeout_seconds=60))
        under_way = {await run_in(client, some, state): state.name for state in states}
        cancelling = await run_in(client, some, Running())
        await client.set_flow_run_state(cancelling, Cancelling())
        under_way[cancelling] = "Cancelling"
        retrying = await run_in(client, some, AwaitingRetry(scheduled_time=at + HOUR))

        found = (await PrefectReader(prefect).live([some, none], now()))[some]
        names = {run.run_id: run.state_name for run in found}
        assert names.pop(due) in {"Scheduled", "Late"}  # as Prefect calls it after some seconds
        assert names == under_way | {retrying: "AwaitingRetry"}
        (was_due,) = (run.at for run in found if run.run_id == due)
        assert was_due == at - HOUR

        later = await PrefectReader(prefect).live([some, none], at + 2 * HOUR)
        assert set(ids(later[some])) == {future, due, retrying, *under_way}
        assert len(later[none]) == 1

    ask(look)


def test_of_a_deleted_deployment_there_are_no_runs(ask: Callable[[Look], None]) -> None:
    async def look(client: PrefectClient, prefect: PrefectApi) -> None:
        deleted, there = await deployed(client), await deployed(client)
        states: States = (Running(), Completed(), Failed())
        for deployment in (deleted, there):
            for state in states:
                await run_in(client, deployment, state)
        await client.delete_deployment(deleted)
        both = [deleted, there]
        runs = await PrefectReader(prefect).runs(both, deciding=both, now=now())
        for found in (runs.live, runs.decisive, runs.completed, runs.last_ended, runs.recent):
            assert set(found) - {there} <= {deleted}
            assert there in found
            assert not found.get(deleted)
        assert {found.deployment_id for found in await deployments_with_ids(prefect, both)} == {there}

    ask(look)


def test_the_newest_run_is_found_behind_many_of_another(ask: Callable[[Look], None], many: int) -> None:
    async def look(client: PrefectClient, prefect: PrefectApi) -> None:
        busy, calm, idle = [await deployed(client) for _ in range(3)]
        completed = await run_in(client, calm, Completed(message="done"))
        failed = [await run_in(client, calm, Failed(message=f"no {number}")) for number in range(2)]
        blocked = await run_in(client, calm, Cancelled(name="Blocked"))
        await runs_in(client, busy, (Crashed() for _ in range(many)))
        last = await run_in(client, busy, Crashed(message="last"))
        everything = [busy, calm, idle]
        reader = PrefectReader(prefect)

        decisive = await reader.newest(everything, DECISIVE)
        assert {at: run.run_id for at, run in decisive.items()} == {busy: last, calm: failed[1]}
        assert (decisive[calm].state, decisive[calm].message) == (RunState.FAILED, "no 1")
        ended = await reader.newest(everything, ENDED)
        assert (ended[calm].run_id, ended[calm].blocked) == (blocked, True)
        only_completed = await reader.newest(everything, {RunState.COMPLETED})
        assert {at: run.run_id for at, run in only_completed.items()} == {calm: completed}

        recent = await reader.recent([busy, calm, idle])
        assert ids(recent[calm]) == [failed[1], failed[0], completed]
        assert len(recent[busy]) == ENOUGH
        assert recent[busy][0].run_id == last
        assert recent[idle] == ()

    ask(look)


def test_recent_runs_stop_at_one_that_completed(ask: Callable[[Look], None]) -> None:
    async def look(client: PrefectClient, prefect: PrefectApi) -> None:
        one, other = await deployed(client), await deployed(client)
        states: dict[UUID, States] = {one: (Failed(), Completed(), Crashed(), Failed()), other: (Crashed(),)}
        made = {at: [await run_in(client, at, state) for state in given] for at, given in states.items()}
        await run_in(client, one, Cancelled())
        recent = await PrefectReader(prefect).recent([one, other])
        assert ids(recent[one]) == made[one][:0:-1]
        assert ids(recent[other]) == made[other]
        (named,) = [name for name, found in (await by_name(client, prefect, one)).items() if found == one]
        assert named.startswith("read/")

    ask(look)


async def by_name(client: PrefectClient, prefect: PrefectApi, deployment: UUID) -> dict[str, UUID]:
    name = (await client.read_deployment(deployment)).name
    return {at: found.deployment_id for at, found in (await deployments_named(prefect, [f"read/{name}"])).items()}


def test_a_run_keeps_the_time_when_it_ended_when_a_person_changes_its_state(ask: Callable[[Look], None]) -> None:
    """What the order of ended runs, and so the claims, rely on."""

    async def look(client: PrefectClient, prefect: PrefectApi) -> None:
        deployment = await deployed(client)
        first, second = [await run_in(client, deployment, Failed()) for _ in range(2)]
        await client.set_flow_run_state(first, Completed(message="by hand"), force=True)
        assert (await PrefectReader(prefect).newest([deployment], ENDED))[deployment].run_id == second

    ask(look)
