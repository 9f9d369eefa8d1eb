import datetime as dt

import pytest

from definitions.contract import FlowKind
from instances.rules.freshness_policy import auto_of, clock_of, policy_of
from instances.specification.fields import CalendarPolicy, Freshness
from instances.specification.schedules import Schedule
from instances.world.facts import Calendar, Clock, SourceFrequency, UpdateDates
from tests.instances.sample_world import days, hours, minutes

MANUAL = Schedule()
CRON = Schedule(type="cron", expression="0 18 * * 1-5", timezone="Europe/London")
INTERVAL = Schedule(type="interval", interval_minutes=30)
NOT_TRAIN = [kind for kind in FlowKind if kind is not FlowKind.TRAIN]


@pytest.mark.parametrize("kind", NOT_TRAIN)
def test_without_a_schedule_a_flow_follows_its_inputs(kind: FlowKind) -> None:
    policy = policy_of(Freshness(), MANUAL, kind)
    assert policy.follow_inputs
    assert policy.clock is None
    assert policy.max_age is None


@pytest.mark.parametrize("schedule", [CRON, INTERVAL])
def test_with_a_schedule_a_flow_answers_to_its_clock(schedule: Schedule) -> None:
    policy = policy_of(Freshness(), schedule, FlowKind.REFRESH)
    assert not policy.follow_inputs
    assert policy.clock == clock_of(schedule)
    assert policy.grace == hours(1)


def test_training_does_not_follow_its_inputs_and_ages_in_a_week() -> None:
    policy = policy_of(Freshness(), MANUAL, FlowKind.TRAIN)
    assert not policy.follow_inputs
    assert policy.max_age == days(7)


def test_what_the_user_sets_goes_before_the_defaults() -> None:
    policy = policy_of(Freshness(follow_inputs=True, max_age=days(30)), CRON, FlowKind.TRAIN)
    assert policy.follow_inputs
    assert policy.max_age == days(30)
    assert not policy_of(Freshness(follow_inputs=False), MANUAL, FlowKind.REFRESH).follow_inputs


def test_a_disabled_schedule_is_none() -> None:
    disabled = CRON.model_copy(update={"enabled": False})
    assert clock_of(disabled) is None
    assert policy_of(Freshness(), disabled, FlowKind.REFRESH).follow_inputs


def test_a_schedule_gives_its_clock() -> None:
    assert clock_of(CRON) == Clock(cron="0 18 * * 1-5", timezone="Europe/London")
    assert clock_of(INTERVAL) == Clock(interval=minutes(30))


def test_a_frequency_of_updates_gives_its_dates() -> None:
    freshness = Freshness.model_validate(
        {"update_frequency": {"frequency": "weekly", "day_of_week": "friday", "grace_period_days": 2}}
    )
    dates = UpdateDates(SourceFrequency.WEEKLY, grace_days=2, day=4)
    assert policy_of(freshness, CRON, FlowKind.REFRESH).expected == (dates,)
    alone = policy_of(Freshness.model_validate({"update_frequency": "quarterly"}), CRON, FlowKind.REFRESH)
    assert alone.update_dates == UpdateDates(SourceFrequency.QUARTERLY)


def test_calendar_and_grace_are_taken_over() -> None:
    freshness = Freshness(grace=minutes(5), calendar=CalendarPolicy(exchange="XNYS", after_close=hours(2)))
    policy = policy_of(freshness, CRON, FlowKind.REFRESH)
    assert policy.grace == minutes(5)
    assert policy.calendar == Calendar("XNYS", hours(2))


def test_the_calendar_is_due_at_the_close_where_nothing_is_said() -> None:
    policy = policy_of(Freshness(calendar=CalendarPolicy(exchange="XLON")), MANUAL, FlowKind.REFRESH)
    assert policy.calendar == Calendar("XLON", dt.timedelta(0))


@pytest.mark.parametrize(
    ("auto", "has_inputs", "schedule", "kept"),
    [
        (None, True, MANUAL, True),
        (None, False, MANUAL, False),
        (None, True, CRON, False),
        (None, True, INTERVAL, False),
        (True, False, MANUAL, True),
        (True, True, CRON, True),
        (False, True, MANUAL, False),
    ],
)
def test_a_flow_with_inputs_and_no_schedule_is_kept_ready(
    auto: bool | None, has_inputs: bool, schedule: Schedule, kept: bool
) -> None:
    assert auto_of(auto, has_inputs=has_inputs, schedule=schedule) is kept
