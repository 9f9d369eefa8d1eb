"""What comes from Prefect is plain behind the reader's door: its own moments reckon in another way."""

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from prefect.client.schemas.objects import FlowRun

from instances.rules.deadlines import missed_deadline, next_deadline
from instances.rules.flow_status import FlowStatus, judge
from instances.world.clock import last_tick, next_tick
from instances.world.facts import Clock, Policy, Request, RunFact, RunState
from instances.world.moments import NaiveMoment, plain_moment
from tests.instances.prefect_runs import as_read, run_json
from tests.instances.sample_world import MINUTE, NOW, completed, flow, hours, minutes, run_id, utc, world

HOURLY = Clock(interval=hours(1))
LONDON = ZoneInfo("Europe/London")


def prefects_own(at: dt.datetime) -> dt.datetime:
    """Return a moment as Prefect's own models hold it."""
    run = FlowRun.model_validate(run_json(run_id("any"), RunState.COMPLETED, "Completed", at))
    assert run.end_time is not None
    return run.end_time


def test_prefects_own_moments_are_not_plain() -> None:
    """Else the tests below would test nothing."""
    assert type(prefects_own(NOW)) is not dt.datetime


@pytest.mark.parametrize(
    ("state", "name", "at"),
    [
        (RunState.COMPLETED, "Completed", NOW),
        (RunState.SCHEDULED, "Late", NOW),
        (RunState.SCHEDULED, "AwaitingRetry", NOW),
        (RunState.RUNNING, "Running", utc("2026-03-29 00:59:59.999999")),
    ],
)
def test_a_fact_has_a_plain_moment(state: RunState, name: str, at: dt.datetime) -> None:
    fact = as_read(run_json(run_id("any"), state, name, at))
    assert type(fact.at) is dt.datetime
    assert fact.at.tzinfo is dt.UTC
    assert fact.at == at


def test_facts_that_are_made_elsewhere_are_plain_too() -> None:
    asked = Request(run_id("any"), prefects_own(NOW))
    ran = RunFact(run_id("any"), RunState.COMPLETED, "Completed", prefects_own(NOW))
    assert (type(asked.created_at), type(ran.at)) == (dt.datetime, dt.datetime)
    with pytest.raises(NaiveMoment, match=r"^RunFact\.at has no time zone"):
        RunFact(run_id("any"), RunState.COMPLETED, "Completed", dt.datetime(2026, 3, 11))  # noqa: DTZ001


def test_a_flow_with_an_interval_is_judged_by_prefects_own_moments() -> None:
    """`(a - b) // interval` of two of them raises."""
    ran = as_read(run_json(run_id("any"), RunState.COMPLETED, "Completed", NOW - hours(3)))
    ran = replace(ran, provenance=completed(hours(3)).provenance)
    facts = flow("prices", ran, policy=Policy(follow_inputs=False, clock=HOURLY, grace=minutes(10)))
    now = prefects_own(NOW)
    assert judge(facts, world(facts), now).status is FlowStatus.STALE
    missed = missed_deadline(facts, now)
    assert missed is not None
    assert missed.due == NOW - hours(2) + minutes(10)
    fresh = flow("prices", completed(), policy=facts.policy)
    assert next_deadline(fresh, world(fresh), now) is not None
    assert next_tick(HOURLY, prefects_own(NOW)) == NOW + hours(1)
    assert last_tick(HOURLY, prefects_own(NOW - MINUTE)) == NOW - hours(1)


@pytest.mark.parametrize("change", ["2026-03-29 01:00", "2026-10-25 01:00"])
def test_ages_are_those_of_the_moments_where_the_clocks_change(change: str) -> None:
    before, after = (utc(change) + away for away in (-hours(3), hours(3)))
    in_london = [moment.astimezone(LONDON) for moment in (before, after)]
    assert in_london[1] - in_london[0] != hours(6)  # as Python subtracts moments of one zone
    first, second = (plain_moment("it", moment) for moment in in_london)
    assert second - first == hours(6)
    judged = flow("prices", RunFact(run_id("any"), RunState.COMPLETED, "Completed", in_london[0], "", None))
    assert judged.completed is not None
    assert judged.completed.at == before


def test_a_repeated_hour_is_two_hours() -> None:
    first = dt.datetime(2026, 10, 25, 1, 30, tzinfo=LONDON)
    again = first.replace(fold=1)
    assert plain_moment("it", again) - plain_moment("it", first) == hours(1)
    assert plain_moment("it", prefects_own(utc("2026-10-25 01:30"))) == utc("2026-10-25 01:30")
    assert plain_moment("it", NOW) is NOW
