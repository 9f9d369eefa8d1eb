"""Whether a run is started: each reason to start one, each reason to leave it, the claim, and the requests."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

import pytest

from instances.rules.cascade import Hold, Start, decide, open_requests, withdrawn_at
from instances.rules.flow_status import judge
from instances.rules.readiness import assess
from instances.world.facts import Calendar, Clock, Edge, FlowFacts, Policy, Request, RunFact, RunState
from instances.world.wording import short
from tests.instances.sample_world import (
    NOW,
    blocked,
    cancelled,
    completed,
    crashed,
    days,
    deployment_id,
    failed,
    flow,
    hours,
    live,
    minutes,
    skipped,
    strict,
    unjudged,
    world,
)

PRICES = flow("prices", completed(hours(2), version="7"))
SESSION = Policy(follow_inputs=False, calendar=Calendar("XNYS"))  # at NOW, the data of 2026-03-10 was due


def decision(judged: FlowFacts, *others: FlowFacts) -> Start | Hold:
    return decide(judged, world(judged, *others), NOW)


def started(judged: FlowFacts, *others: FlowFacts) -> Start:
    found = decision(judged, *others)
    assert isinstance(found, Start), found
    return found


def left(judged: FlowFacts, *others: FlowFacts) -> str:
    found = decision(judged, *others)
    assert isinstance(found, Hold), found
    assert (found.flow_id, found.label) == (judged.flow_id, judged.label)
    return found.reason


def signal(*runs: RunFact, edges: Iterable[Edge] = (strict("prices"),), **fields: object) -> FlowFacts:
    return flow("signal", *runs, edges=edges, **fields)


def asked(number: int, ago: float = 10, **parameters: object) -> Request:
    return Request(UUID(int=number), NOW - minutes(ago), parameters)


CURRENT = assess(signal(), world(signal(), PRICES), NOW).fingerprint


# What is kept ready automatically


def test_what_never_ran_is_started() -> None:
    found = started(signal(), PRICES)
    assert found == Start(
        flow_id=signal().flow_id,
        label="signal.refresh",
        deployment_id=deployment_id("signal"),
        fingerprint=CURRENT,
        reason="it is NOT_INITIALIZED: it has not run yet",
        after=None,
        ended_at=None,
    )


def test_what_is_stale_is_started_after_its_last_ended_run() -> None:
    stale = completed(hours(3), inputs={"prices": "6"})
    found = started(signal(stale), PRICES)
    assert found.reason == f"it is STALE: {judge(signal(stale), world(signal(stale), PRICES), NOW).reason}"
    assert found.after == stale.run_id
    last = blocked(hours(1))
    assert started(signal(stale, last), PRICES).after == last.run_id


def test_what_is_ready_is_left() -> None:
    run = completed(hours(1), inputs={"prices": "7"})
    assert left(signal(run), PRICES) == f"it is READY: completed by run {short(run.run_id)} at 17:00 UTC"


def test_what_is_unknown_is_left() -> None:
    unrecorded = completed(hours(1), inputs={"prices": "7"}, version=None, recorded=False)
    assert left(signal(unrecorded), PRICES).endswith("completed at 17:00 UTC, but recorded nothing that it left")
    assert left(signal(decisive=blocked()), PRICES) == "it is UNKNOWN: a run that is CANCELLED decides nothing"


def test_what_is_not_auto_is_left_unless_asked_for() -> None:
    assert left(signal(auto=False), PRICES) == (
        "it is not kept ready automatically; run it by hand, by its schedule, or set auto on signal"
    )
    assert isinstance(decision(signal(auto=False, requests=(asked(1),)), PRICES), Start)


def test_what_the_guard_would_block_is_left() -> None:
    reason = f"its inputs are not ready: prices.refresh is ERROR: failed at 17:00 UTC, run {short(failed().run_id)}"
    assert left(signal(), flow("prices", failed())) == reason
    assert left(signal(requests=(asked(1),)), flow("prices", failed())) == reason


# Obstacles, for what is asked for as well


@pytest.mark.parametrize("requests", [(), (asked(1),)])
@pytest.mark.parametrize(
    ("judged", "reason"),
    [
        (signal(unreadable="no answer"), "its facts can't be read: no answer"),
        (signal(live(RunState.PENDING)), f"run {short(live(RunState.PENDING).run_id)} is pending already"),
        (signal(live(RunState.SCHEDULED)), f"run {short(live(RunState.SCHEDULED).run_id)} is scheduled already"),
        (signal(deployment_id=None), "it has no deployment yet"),
        (signal(paused=True), "its deployment is paused"),
    ],
)
def test_an_obstacle_keeps_any_run_from_starting(judged: FlowFacts, reason: str, requests: tuple[Request, ...]) -> None:
    facts = flow("signal", edges=[strict("prices")], requests=requests)
    names = ("unreadable", "live", "deployment_id", "paused", "decisive", "completed", "last_ended")
    facts = _with(facts, **{name: getattr(judged, name) for name in names})
    assert left(facts, PRICES) == reason


def _with(facts: FlowFacts, **fields: object) -> FlowFacts:
    known = {name: getattr(facts, name) for name in facts.__dataclass_fields__}
    return FlowFacts(**(known | fields))


# Errors


def test_a_crash_is_retried_with_the_same_fingerprint_up_to_three_in_a_row() -> None:
    twice = signal(crashed(hours(1), fingerprint=CURRENT), crashed(hours(2), fingerprint=CURRENT))
    assert started(twice, PRICES).reason == "its last run crashed, and the reason may have gone"
    early = unjudged(RunState.CRASHED)
    assert started(signal(early), PRICES).after == early.run_id


def test_a_failure_is_retried_only_when_the_fingerprint_differs() -> None:
    changed = signal(failed(hours(1), fingerprint="another"))
    assert started(changed, PRICES).reason == "its last run failed, and the reason may have gone"
    same = failed(hours(1), fingerprint=CURRENT)
    assert left(signal(same), PRICES) == f"it is ERROR: failed at 17:00 UTC, run {short(same.run_id)}"
    assert isinstance(decision(signal(same, requests=(asked(1),)), PRICES), Start)


def test_a_failure_before_the_guard_is_retried_like_a_crash() -> None:
    early = unjudged(RunState.FAILED, hours(1))
    found = started(signal(early), PRICES)
    assert (found.reason, found.after) == ("its last run failed, and the reason may have gone", early.run_id)
    last = blocked(minutes(1))
    assert started(signal(early, last), PRICES).after == last.run_id
    thrice = [unjudged(RunState.FAILED, hours(n)) for n in (1, 2, 3)]
    assert isinstance(decision(signal(*thrice[:2], failed(hours(3), fingerprint=CURRENT)), PRICES), Start)
    newer = flow("prices", completed(minutes(0.5), version="8"))
    assert isinstance(decision(signal(cancelled(minutes(1)), *thrice), newer), Start)


# Crashes, in a row of one fingerprint


IN_A_ROW = "it has crashed 3 times in a row; run it by hand when the cause is gone"


def crashes(*fingerprints: str) -> FlowFacts:
    """Return the signal after these crashes, the newest first; an hour lies between them."""
    return signal(*(crashed(hours(n), fingerprint=each) for n, each in enumerate(fingerprints, start=1)))


def test_a_flow_that_has_crashed_three_times_for_the_same_is_left_alone() -> None:
    assert left(crashes(CURRENT, CURRENT, CURRENT), PRICES) == IN_A_ROW
    assert left(crashes(CURRENT, CURRENT, CURRENT, "another"), PRICES) == IN_A_ROW
    assert isinstance(decision(crashes(CURRENT, CURRENT, "another", CURRENT), PRICES), Start)


def test_a_changed_input_or_configuration_starts_the_count_of_crashes_anew() -> None:
    thrice = crashes(CURRENT, CURRENT, CURRENT)
    assert isinstance(decision(thrice, flow("prices", completed(minutes(1), version="8"))), Start)
    assert isinstance(decision(replace(thrice, config_hash="config-2"), PRICES), Start)
    assert isinstance(decision(crashes("another", "another", "another"), PRICES), Start)


def test_a_crash_before_the_guard_is_of_what_it_was_started_for() -> None:
    early = [unjudged(RunState.CRASHED, hours(n), claimed=CURRENT) for n in (1, 2, 3)]
    assert left(signal(*early), PRICES) == IN_A_ROW
    others = [replace(run, claimed="another") for run in early]
    assert isinstance(decision(signal(*others), PRICES), Start)


def test_a_crash_of_which_nothing_is_known_is_of_now_unless_there_is_news() -> None:
    thrice = signal(*(unjudged(RunState.FAILED, minutes(n)) for n in (10, 20, 30)))
    assert left(thrice, PRICES) == IN_A_ROW
    assert isinstance(decision(thrice, flow("prices", completed(minutes(9), version="8"))), Start)
    assert isinstance(decision(replace(thrice, configured_at=NOW - minutes(15)), PRICES), Start)
    assert left(replace(thrice, configured_at=NOW - minutes(30)), PRICES) == IN_A_ROW


def test_a_request_is_honoured_whatever_has_crashed() -> None:
    thrice = crashes(CURRENT, CURRENT, CURRENT)
    assert started(replace(thrice, requests=(asked(1),)), PRICES).reason == "asked for at 17:50 UTC"
    assert started(replace(thrice, requests=(asked(1, ago=600),)), PRICES).reason == "asked for at 08:00 UTC"


def test_what_is_asked_for_and_crashes_again_and_again_is_tried_every_quarter_of_an_hour() -> None:
    def crashing(ago: float) -> FlowFacts:
        early = [unjudged(RunState.CRASHED, minutes(ago + n)) for n in (0, 1, 2)]
        return signal(*early, requests=(asked(1, ago=30),))

    assert left(crashing(14), PRICES) == (
        "it was asked for at 17:30 UTC, but 3 runs have crashed since; it is tried again 15 minutes after the last"
    )
    assert isinstance(decision(crashing(15), PRICES), Start)
    asked_again = replace(crashing(5), requests=(asked(1, ago=4),))
    assert isinstance(decision(asked_again, PRICES), Start)


def test_a_retry_after_a_crash_is_asked_for_what_the_run_that_crashed_was() -> None:
    """50 rows were withdrawn at the source; a run that was to read everything was killed."""
    for run in (crashed(hours(1), fingerprint=CURRENT), unjudged(RunState.FAILED, hours(1))):
        asked_for = {"everything": True, "force": True, "on_stale": "warn"}
        killed = replace(run, parameters=asked_for)
        found = started(signal(killed, completed(hours(2), inputs={"prices": "7"})), PRICES)
        assert found.parameters == asked_for
        assert started(signal(killed, completed(minutes(30), inputs={"prices": "6"})), PRICES).parameters == {}
        blocked_since = signal(killed, blocked(minutes(5)), requests=(asked(1, ago=5, on_stale="block"),))
        assert started(blocked_since, PRICES).parameters == {**asked_for, "on_stale": "block"}
    work = replace(failed(hours(1), fingerprint="another"), parameters={"everything": True})
    assert started(signal(work), PRICES).parameters == {}


# Cancelled by a person: the last word until something is newer


def test_a_cancelled_run_is_not_started_again_by_itself() -> None:
    for run in (cancelled(hours(1), fingerprint=CURRENT), unjudged(RunState.CANCELLED, hours(1))):
        reason = f"run {short(run.run_id)} was cancelled, and nothing that it depends on is newer; run it by hand"
        assert left(signal(run), PRICES) == reason
        assert left(flow("prices", run)) == reason


def test_a_cancel_holds_whatever_fingerprint_the_run_had() -> None:
    """An input went back to the version before: nothing is newer."""
    assert "was cancelled" in left(signal(cancelled(hours(1), fingerprint="another")), PRICES)
    assert "was cancelled" in left(signal(unjudged(RunState.CANCELLED, hours(1), claimed="another")), PRICES)
    same = unjudged(RunState.CANCELLED, hours(3), claimed=CURRENT)
    assert isinstance(decision(signal(same), PRICES), Start)  # whose version was left an hour later


def test_a_version_of_an_input_that_was_left_after_a_cancel_ends_it() -> None:
    cancel = signal(unjudged(RunState.CANCELLED, hours(1)))
    assert "was cancelled" in left(cancel, flow("prices", completed(hours(1), version="8")))
    assert isinstance(decision(cancel, flow("prices", completed(minutes(59), version="8"))), Start)
    confirmed = flow("prices", skipped(minutes(1), version="7", version_since=NOW - hours(2)))
    assert "was cancelled" in left(cancel, confirmed)
    newer = flow("prices", skipped(minutes(1), version="8", version_since=NOW - minutes(59)))
    assert isinstance(decision(cancel, newer), Start)
    optional_input = signal(*_ended(cancel), edges=[replace(strict("prices"), required=False)])
    assert isinstance(decision(optional_input, newer), Start)


def _ended(facts: FlowFacts) -> list[RunFact]:
    return [run for run in (facts.last_ended,) if run is not None]


def test_a_configuration_that_was_changed_after_a_cancel_ends_it() -> None:
    cancel = signal(cancelled(hours(1)))
    assert "was cancelled" in left(replace(cancel, configured_at=NOW - hours(1)), PRICES)
    assert isinstance(decision(replace(cancel, configured_at=NOW - minutes(59)), PRICES), Start)


def test_a_tick_or_a_session_after_a_cancel_ends_it() -> None:
    hourly = Policy(follow_inputs=False, clock=Clock(cron="0 * * * *"))
    assert "was cancelled" in left(flow("prices", cancelled(minutes(0)), policy=hourly))  # that very tick
    assert isinstance(decision(flow("prices", cancelled(minutes(1)), policy=hourly)), Start)
    assert "was cancelled" in left(flow("prices", cancelled(hours(22)), policy=SESSION))  # of 2026-03-10
    assert isinstance(decision(flow("prices", cancelled(hours(23)), policy=SESSION)), Start)


def test_what_can_not_be_computed_is_no_news() -> None:
    for broken in (Policy(clock=Clock(cron="61 * * * *")), Policy(calendar=Calendar("NOWHERE"))):
        assert "was cancelled" in left(flow("prices", cancelled(hours(1)), policy=broken))


def test_a_run_that_did_something_after_a_cancel_ends_it() -> None:
    stale = completed(minutes(30), inputs={"prices": "6"})
    assert isinstance(decision(signal(stale, cancelled(hours(1))), PRICES), Start)
    behind_a_blocked_one = signal(blocked(minutes(30)), cancelled(hours(1)))
    assert "was cancelled" in left(behind_a_blocked_one, PRICES)


def test_a_blocked_run_was_not_cancelled_by_a_person() -> None:
    assert isinstance(decision(signal(blocked(hours(1), fingerprint=CURRENT)), PRICES), Start)


# Delayed sources


def test_a_delayed_source_is_asked_again_after_a_while() -> None:
    always_the_same = assess(flow("prices"), {}, NOW).fingerprint  # it has no inputs

    def source(ago: float) -> FlowFacts:
        run = completed(minutes(ago), found_new=False, watermark="2026-03-09", fingerprint=always_the_same)
        return flow("prices", run, policy=SESSION)

    assert started(source(15)).reason == "its source was delayed and is asked again"
    assert left(source(14)) == "its source is asked again 15 minutes after 17:46 UTC"
    slow = _with(source(59), source_retry=hours(1))
    assert left(slow) == "its source is asked again 1 hour after 17:01 UTC"


def test_a_delayed_flow_with_inputs_is_asked_again_only_for_other_inputs() -> None:
    def delayed(fingerprint: str) -> FlowFacts:
        run = skipped(hours(1), inputs={"prices": "7"}, watermark="2026-03-09", fingerprint=fingerprint)
        return signal(run, policy=SESSION)

    assert left(delayed(CURRENT), PRICES) == "its inputs have nothing newer"
    assert started(delayed("another"), PRICES).reason == "its source was delayed and is asked again"


# Requests


def test_a_request_is_granted_with_its_parameters() -> None:
    requests = (asked(1, ago=30, everything=True),)
    found = started(signal(completed(hours(3)), auto=False, requests=requests), PRICES)
    assert found.reason == "asked for at 17:30 UTC"
    assert found.parameters == {"everything": True}


def test_what_is_ready_is_started_when_asked_for() -> None:
    ready = signal(completed(hours(1), inputs={"prices": "7"}, fingerprint=CURRENT), requests=(asked(1),))
    assert started(ready, PRICES).fingerprint == CURRENT


def test_a_person_s_cancellation_withdraws_what_was_asked_for_up_to_then() -> None:
    run = cancelled(minutes(10), fingerprint=CURRENT)
    judged = signal(run, auto=False, requests=(asked(1, ago=11), asked(2, ago=10), asked(3, ago=9)))
    assert withdrawn_at(judged) == run.at
    assert [request.request_id.int for request in open_requests(judged)] == [3]
    assert started(judged, PRICES).reason == "asked for at 17:51 UTC"
    assert isinstance(decision(signal(run, auto=False, requests=(asked(1, ago=11),)), PRICES), Hold)


@pytest.mark.parametrize("last", [blocked(minutes(1)), completed(minutes(1)), failed(minutes(1))])
def test_no_other_end_withdraws_a_request(last: RunFact) -> None:
    judged = signal(last, requests=(asked(1, ago=11),))
    assert withdrawn_at(judged) is None
    assert open_requests(judged) == judged.requests
    assert withdrawn_at(signal()) is None


# The claim


def test_one_run_starts_for_each_deployment_fingerprint_and_last_ended_run() -> None:
    first = started(signal(), PRICES)
    start_of = f"{first.flow_id}:{deployment_id('signal')}"
    assert first.key == f"{start_of}:{CURRENT}:none"
    crash = crashed(hours(1), fingerprint=CURRENT)
    assert started(signal(crash), PRICES).key == f"{start_of}:{CURRENT}:{crash.run_id}:2026-03-11T17:00:00+00:00"
    newer = started(signal(), flow("prices", completed(hours(1), version="8")))
    edited = started(signal(config_hash="config-2"), PRICES)
    other = started(flow("other", edges=[strict("prices")]), PRICES)
    made_anew = started(signal(deployment_id=deployment_id("another")), PRICES)
    keys = {found.key for found in (first, started(signal(crash), PRICES), newer, edited, other, made_anew)}
    assert len(keys) == 6


def test_a_run_that_was_retried_under_its_own_id_opens_a_claim_each_time_it_ends() -> None:
    """One that is blocked, and asks again, would wait for ever under the claim of its first end."""
    first = blocked(hours(1))
    again = replace(first, at=NOW - minutes(5))
    keys = {started(signal(run, requests=(asked(1, ago=2),)), PRICES).key for run in (first, again)}
    assert len(keys) == 2


def test_whoever_decides_and_why_the_claim_is_the_same() -> None:
    later = decide(signal(), world(signal(), PRICES), NOW + days(1))
    assert isinstance(later, Start)
    assert later.key == started(signal(), PRICES).key
    assert started(signal(requests=(asked(1),)), PRICES).key == later.key
