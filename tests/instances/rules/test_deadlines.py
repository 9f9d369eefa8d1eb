"""Deadlines: what was missed, and by which moment; and when the status changes next if nothing runs."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import event, given

from instances.rules.deadlines import Deadline, MissedDeadline, missed_deadline, next_deadline
from instances.rules.flow_status import FlowStatus, judge
from instances.world.facts import Calendar, Clock, FlowFacts, Policy, RunFact, RunState
from tests.instances.sample_world import (
    DAY,
    HOUR,
    NOW,
    completed,
    days,
    failed,
    flow,
    hours,
    live,
    minutes,
    skipped,
    strict,
    utc,
    world,
)
from tests.instances.strategies import Case, cases
from tests.properties import examples

EVENING = Clock(cron="0 17 * * *")  # an hour before NOW
SECOND = dt.timedelta(seconds=1)
AT_ONCE = Policy(follow_inputs=False, clock=EVENING, grace=minutes(10))


def source(policy: Policy, *runs: RunFact) -> FlowFacts:
    return flow("prices", *runs, policy=replace(policy, follow_inputs=False))


def due(flow: FlowFacts) -> dt.datetime | None:
    missed = missed_deadline(flow, NOW)
    return missed.due if missed else None


def test_a_deadline_that_is_met_or_not_set_is_not_missed() -> None:
    assert due(source(Policy(), completed(days(900)))) is None
    assert due(source(AT_ONCE, completed(minutes(30)))) is None


def test_a_flow_that_never_completed_has_missed_none() -> None:
    assert due(source(AT_ONCE)) is None
    assert due(source(AT_ONCE, failed(minutes(30)))) is None


def test_an_input_that_is_newer_is_no_missed_deadline() -> None:
    changed = flow("prices", completed(hours(2), config_hash="config-0"), policy=Policy())
    assert due(changed) is None


def test_a_schedule_is_missed_from_the_first_tick_without_a_run() -> None:
    missed = missed_deadline(source(AT_ONCE, completed(hours(2))), NOW)
    assert missed == MissedDeadline(
        NOW - minutes(50), "no run has completed since its tick at 17:00 UTC, it was due by 17:10 UTC"
    )
    assert due(source(AT_ONCE, completed(days(3)))) == NOW - days(2) - minutes(50)


def test_a_run_that_failed_or_still_waits_has_missed_its_deadline_all_the_same() -> None:
    expected = NOW - minutes(50)
    assert due(source(AT_ONCE, completed(hours(2)), failed(minutes(40)))) == expected
    assert due(source(AT_ONCE, completed(hours(2)), live(RunState.SCHEDULED))) == expected


def test_age_is_missed_by_the_run_or_by_the_end_of_its_data() -> None:
    policy = Policy(max_age=DAY)
    assert due(source(policy, completed(days(3)))) == NOW - days(2)
    watermark = NOW.date() - days(5)
    end_of_data = dt.datetime.combine(watermark + DAY, dt.time(), tzinfo=dt.UTC)
    assert due(source(policy, completed(HOUR, watermark=str(watermark)))) == end_of_data + DAY


def test_of_several_the_earliest_counts() -> None:
    both = replace(AT_ONCE, max_age=HOUR)
    assert due(source(both, completed(days(1)))) == NOW - days(1) + HOUR


def test_what_can_not_be_computed_is_not_missed() -> None:
    unknown = Policy(calendar=Calendar("NOWHERE"))
    assert due(source(unknown, completed(days(1)))) is None


# The next one: when the status changes if nothing runs


def ahead(facts: FlowFacts, now: dt.datetime = NOW) -> Deadline | None:
    return next_deadline(facts, world(facts), now)


def test_the_next_deadline_names_a_session_whose_data_is_not_there_yet() -> None:
    """On 25 September, with data up to the 24th, the session of the 24th is due on the 26th: it is there."""
    now = utc("2025-09-25 12:00")
    policy = Policy(follow_inputs=False, calendar=Calendar("XNYS", hours(30)))
    facts = flow("prices", completed(NOW - now, watermark="2025-09-24"), policy=policy)
    assert ahead(facts, now) == Deadline(utc("2025-09-27 02:00"), "the XNYS session of 2025-09-25")
    behind = flow("prices", completed(NOW - now, watermark="2025-09-23"), policy=policy)
    assert ahead(behind, now) == Deadline(utc("2025-09-26 02:00"), "the XNYS session of 2025-09-24")
    over_the_weekend = flow("prices", completed(NOW - now, watermark="2025-09-26"), policy=policy)
    assert ahead(over_the_weekend, now) == Deadline(utc("2025-10-01 02:00"), "the XNYS session of 2025-09-29")


def test_of_several_rules_the_first_that_is_not_met_any_more_counts() -> None:
    both = Policy(follow_inputs=False, max_age=HOUR * 3, clock=EVENING, grace=minutes(10))
    assert ahead(source(both, completed(minutes(30)))) == Deadline(NOW + minutes(150), "at most 3 hours old")
    daily = replace(both, max_age=days(3))
    assert ahead(source(daily, completed(minutes(30)))) == Deadline(NOW + hours(23) + minutes(10), "its schedule")


def test_what_is_stale_already_has_no_deadline_unless_its_source_may_be_asked_again() -> None:
    policy = Policy(calendar=Calendar("XNYS"), max_age=days(9))
    stale = source(policy, completed(hours(21), watermark="2026-03-09"))
    assert ahead(stale) is None
    delayed = source(policy, completed(hours(21), watermark="2026-03-09", found_new=False))
    assert judge(delayed, world(delayed), NOW).status is FlowStatus.STALE_SOURCE_DELAYED
    assert ahead(delayed) == Deadline(utc("2026-03-11 20:00"), "the XNYS session of 2026-03-11")


@pytest.mark.parametrize("run", [failed(minutes(10)), live(), live(RunState.SCHEDULED)])
def test_what_waits_for_a_run_has_no_deadline(run: RunFact) -> None:
    assert ahead(source(AT_ONCE, completed(minutes(30)), run)) is None
    assert ahead(source(AT_ONCE)) is None


def test_a_deadline_is_that_of_the_flow_itself_whatever_its_inputs_do() -> None:
    prices = flow("prices", completed(minutes(5), version="2"))
    policy = Policy(max_age=days(1))
    follower = flow("signal", skipped(hours(1), inputs={"prices": "1"}), edges=[strict("prices")], policy=policy)
    assert next_deadline(follower, world(prices, follower), NOW) is None  # it is stale already


@examples(100)
@given(cases())
def test_the_status_changes_at_the_next_deadline_and_not_before(case: Case) -> None:
    for facts in case.world.values():
        found, now = next_deadline(facts, case.world, case.now), case.now
        status = judge(facts, case.world, now).status
        event(f"{status}, with a deadline: {found is not None}")
        looked_at = [now + away for away in (SECOND, minutes(40), hours(5), days(1), days(2), days(4), days(8))]
        if found is not None:
            assert judge(facts, case.world, found.due + SECOND).status is not status
            looked_at = [at for at in (*looked_at, found.due - SECOND) if now <= at < found.due]
        for at in looked_at:
            assert judge(facts, case.world, at).status is status, at - now
