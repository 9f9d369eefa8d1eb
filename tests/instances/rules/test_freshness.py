"""Each freshness policy at its boundaries, as reasons and moments; the statuses are in test_status."""

import datetime as dt
from dataclasses import replace

import pytest

from instances.rules.freshness import FreshnessContext, UnmetRule, UnreadableFacts, newest_version, unmet_rules
from instances.world.calendars import CalendarError
from instances.world.clock import ClockError
from instances.world.facts import Calendar, Clock, FlowFacts, Policy, RunFact
from tests.instances.sample_world import (
    NOW,
    completed,
    days,
    failed,
    flow,
    flow_id,
    hours,
    live,
    minutes,
    optional,
    skipped,
    strict,
    tolerant,
    utc,
    world,
)

SECOND = dt.timedelta(seconds=1)
FOLLOWING = Policy(follow_inputs=True)
EVENING = Clock(cron="0 17 * * *")  # an hour before NOW


def check(judged: FlowFacts, *others: FlowFacts, now: dt.datetime = NOW) -> tuple[UnmetRule, ...]:
    run = judged.completed
    assert run is not None
    assert run.provenance is not None
    return unmet_rules(FreshnessContext(judged, run, run.provenance, now), world(judged, *others))


def only(found: tuple[UnmetRule, ...]) -> UnmetRule:
    assert len(found) == 1, found
    return found[0]


def ran(policy: Policy, run: RunFact) -> FlowFacts:
    return flow("prices", run, policy=replace(policy, follow_inputs=False))


def test_nothing_is_unmet_where_nothing_is_set() -> None:
    assert check(ran(Policy(), completed(days(10_000)))) == ()


# Deadlines of a schedule that was changed: see also below


def scheduled(since: dt.datetime | None, run: RunFact) -> FlowFacts:
    return ran(Policy(clock=EVENING, clock_since=since, grace=minutes(10)), run)


def test_the_first_duty_is_the_first_tick_after_the_schedule_was_applied() -> None:
    """Applied 43 seconds after a tick, it is not late for that tick, nor for any before."""
    for ago in (hours(2), days(30)):
        run = completed(ago)
        assert check(scheduled(NOW - hours(1) + dt.timedelta(seconds=43), run)) == ()
        assert check(scheduled(NOW - hours(1), run)) == ()  # at the very tick
        assert only(check(scheduled(NOW - hours(1) - SECOND, run))).since == NOW - minutes(50)
    assert only(check(scheduled(None, completed(days(2))))).since == NOW - days(1) - minutes(50)


def test_a_schedule_that_was_applied_lately_is_missed_from_its_first_tick_on() -> None:
    facts = scheduled(NOW - minutes(30), completed(hours(2)))
    due = NOW + hours(23) + minutes(10)
    assert check(facts, now=due - SECOND) == ()
    assert only(check(facts, now=due)).due is None
    assert only(check(facts, now=due)).since == due


# Configuration


def test_a_changed_configuration_makes_stale() -> None:
    found = only(check(ran(Policy(), completed(hours(2), config_hash="config-0"))))
    assert found == UnmetRule("its configuration has changed since its last completed run", NOW - hours(2))


# follow_inputs


def test_a_newer_version_of_an_input_makes_stale() -> None:
    prices = flow("prices", completed(hours(1), version="13"))
    signal = flow("signal", completed(hours(2), inputs={"prices": "12"}), edges=[strict("prices")])
    found = only(check(signal, prices))
    assert found.reason == "it consumed prices v12, prices is at v13"
    assert found.since == NOW - hours(1)
    assert found.due is None


def test_having_consumed_the_newest_version_is_enough() -> None:
    prices = flow("prices", completed(hours(1), version="13"))
    signal = flow("signal", completed(hours(2), inputs={"prices": "13"}), edges=[strict("prices")])
    assert check(signal, prices) == ()


def test_a_confirmed_version_is_nothing_newer() -> None:
    prices = flow("prices", completed(days(1), version="13"), skipped(minutes(1), version="13"))
    signal = flow("signal", completed(hours(2), inputs={"prices": "13"}), edges=[strict("prices")])
    assert check(signal, prices) == ()


def test_any_other_version_is_newer_also_one_that_was_rolled_back() -> None:
    prices = flow("prices", completed(hours(1), version="11"))
    signal = flow("signal", completed(hours(2), inputs={"prices": "12"}), edges=[strict("prices")])
    assert only(check(signal, prices)).reason == "it consumed prices v12, prices is at v11"


def test_an_input_that_was_never_consumed_makes_stale() -> None:
    prices = flow("prices", completed(hours(1), version="2026-03-11"))
    signal = flow("signal", completed(hours(2)), edges=[strict("prices")])
    assert only(check(signal, prices)).reason == "it has consumed no version of prices, which is at 2026-03-11"


def test_an_input_behind_a_tolerant_edge_is_followed_too() -> None:
    train = flow("model.train", completed(hours(1), version="2"))
    infer = flow("model.infer", completed(hours(2), inputs={"model.train": "1"}), edges=[tolerant("model.train")])
    assert only(check(infer, train)).reason == "it consumed model.train v1, model.train is at v2"


def test_an_input_that_is_not_required_is_not_followed() -> None:
    covariance = flow("covariance", completed(hours(1), version="2"))
    weights = flow("weights", completed(hours(2), inputs={"covariance": "1"}), edges=[optional("covariance")])
    assert check(weights, covariance) == ()
    assert check(weights) == ()


def test_a_failed_run_of_an_input_leaves_nothing_newer() -> None:
    prices = flow("prices", completed(hours(3), version="13"), failed(hours(1)), live())
    signal = flow("signal", completed(hours(2), inputs={"prices": "13"}), edges=[strict("prices")])
    assert check(signal, prices) == ()


def test_an_input_without_a_version_is_nothing_newer() -> None:
    never_ran, unpromoted = flow("prices"), flow("prices", completed(hours(1), version=None))
    signal = flow("signal", completed(hours(2), inputs={"prices": "13"}), edges=[strict("prices")])
    assert check(signal, never_ran) == ()
    assert check(signal, unpromoted) == ()


def test_an_input_that_plays_two_roles_is_told_once() -> None:
    prices = flow("prices", completed(hours(1), version="2"))
    signal = flow("signal", completed(inputs={"prices": "1"}), edges=[strict("prices"), strict("prices", "universe")])
    assert len(check(signal, prices)) == 1


def test_inputs_are_not_followed_where_the_policy_says_so() -> None:
    prices = flow("prices", completed(hours(1), version="13"))
    policy = Policy(follow_inputs=False)
    train = flow("model.train", completed(inputs={"prices": "12"}), edges=[strict("prices")], policy=policy)
    assert check(train, prices) == ()
    assert check(train) == ()


def test_an_unknown_input_cannot_be_followed() -> None:
    signal = flow("signal", completed(), edges=[strict("prices")])
    with pytest.raises(UnreadableFacts, match=f"^nothing is known of its upstream flow {flow_id('prices').hex[:8]}$"):
        check(signal)


def test_an_unreadable_input_cannot_be_followed() -> None:
    signal = flow("signal", completed(inputs={"prices": "1"}), edges=[strict("prices")])
    with pytest.raises(UnreadableFacts, match=r"^its upstream prices\.refresh can't be read: no answer$"):
        check(signal, flow("prices", completed(), unreadable="no answer"))


def test_an_input_whose_row_is_missing_cannot_be_followed() -> None:
    signal = flow("signal", completed(inputs={"prices": "1"}), edges=[strict("prices")])
    run = replace(completed(), provenance=None)
    with pytest.raises(UnreadableFacts) as caught:
        check(signal, flow("prices", run))
    assert str(caught.value) == (
        f"its upstream prices.refresh can't be read: run {run.run_id.hex[:8]} completed, but its row is missing"
    )


# max_age


def test_age_counts_from_the_end_of_the_last_completed_run() -> None:
    policy = Policy(max_age=hours(24))
    assert check(ran(policy, completed(hours(24)))) == ()
    found = only(check(ran(policy, completed(hours(24) + SECOND))))
    assert found.reason == "its last completed run ended at 2026-03-10 17:59 UTC, more than 1 day ago"
    assert found.since == NOW - SECOND
    assert found.due is None


def test_a_skipped_run_confirms_and_starts_the_age_anew() -> None:
    judged = flow("signal", completed(days(3)), skipped(hours(1)), policy=Policy(max_age=hours(24)))
    assert check(judged) == ()


def test_age_is_judged_on_the_watermark_where_there_is_one() -> None:
    policy = Policy(max_age=hours(42))  # data of the 9th is whole at 00:00 on the 10th, 42 hours before NOW
    assert check(ran(policy, completed(days(9), watermark="2026-03-09"))) == ()
    found = only(check(ran(policy, completed(hours(1), watermark="2026-03-09")), now=NOW + SECOND))
    assert found == UnmetRule("its data ends at 2026-03-09, more than 42 hours ago", NOW, NOW)


def test_a_backfill_of_old_dates_does_not_make_fresh() -> None:
    judged = ran(Policy(max_age=days(7)), completed(minutes(1), watermark="2020-12-31"))
    assert only(check(judged)).reason == "its data ends at 2020-12-31, more than 7 days ago"


# deadline


def test_a_tick_must_be_answered_within_the_grace() -> None:
    policy = Policy(clock=EVENING, grace=minutes(60))
    before_the_tick = completed(hours(1) + SECOND)
    assert check(ran(policy, before_the_tick), now=NOW - SECOND) == ()
    found = only(check(ran(policy, before_the_tick)))
    assert found.reason == "no run has completed since its tick at 17:00 UTC, it was due by 18:00 UTC"
    assert found.since == NOW
    assert found.due is None


def test_a_run_that_completes_at_the_tick_answers_it() -> None:
    assert check(ran(Policy(clock=EVENING), completed(hours(1)))) == ()


def test_late_completion_restores_freshness() -> None:
    policy = Policy(clock=EVENING)
    assert check(ran(policy, completed(hours(30))), now=NOW + hours(5)) != ()
    assert check(ran(policy, completed(-hours(4))), now=NOW + hours(5)) == ()


def test_without_grace_a_tick_is_due_at_once() -> None:
    policy = Policy(clock=EVENING, grace=dt.timedelta(0))
    assert check(ran(policy, completed(days(1))), now=utc("2026-03-11 16:59:59")) == ()
    assert only(check(ran(policy, completed(days(1))), now=utc("2026-03-11 17:00"))).since == utc("2026-03-11 17:00")


def test_missed_ticks_count_from_the_first_one() -> None:
    found = only(check(ran(Policy(clock=EVENING), completed(days(5)))))  # ended on the 6th at 18:00
    assert (
        found.reason
        == "no run has completed since its tick at 2026-03-07 17:00 UTC, it was due by 2026-03-07 18:00 UTC"
    )
    assert found.since == utc("2026-03-07 18:00")


def test_an_interval_has_its_deadlines_too() -> None:
    policy = Policy(clock=Clock(interval=minutes(30)), grace=minutes(10))
    assert check(ran(policy, completed(minutes(30)))) == ()
    assert only(check(ran(policy, completed(minutes(31))))).since == NOW - minutes(20)


def test_a_clock_that_has_not_ticked_yet_misses_nothing() -> None:
    assert check(ran(Policy(clock=Clock(cron="0 0 30 2 *")), completed(days(900)))) == ()


def test_a_clock_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ClockError, match=r"^unknown timezone 'Mars'"):
        check(ran(Policy(clock=Clock(cron="0 17 * * *", timezone="Mars")), completed()))


# calendar


def test_the_data_must_reach_the_last_session() -> None:
    policy = Policy(calendar=Calendar("XNYS"))  # at NOW, the session of the 10th was the last to close
    assert check(ran(policy, completed(watermark="2026-03-10"))) == ()
    assert check(ran(policy, completed(watermark="2026-03-11"))) == ()
    found = only(check(ran(policy, completed(watermark="2026-03-09"))))
    due = utc("2026-03-10 20:00")
    reason = "its data ends at 2026-03-09, the XNYS session of 2026-03-10 was due at 2026-03-10 20:00 UTC"
    assert found == UnmetRule(reason, due, due)


def test_a_session_is_due_some_time_after_its_close() -> None:
    policy = Policy(calendar=Calendar("XNYS", hours(2)))
    judged = ran(policy, completed(watermark="2026-03-10"))
    assert check(judged, now=utc("2026-03-11 21:59:59")) == ()
    assert only(check(judged, now=utc("2026-03-11 22:00"))).due == utc("2026-03-11 22:00")


def test_over_holidays_no_data_is_due() -> None:
    judged = ran(Policy(calendar=Calendar("XLON")), completed(watermark="2026-04-02"))
    assert check(judged, now=utc("2026-04-07 15:29")) == ()  # Good Friday to Easter Monday
    assert only(check(judged, now=utc("2026-04-07 15:30"))).since == utc("2026-04-07 15:30")


def test_on_a_half_day_data_is_due_early() -> None:
    judged = ran(Policy(calendar=Calendar("XNYS")), completed(watermark="2025-11-26"))
    assert check(judged, now=utc("2025-11-28 17:59")) == ()
    assert only(check(judged, now=utc("2025-11-28 18:00"))).due == utc("2025-11-28 18:00")


def test_data_without_a_last_date_reaches_no_session() -> None:
    found = only(check(ran(Policy(calendar=Calendar("XNYS")), completed())))
    assert found.reason == "its data has no last date, the XNYS session of 2026-03-10 was due at 2026-03-10 20:00 UTC"


def test_a_calendar_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(CalendarError, match=r"^the calendar 'NOWHERE' cannot be read for 2026"):
        check(ran(Policy(calendar=Calendar("NOWHERE")), completed(watermark="2026-03-10")))


# Together


def test_all_that_are_set_must_be_met() -> None:
    prices = flow("prices", completed(hours(1), version="2"))
    policy = Policy(follow_inputs=True, max_age=days(1), clock=EVENING, calendar=Calendar("XNYS"))
    run = completed(days(2), config_hash="config-0", inputs={"prices": "1"}, watermark="2026-03-01")
    found = check(flow("signal", run, edges=[strict("prices")], policy=policy), prices)
    assert [u.reason.split(" ", 2)[:2] for u in found] == [
        ["its", "configuration"],
        ["it", "consumed"],
        ["no", "run"],
        ["its", "data"],
        ["its", "data"],
    ]
    assert [u.due is None for u in found] == [True, True, True, False, False]


def test_the_newest_version_is_that_of_the_newest_completed_run() -> None:
    assert newest_version(flow("prices", completed(days(2), version="1"), completed(days(1), version="2"))) == "2"
    assert newest_version(flow("prices", completed(days(2), version="1"), failed(days(1)), live())) == "1"
    assert newest_version(flow("prices", skipped(days(1), version="7"))) == "7"
    assert newest_version(flow("prices", failed())) is None
    assert newest_version(None) is None
