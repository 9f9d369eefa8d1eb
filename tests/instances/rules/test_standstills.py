"""Standstills: what is told of a sweep that does not run, and of work pools without a worker."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from instances.rules.causes import explain
from instances.rules.standstills import PoolFacts, Standstill, Standstills, SweepFacts, find_standstills
from instances.world.facts import Clock, FlowFacts, Policy
from tests.instances.sample_world import NOW, completed, crashed, failed, flow, hours, live, minutes, strict, world

WELL = SweepFacts(work_pool="optaic", swept_at=NOW - minutes(1), seen_at=NOW - hours(9))
POOL = PoolFacts("optaic", served_at=NOW)
NEWER = flow("prices", completed(version="2"))
CURRENT = completed(inputs={"prices": "1"}, fingerprint="old")
STOPPED = find_standstills(replace(WELL, paused=True, swept_at=NOW - hours(4)), [POOL], NOW)


def told(sweep: SweepFacts, *pools: PoolFacts) -> str | None:
    found = find_standstills(sweep, pools or [POOL], NOW).sweep
    return found.sentence(NOW) if found else None


def test_nothing_is_told_of_what_goes_on() -> None:
    found = find_standstills(WELL, [POOL, PoolFacts("push", served_at=None)], NOW)
    assert (found.sweep, dict(found.pools)) == (None, {})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"deployed": False}, "there is no deployment 'sweep/sweep'"),
        ({"paused": True}, "its deployment is paused"),
        ({"scheduled": False}, "its schedule is paused, or gone"),
        ({}, "it is due, and no worker has taken it"),
        ({"failed": crashed(hours(1), "exit code 1\nmore")}, "its run of 17:00 UTC crashed: exit code 1"),
        (
            {"for_others_at": NOW - minutes(1)},
            "'sweep/sweep' has swept for another installation, last at 17:59 UTC",
        ),
    ],
)
def test_a_sweep_that_does_not_run_is_told_with_since_when_and_why(changes: dict[str, Any], reason: str) -> None:
    assert told(replace(WELL, swept_at=NOW - hours(4), **changes)) == f"the sweep has not run since 14:00 UTC: {reason}"
    assert told(replace(WELL, swept_at=None, **changes)) == f"the sweep has never run: {reason}"


def test_a_sweep_may_be_as_late_as_a_busy_worker_makes_it() -> None:
    assert told(replace(WELL, swept_at=NOW - minutes(5))) is None
    assert told(replace(WELL, swept_at=NOW - minutes(6))) is not None
    assert told(replace(WELL, swept_at=NOW - minutes(29), period=minutes(10))) is None
    assert told(replace(WELL, swept_at=NOW - minutes(31), period=minutes(10))) is not None
    # One that was deployed just now, or has just begun, is about to have run.
    assert told(replace(WELL, swept_at=None, seen_at=NOW - minutes(2))) is None
    assert told(replace(WELL, swept_at=NOW - hours(9), seen_at=NOW - minutes(2))) is None
    # A failure now and then is none of it.
    assert told(replace(WELL, failed=failed(minutes(2)))) is None


def test_what_can_not_be_read_is_not_taken_for_well() -> None:
    assert told(SweepFacts(unreadable="no answer")) == "nobody knows whether the sweep runs: no answer"


@pytest.mark.parametrize(
    ("pool", "sentence"),
    [
        (
            PoolFacts("gpu", served=False, served_at=NOW - hours(2)),
            "the work pool 'gpu' has had no worker since 16:00 UTC",
        ),
        (PoolFacts("gpu", served=False), "the work pool 'gpu' has never had a worker"),
        (PoolFacts("gpu", paused=True, served_at=NOW), "the work pool 'gpu' is paused"),
        (PoolFacts("gpu", exists=False), "the work pool 'gpu' is not there"),
    ],
)
def test_a_work_pool_without_a_worker_is_told_of(pool: PoolFacts, sentence: str) -> None:
    (found,) = find_standstills(WELL, [POOL, pool], NOW).pools.values()
    assert found.sentence(NOW) == sentence
    assert told(replace(WELL, work_pool="gpu"), pool) == f"the sweep has not run since 17:59 UTC: {sentence}"


def next_step(judged: FlowFacts, standstills: Standstills, *others: FlowFacts) -> str:
    return explain(judged, world(judged, *others), NOW, standstills).next_step


def test_why_does_not_count_on_a_sweep_that_does_not_run() -> None:
    stale = flow("signal", CURRENT, edges=[strict("prices")])
    assert next_step(stale, STOPPED, NEWER) == (
        "the cascade or the sweep starts it: it is STALE: it consumed prices v1, prices is at v2; "
        "but the sweep has not run since 14:00 UTC: its deployment is paused"
    )
    assert next_step(stale, Standstills(NOW), NEWER).endswith("prices is at v2")
    by_clock = flow("prices", completed(), policy=Policy(clock=Clock(cron="0 20 * * *")), auto=False)
    assert next_step(by_clock, STOPPED) == "its schedule starts it at 20:00 UTC"


def test_why_does_not_count_on_a_pool_without_a_worker() -> None:
    empty = Standstill("the work pool 'gpu' has had no worker", "", NOW - hours(1), "", "")
    standing = Standstills(NOW, pools={"gpu": empty})
    policy = Policy(clock=Clock(cron="0 20 * * *"))
    by_clock = flow("prices", completed(), policy=policy, auto=False, work_pool="gpu")
    but = "but the work pool 'gpu' has had no worker since 17:00 UTC"
    assert next_step(by_clock, standing) == f"its schedule starts it at 20:00 UTC; {but}"
    assert next_step(replace(by_clock, work_pool="optaic"), standing) == "its schedule starts it at 20:00 UTC"
    waiting = flow("prices", live(state_name="Late", ago=dt.timedelta(hours=1)), work_pool="gpu")
    assert "nothing starts it now" in next_step(waiting, standing)
