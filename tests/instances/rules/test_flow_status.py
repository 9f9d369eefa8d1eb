"""The table of statuses in docs/freshness.md, row by row, and the order of its rows."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.rules.flow_status import FlowStatus, Verdict, judge, unknown
from instances.world.facts import Calendar, Clock, Policy, RunFact, RunState
from instances.world.moments import NaiveMoment
from instances.world.wording import short
from tests.instances.sample_world import (
    NOW,
    blocked,
    cancelled,
    completed,
    crashed,
    days,
    failed,
    flow,
    flow_id,
    hours,
    live,
    minutes,
    skipped,
    strict,
    utc,
    world,
)
from tests.properties import examples

S = FlowStatus
SESSION = Policy(follow_inputs=False, calendar=Calendar("XNYS"))  # at NOW, due at 20:00 on the 10th, 22 hours ago
DAY_OLD = "2026-03-09"  # not enough for SESSION


def status(name: str, *runs: RunFact, **fields: Any) -> FlowStatus:
    facts = flow(name, *runs, **fields)
    return judge(facts, world(facts), NOW).status


def verdict(name: str, *runs: RunFact, **fields: Any) -> Verdict:
    facts = flow(name, *runs, **fields)
    return judge(facts, world(facts), NOW)


# 1: UNKNOWN


def test_what_cannot_be_read_is_unknown_whatever_else_is_there() -> None:
    found = verdict("prices", completed(), live(), unreadable="the Prefect API did not answer")
    assert found == Verdict(S.UNKNOWN, "its facts can't be read: the Prefect API did not answer")
    assert not found.ready


def test_a_flow_of_which_nothing_is_known_is_unknown() -> None:
    assert unknown(flow_id("prices")) == Verdict(S.UNKNOWN, f"nothing is known of the flow {short(flow_id('prices'))}")


def test_a_completed_run_without_a_row_is_unknown() -> None:
    run = replace(completed(hours(1)), provenance=None)
    found = verdict("prices", run)
    reason = f"run {short(run.run_id)} completed at 17:00 UTC, but its row is missing"
    assert found == Verdict(S.UNKNOWN, reason, run.run_id)


def test_a_completed_run_that_recorded_nothing_is_unknown() -> None:
    run = completed(hours(1), version=None, recorded=False)
    found = verdict("prices", run)
    reason = f"run {short(run.run_id)} completed at 17:00 UTC, but recorded nothing that it left"
    assert found == Verdict(S.UNKNOWN, reason, run.run_id)
    assert status("prices", run, config_hash="config-2") is S.UNKNOWN


def test_facts_that_contradict_each_other_are_unknown() -> None:
    decisive = completed(hours(1))
    assert status("prices", decisive, completed=completed(hours(2))) is S.UNKNOWN
    assert status("prices", decisive, completed=None) is S.UNKNOWN
    found = verdict("prices", decisive=blocked())
    assert found.status is S.UNKNOWN
    assert found.reason == "a run that is CANCELLED decides nothing"


def test_a_check_that_cannot_be_made_is_unknown() -> None:
    no_calendar = Policy(follow_inputs=False, calendar=Calendar("NOWHERE"))
    assert "the calendar 'NOWHERE' cannot be read" in verdict("prices", completed(), policy=no_calendar).reason
    assert status("prices", completed(), policy=no_calendar) is S.UNKNOWN
    no_clock = Policy(follow_inputs=False, clock=Clock(cron="61 * * * *"))
    assert status("prices", completed(), policy=no_clock) is S.UNKNOWN
    assert status("signal", completed(), edges=[strict("prices")]) is S.UNKNOWN


def test_a_check_that_cannot_be_made_goes_before_one_that_is_not_met() -> None:
    no_calendar = Policy(follow_inputs=False, calendar=Calendar("NOWHERE"))
    assert status("prices", completed(config_hash="config-0"), policy=no_calendar) is S.UNKNOWN


# 2: RUNNING


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (live(RunState.RUNNING, minutes(5)), "running since 17:55 UTC"),
        (live(RunState.PENDING, minutes(5)), "pending since 17:55 UTC, about to start"),
        (live(RunState.PAUSED, minutes(5)), "paused since 17:55 UTC"),
        (live(RunState.CANCELLING, minutes(5)), "cancelling since 17:55 UTC"),
        (live(RunState.SCHEDULED, minutes(0)), "due since 18:00 UTC, waiting for a worker"),
        (live(RunState.SCHEDULED, days(1), "Late"), "due since 2026-03-10 18:00 UTC, waiting for a worker"),
        (live(RunState.SCHEDULED, -minutes(1), "AwaitingRetry"), "waiting to run again at 18:01 UTC"),
        (live(RunState.SCHEDULED, minutes(0), "AwaitingRetry"), "due again since 18:00 UTC"),
        (live(RunState.SCHEDULED, minutes(1), "AwaitingRetry"), "due again since 17:59 UTC"),
    ],
)
def test_a_live_or_due_run_is_running_and_says_which(run: RunFact, reason: str) -> None:
    for earlier in ([], [failed(hours(2))], [completed(hours(2))], [completed(hours(2), config_hash="config-0")]):
        found = verdict("prices", run, *earlier)
        assert found == Verdict(S.RUNNING, f"{reason}, run {short(run.run_id)}", run.run_id, run.at)


def test_a_live_run_goes_before_a_missing_deployment() -> None:
    assert status("prices", live(), deployment_id=None) is S.RUNNING


def test_of_several_live_runs_the_one_furthest_along_is_told() -> None:
    running = live(RunState.RUNNING)
    assert verdict("prices", live(RunState.SCHEDULED), live(RunState.PENDING), running).evidence == running.run_id


# 3: NOT_INITIALIZED


def test_without_a_deployment_a_flow_is_not_initialized() -> None:
    assert verdict("prices", completed(), deployment_id=None) == Verdict(S.NOT_INITIALIZED, "it has no deployment yet")
    assert status("prices", failed(), deployment_id=None) is S.NOT_INITIALIZED


@pytest.mark.parametrize("runs", [[], [blocked()], [cancelled()], [cancelled(), blocked(hours(2))]])
def test_without_a_decisive_run_a_flow_is_not_initialized(runs: list[RunFact]) -> None:
    assert verdict("prices", *runs) == Verdict(S.NOT_INITIALIZED, "it has not run yet")


# 4: ERROR


def test_a_failed_run_is_an_error_with_its_message() -> None:
    run = failed(hours(1), message="the source is gone")
    reason = f"failed at 17:00 UTC, run {short(run.run_id)}: the source is gone"
    assert verdict("prices", run, completed(hours(2))) == Verdict(S.ERROR, reason, run.run_id, run.at)


def test_a_crashed_run_is_an_error() -> None:
    run = crashed(days(1))
    assert verdict("prices", run).reason == f"crashed at 2026-03-10 18:00 UTC, run {short(run.run_id)}"
    assert status("prices", run, completed(days(2))) is S.ERROR


def test_an_error_goes_before_staleness() -> None:
    assert status("prices", failed(hours(1)), completed(days(9), watermark=DAY_OLD), policy=SESSION) is S.ERROR


@pytest.mark.parametrize("later", [blocked(hours(1)), cancelled(hours(1))])
def test_blocked_and_cancelled_runs_decide_nothing(later: RunFact) -> None:
    assert status("prices", later, failed(hours(2))) is S.ERROR
    assert status("prices", later, completed(hours(2))) is S.READY


def test_a_completed_run_makes_good_for_a_failed_one() -> None:
    assert status("prices", completed(hours(1)), failed(hours(2))) is S.READY
    assert status("prices", skipped(hours(1)), crashed(hours(2)), completed(hours(3))) is S.READY


# 5: STALE_SOURCE_DELAYED


def test_a_source_that_had_nothing_new_when_data_was_due_is_delayed() -> None:
    run = completed(hours(21), found_new=False, watermark=DAY_OLD)
    found = verdict("prices", run, policy=SESSION)
    assert found.status is S.STALE_SOURCE_DELAYED
    assert found.reason == (
        "its data ends at 2026-03-09, the XNYS session of 2026-03-10 was due at 2026-03-10 20:00 UTC; "
        "the source had nothing new at 2026-03-10 21:00 UTC"
    )
    assert found.since == utc("2026-03-10 20:00")
    assert found.evidence == run.run_id
    assert not found.ready


def test_asking_at_the_moment_when_data_is_due_counts() -> None:
    assert status("prices", completed(hours(22), found_new=False, watermark=DAY_OLD), policy=SESSION) is (
        S.STALE_SOURCE_DELAYED
    )


def test_a_source_that_was_asked_before_data_was_due_is_not_delayed() -> None:
    before = completed(hours(22) + dt.timedelta(seconds=1), found_new=False, watermark=DAY_OLD)
    assert status("prices", before, policy=SESSION) is S.STALE


def test_a_source_that_gave_something_is_not_delayed() -> None:
    assert status("prices", completed(hours(21), watermark=DAY_OLD), policy=SESSION) is S.STALE


def test_data_past_its_age_whose_source_had_nothing_new_is_delayed() -> None:
    policy = Policy(follow_inputs=False, max_age=hours(24))  # data of the 8th is due again from the 10th, 00:00, on
    assert status("prices", completed(hours(42), found_new=False, watermark="2026-03-08"), policy=policy) is (
        S.STALE_SOURCE_DELAYED
    )
    assert status("prices", completed(hours(43), found_new=False, watermark="2026-03-08"), policy=policy) is S.STALE


def test_a_skipped_run_found_nothing_new() -> None:
    assert status("prices", skipped(hours(1), watermark=DAY_OLD), policy=SESSION) is S.STALE_SOURCE_DELAYED


def test_a_source_is_not_delayed_while_something_else_is_unmet_too() -> None:
    run = completed(hours(1), found_new=False, watermark=DAY_OLD)
    assert status("prices", run, policy=SESSION, config_hash="config-2") is S.STALE
    missed = replace(SESSION, clock=Clock(cron="30 17 * * *"), grace=minutes(10))
    assert status("prices", run, policy=missed) is S.STALE


# 6: STALE


def test_a_stale_flow_tells_all_reasons_and_since_when() -> None:
    run = completed(hours(21), watermark=DAY_OLD, config_hash="config-0")
    found = verdict("prices", run, policy=SESSION)
    assert found == Verdict(
        S.STALE,
        "its configuration has changed since its last completed run; "
        "its data ends at 2026-03-09, the XNYS session of 2026-03-10 was due at 2026-03-10 20:00 UTC",
        run.run_id,
        utc("2026-03-10 20:00"),
    )


def test_a_flow_is_stale_as_soon_as_an_input_has_something_newer() -> None:
    prices = flow("prices", completed(minutes(10), version="2"))
    signal = flow("signal", completed(hours(1), inputs={"prices": "1"}), edges=[strict("prices")])
    found = judge(signal, world(prices, signal), NOW)
    assert found.status is S.STALE
    assert found.since == NOW - minutes(10)


def test_its_own_status_does_not_look_at_that_of_its_inputs() -> None:
    prices = flow("prices", live(), failed(hours(1)), completed(days(1), version="1"))
    signal = flow("signal", completed(hours(2), inputs={"prices": "1"}), edges=[strict("prices")])
    assert judge(signal, world(prices, signal), NOW).status is S.READY


# 7: READY


def test_what_is_met_is_ready_and_says_by_which_run() -> None:
    run = completed(hours(1))
    reason = f"completed by run {short(run.run_id)} at 17:00 UTC"
    found = verdict("prices", run)
    assert found == Verdict(S.READY, reason, run.run_id, run.at)
    assert found.ready


def test_a_skipped_run_confirms_the_completed_one_with_its_own_time() -> None:
    run = skipped(hours(1))
    found = verdict("prices", run, completed(days(30)), policy=Policy(max_age=days(7)))
    assert found == Verdict(S.READY, f"confirmed by run {short(run.run_id)} at 17:00 UTC", run.run_id, run.at)


def test_train_stays_ready_for_a_week_whatever_its_inputs_do() -> None:
    weekly = Policy(follow_inputs=False, max_age=days(7))
    prices = flow("prices", completed(minutes(1), version="9"))
    fresh = flow("m.train", completed(days(7), inputs={"prices": "1"}), edges=[strict("prices")], policy=weekly)
    assert judge(fresh, world(prices, fresh), NOW).status is S.READY
    assert judge(fresh, world(prices, fresh), NOW + minutes(1)).status is S.STALE


def test_a_train_that_promoted_nothing_is_ready_without_a_version() -> None:
    assert status("m.train", completed(version=None), policy=Policy(follow_inputs=False, max_age=days(7))) is S.READY


# The order of the rules, whatever the facts

run_facts = st.one_of(
    st.builds(
        lambda make, age, old, new: make(hours(age), watermark=DAY_OLD if old else None, found_new=new),
        st.sampled_from([completed, skipped, failed, crashed, blocked, cancelled]),
        st.integers(0, 200),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        live,
        st.sampled_from([RunState.RUNNING, RunState.PENDING, RunState.SCHEDULED]),
        st.integers(0, 9).map(minutes),
    ),
)


@examples(300)
@given(
    runs=st.lists(run_facts, max_size=4, unique_by=lambda run: run.at),
    deployed=st.booleans(),
    unreadable=st.sampled_from([None, "no answer"]),
    policy=st.sampled_from(
        [Policy(), SESSION, Policy(max_age=days(2)), replace(SESSION, clock=Clock(cron="0 9 * * *"))]
    ),
    config=st.sampled_from(["config-1", "config-2"]),
)
def test_the_first_rule_that_applies_decides(
    runs: list[RunFact], deployed: bool, unreadable: str | None, policy: Policy, config: str
) -> None:
    facts = flow("prices", *runs, policy=policy, unreadable=unreadable, config_hash=config)
    facts = facts if deployed else replace(facts, deployment_id=None)
    found = judge(facts, world(facts), NOW)
    if unreadable:
        expected = {S.UNKNOWN}
    elif facts.live:
        expected = {S.RUNNING}
    elif not deployed or facts.decisive is None:
        expected = {S.NOT_INITIALIZED}
    elif facts.decisive.state is not RunState.COMPLETED:
        expected = {S.ERROR}
    elif config != "config-1":
        expected = {S.STALE}
    else:
        expected = {S.STALE_SOURCE_DELAYED, S.STALE, S.READY}
    assert found.status in expected
    assert found.reason
    if found.status in {S.ERROR, S.STALE, S.STALE_SOURCE_DELAYED, S.READY}:
        assert facts.decisive is not None
        assert found.evidence == facts.decisive.run_id
        assert found.since is not None
        assert found.since <= NOW


def test_a_naive_now_is_rejected() -> None:
    with pytest.raises(NaiveMoment, match=r"^now has no time zone: 2026-03-11T18:00:00\. Pass an aware datetime"):
        judge(flow("prices"), {}, dt.datetime(2026, 3, 11, 18))  # noqa: DTZ001
