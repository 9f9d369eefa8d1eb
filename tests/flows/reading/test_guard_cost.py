"""What the guard costs: a constant number of SQL statements, and few Prefect requests."""

import asyncio
import datetime as dt
import math
from uuid import UUID, uuid4

import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.states import Completed
from sqlalchemy import Engine

from definitions.contract import FlowKind
from flows.integrations.prefect_api import PrefectApi
from flows.reading.run_reader import PrefectReader
from flows.reading.world_reader import read_world
from instances.rules.readiness import assess
from instances.storage.ledger import GuardedRun, Ledger
from instances.storage.repository import Repository
from instances.world.facts import FlowId, RunId
from prefect_optaic.stack import Target
from tests.instances.catalogue import dataset
from tests.instances.database import refresh_ids, saved, statements

NOW = dt.datetime.now(dt.UTC)


def fan_in(database: Engine, upstreams: int) -> dict[str, FlowId]:
    """Save a flow `child` that reads so many others, each with the deployment id of its row's own."""
    names = [f"up{number}" for number in range(upstreams)]
    repository = saved(database, *(dataset(name) for name in names), dataset("child", *names))
    ids = refresh_ids(repository)
    for flow_id in ids.values():
        repository.set_deployment(flow_id, uuid4())
    return ids


@pytest.mark.parametrize("upstreams", [1, 10, 100, pytest.param(1000, marks=pytest.mark.torture)])
def test_the_number_of_statements_does_not_depend_on_the_number_of_upstreams(
    stack: Target, database: Engine, upstreams: int
) -> None:

    child = fan_in(database, upstreams)["child"]

    async def guard() -> int:
        async with PrefectApi() as prefect:
            with statements(database) as sent:
                reader = PrefectReader(prefect)
                world = await read_world(Repository(database), Ledger(database), reader, [child], now=NOW)
            assert len(assess(world[child], world, NOW).blockers) == upstreams
            return len(sent)

    assert asyncio.run(guard()) == 2


@pytest.mark.parametrize("upstreams", [20, pytest.param(250, marks=pytest.mark.torture)])
def test_the_guard_asks_few_requests_when_every_upstream_ran_in_the_last_wave(
    stack: Target, database: Engine, upstreams: int
) -> None:

    ids = fan_in(database, upstreams)
    repository, ledger = Repository(database), Ledger(database)

    async def upstream_ran(
        client: PrefectClient, flow_row: FlowId, prefect_flow: UUID, slots: asyncio.Semaphore
    ) -> None:
        async with slots:
            deployment = await client.create_deployment(flow_id=prefect_flow, name=str(flow_row))
            repository.set_deployment(flow_row, deployment)
            run = await client.create_flow_run_from_deployment(deployment, state=Completed())
            ledger.record_guard(_guarded(flow_row, RunId(run.id)))

    async def scenario() -> tuple[int, int]:
        async with get_client() as client, PrefectApi() as prefect:
            prefect_flow = await client.create_flow_from_name("upstream")
            slots = asyncio.Semaphore(4)
            parents = [flow_id for name, flow_id in ids.items() if name != "child"]
            await asyncio.gather(*(upstream_ran(client, each, prefect_flow, slots) for each in parents))
            reader = PrefectReader(prefect)
            world = await read_world(repository, ledger, reader, [ids["child"]], now=NOW)
            seen = sum(world[each].completed is not None for each in parents)
            return seen, prefect.requests

    seen, requests = asyncio.run(scenario())
    assert seen == upstreams
    assert requests <= math.ceil(upstreams / 200) + 4


def _guarded(flow_id: FlowId, run_id: RunId) -> GuardedRun:
    return GuardedRun(run_id, flow_id, FlowKind.REFRESH, "c", "f", "ready", False, (), {}, NOW)
