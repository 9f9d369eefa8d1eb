"""What the guard costs with many upstream flows, beside one request per upstream on the same server.

    make bench        or        python benchmarks/bench_guard.py [UPSTREAMS ...]

All are measured in turn in one run; the ratio is that of their medians.
"""

import asyncio
import datetime as dt
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Completed

from flows.integrations.prefect_api import PrefectApi
from flows.reading.run_reader import PrefectReader
from prefect_optaic.stack import Home, use
from prefect_optaic.stack.lifecycle import down, up

T = TypeVar("T")
R = TypeVar("R")

ROUNDS = 3
CONCURRENCY = 4  # more requests at once are slower: the server is the bottleneck


async def at_once(work: Callable[[T], Awaitable[R]], items: list[T], limit: int) -> list[R]:
    slots = asyncio.Semaphore(limit)

    async def one(item: T) -> R:
        async with slots:
            return await work(item)

    return list(await asyncio.gather(*(one(item) for item in items)))


async def median_seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Return the median of some rounds, after one that does not count."""
    taken = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


async def wave(client: PrefectClient, count: int) -> list[UUID]:
    """Make deployments that have each run once."""
    flow_id = await client.create_flow_from_name("upstream")

    async def ran(number: int) -> UUID:
        deployment = await client.create_deployment(flow_id=flow_id, name=f"of-{count}-{number}")
        await client.create_flow_run_from_deployment(deployment, state=Completed())
        return deployment

    return await at_once(ran, list(range(count)), CONCURRENCY)


async def latest_run(client: PrefectClient, deployment: UUID) -> None:
    runs = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment])),
        sort=FlowRunSort.END_TIME_DESC,
        limit=1,
    )
    assert runs


async def measure(client: PrefectClient, prefect: PrefectApi, count: int) -> None:
    deployments = await wave(client, count)
    reader = PrefectReader(prefect)

    async def guard() -> None:
        prefect.requests = 0
        found = await reader.runs(deployments, now=dt.datetime.now(dt.UTC))
        assert len(found.completed) == count

    async def one_each(limit: int) -> None:
        await at_once(lambda deployment: latest_run(client, deployment), deployments, limit)

    ours = await median_seconds(guard)
    singly = await median_seconds(lambda: one_each(1))
    together = await median_seconds(lambda: one_each(CONCURRENCY))
    ratio = min(singly, together) / ours
    print(f"{count:>9} {ours:>8.3f} s {prefect.requests:>9} {singly:>8.2f} s {together:>12.2f} s {ratio:>8.1f} x")


async def main(counts: list[int]) -> None:
    async with get_client() as client, PrefectApi() as prefect:
        print("upstreams      guard  requests   one each  4 at a time   faster")
        for count in counts:
            await measure(client, prefect, count)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="optaic-bench-") as folder:
        home = Home(Path(folder))
        use(up(home, deploy=False))
        try:
            asyncio.run(main([int(argument) for argument in sys.argv[1:]] or [10, 100, 500]))
        finally:
            down(home)
