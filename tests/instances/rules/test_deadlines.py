"""Deadlines: what was missed, and by which moment; whatever the flow is doing now."""

import datetime as dt
from dataclasses import replace

from instances.rules.deadlines import MissedDeadline, missed_deadline
from instances.world.facts import Calendar, Clock, FlowFacts, Policy, RunFact, RunState
from tests.instances.sample_world import DAY, HOUR, NOW, completed, days, failed, flow, hours, live, minutes

EVENING = Clock(cron="0 17 * * *")  # an hour before NOW
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
