"""Whether a run is started: each reason to start one, each reason to leave it, the claim, and the requests."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

import pytest

from instances.rules.cascade import Hold, Start, decide, open_requests, withdrawn_at
from instances.rules.readiness import assess
from instances.rules.status import judge
from instances.world.facts import Calendar, Edge, FlowFacts, Policy, Request, RunFact, RunState
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
        (
            signal(crashed(hours(1)), crashed(hours(2)), crashed(hours(3))),
            "it has crashed 3 times in a row; run it by hand when the cause is gone",
        ),
        (
            signal(unjudged(RunState.FAILED, hours(1)), crashed(hours(2)), unjudged(RunState.FAILED, hours(3))),
            "it has crashed 3 times in a row; run it by hand when the cause is gone",
        ),
    ],
)
def test_an_obstacle_keeps_any_run_from_starting(judged: FlowFacts, reason: str, requests: tuple[Request, ...]) -> None:
    facts = flow("signal", edges=[strict("prices")], requests=requests)
    names = ("unreadable", "live", "deployment_id", "paused", "crashes_in_row", "decisive", "completed", "last_ended")
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
    assert "crashed 3 times in a row" in left(signal(cancelled(minutes(1), fingerprint="another"), *thrice), PRICES)


# Cancelled by a person


def test_a_cancelled_run_is_not_started_again_for_the_same_fingerprint() -> None:
    run = cancelled(hours(1), fingerprint=CURRENT)
    reason = f"run {short(run.run_id)} was cancelled, and its inputs are still the same; run it by hand"
    assert left(signal(run), PRICES) == reason
    assert isinstance(decision(signal(cancelled(hours(1), fingerprint="another")), PRICES), Start)


def test_a_run_cancelled_before_its_guard_waits_for_an_input_to_complete() -> None:
    run = unjudged(RunState.CANCELLED, hours(1))
    cancelled_already = f"run {short(run.run_id)} was cancelled"
    assert left(signal(run), PRICES).startswith(cancelled_already)
    assert left(signal(run), flow("prices", completed(hours(1)))).startswith(cancelled_already)
    assert isinstance(decision(signal(run), flow("prices", completed(minutes(59)))), Start)
    source = flow("prices", run)
    assert left(source).startswith(cancelled_already)


def test_a_run_cancelled_before_its_guard_is_compared_by_what_it_was_started_for() -> None:
    same = signal(unjudged(RunState.CANCELLED, hours(3), claimed=CURRENT))
    assert "its inputs are still the same" in left(same, PRICES)  # though they completed again since
    other = signal(unjudged(RunState.CANCELLED, hours(1), claimed="another"))
    assert isinstance(decision(other, PRICES), Start)  # though none has completed since
    judged = cancelled(hours(1), fingerprint="another")
    assert isinstance(decision(signal(replace(judged, claimed=CURRENT)), PRICES), Start)  # what it had counts


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
    assert started(signal(crash), PRICES).key == f"{start_of}:{CURRENT}:{crash.run_id}"
    newer = started(signal(), flow("prices", completed(hours(1), version="8")))
    edited = started(signal(config_hash="config-2"), PRICES)
    other = started(flow("other", edges=[strict("prices")]), PRICES)
    made_anew = started(signal(deployment_id=deployment_id("another")), PRICES)
    keys = {found.key for found in (first, started(signal(crash), PRICES), newer, edited, other, made_anew)}
    assert len(keys) == 6


def test_whoever_decides_and_why_the_claim_is_the_same() -> None:
    later = decide(signal(), world(signal(), PRICES), NOW + days(1))
    assert isinstance(later, Start)
    assert later.key == started(signal(), PRICES).key
    assert started(signal(requests=(asked(1),)), PRICES).key == later.key
