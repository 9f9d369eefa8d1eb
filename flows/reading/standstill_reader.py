"""What of the machinery stands still: the sweep of this installation, and the work pools of its flows."""

import datetime as dt
import re
from collections.abc import Iterable
from uuid import UUID

from flows.integrations.prefect_api import Json, NotInPrefect, PrefectApi, PrefectError, moment_of
from flows.integrations.services import Services
from flows.reading.run_reader import UNDER_WAY, PrefectReader
from instances.rules.standstills import PoolFacts, Standstills, SweepFacts, find_standstills
from instances.world.clock import ClockError, next_tick
from instances.world.facts import DECISIVE, Clock, RunState

SWEEP = "sweep"  # the flow, and its deployment
_SWEPT_FOR = re.compile(r"for (optaic-[0-9a-f]+)\.$")  # in what `swept_message` says
_BEATS = 3  # heartbeats that may fail to come before a worker counts as gone, as Prefect itself has it
_WITHOUT_WORKERS = (":push", ":managed")  # how the types of pools end whose runs need none


async def read_standstills(services: Services, work_pools: Iterable[str | None], now: dt.datetime) -> Standstills:
    """Return what keeps runs that go to these work pools from starting by themselves."""
    try:
        sweep = await read_sweep(services.prefect, services.owner_tag, now)
        names = {name for name in (*work_pools, sweep.work_pool) if name is not None}
        return find_standstills(sweep, await _pools(services.prefect, names, now), now)
    except PrefectError as error:
        return find_standstills(SweepFacts(unreadable=str(error)), (), now)


def swept_message(flows: int, started: int, owner_tag: str) -> str:
    """Return what a sweep says that has completed: by it others see for which installation that was."""
    return f"Looked at {flows} flows and started {started}, for {owner_tag}."


async def read_sweep(prefect: PrefectApi, owner_tag: str, now: dt.datetime) -> SweepFacts:
    """Return what is known of the sweep of the installation with this tag."""
    try:
        deployment = await prefect.deployment_of(SWEEP, SWEEP)
    except NotInPrefect:
        return SweepFacts(deployed=False)
    own, reader = UUID(deployment["id"]), PrefectReader(prefect)
    newest = (await reader.newest([own], DECISIVE)).get(own)
    failed = newest if newest is not None and newest.state is not RunState.COMPLETED else None
    completed = (await reader.newest([own], {RunState.COMPLETED})).get(own) if failed is not None else newest
    swept_for = _SWEPT_FOR.search(completed.message) if completed is not None else None
    for_us = swept_for is None or swept_for[1] == owner_tag  # earlier versions have not said
    live = (await reader.live([own], now)).get(own, ())
    seen = [moment_of(deployment["created"]), *(run.at for run in live if run.state in UNDER_WAY)]
    active = [each["schedule"] for each in deployment["schedules"] if each["active"]]
    return SweepFacts(
        paused=deployment["paused"],
        scheduled=bool(active),
        period=min((_period(schedule, now) for schedule in active), default=dt.timedelta(minutes=1)),
        work_pool=deployment["work_pool_name"],
        swept_at=completed.at if completed is not None and for_us else None,
        for_others_at=completed.at if completed is not None and not for_us else None,
        seen_at=max(seen),
        failed=failed,
    )


def _period(schedule: Json, now: dt.datetime) -> dt.timedelta:
    """Return how long after one sweep the next one is due; a day where the schedule is of another kind."""
    if schedule.get("interval"):
        return dt.timedelta(seconds=schedule["interval"])
    clock = Clock(cron=schedule.get("cron"), timezone=schedule.get("timezone") or "UTC")
    try:
        first = next_tick(clock, now) if clock.cron else None
        second = next_tick(clock, first) if first else None
    except ClockError:
        return dt.timedelta(days=1)
    return second - first if first and second else dt.timedelta(days=1)


async def _pools(prefect: PrefectApi, names: Iterable[str], now: dt.datetime) -> list[PoolFacts]:
    there = {pool["name"]: pool for pool in await prefect.work_pools()}
    return [await _pool(prefect, name, there.get(name), now) for name in sorted(names)]


async def _pool(prefect: PrefectApi, name: str, pool: Json | None, now: dt.datetime) -> PoolFacts:
    if pool is None:
        return PoolFacts(name, exists=False)
    if pool["type"].endswith(_WITHOUT_WORKERS):
        return PoolFacts(name, paused=pool["is_paused"])
    workers = [each for each in await prefect.workers(name) if each["last_heartbeat_time"]]
    return PoolFacts(
        name,
        paused=pool["is_paused"],
        served=any(_lives(worker, now) for worker in workers),
        served_at=max((moment_of(worker["last_heartbeat_time"]) for worker in workers), default=None),
    )


def _lives(worker: Json, now: dt.datetime) -> bool:
    patience = dt.timedelta(seconds=_BEATS * (worker["heartbeat_interval_seconds"] or 30))
    return worker["status"] == "ONLINE" and now - moment_of(worker["last_heartbeat_time"]) <= patience
