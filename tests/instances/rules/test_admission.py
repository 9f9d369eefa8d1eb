"""What a run does with what its guard has found, and whom it asks."""

import pytest

from instances.rules.admission import Admission, admit, flows_to_refresh
from instances.rules.readiness import assess
from instances.specification.fields import OnStale
from instances.world.facts import FlowFacts, RunFact
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
    world,
)

READY_PRICES = flow("prices", completed(version="7"))


def fingerprint_of(judged: FlowFacts, *others: FlowFacts) -> str:
    return assess(judged, world(judged, *others), NOW).fingerprint


def admission(judged: FlowFacts, *others: FlowFacts, on_stale: OnStale = "block", force: bool = False) -> Admission:
    return admit(judged, assess(judged, world(judged, *others), NOW), on_stale=on_stale, force=force)


def signal(*runs: RunFact) -> FlowFacts:
    return flow("signal", *runs, edges=[strict("prices")])


CURRENT = fingerprint_of(signal(), READY_PRICES)


def test_what_is_ready_works() -> None:
    assert admission(signal(), READY_PRICES) is Admission.READY
    assert admission(signal(completed(fingerprint="another")), READY_PRICES) is Admission.READY


def test_what_has_been_computed_already_is_skipped() -> None:
    assert admission(signal(completed(fingerprint=CURRENT)), READY_PRICES) is Admission.SKIPPED
    again = signal(completed(hours(2), fingerprint=CURRENT), skipped(hours(1), fingerprint=CURRENT))
    assert admission(again, READY_PRICES) is Admission.SKIPPED


def test_what_is_to_read_everything_anew_is_not_skipped() -> None:
    judged = signal(completed(fingerprint=CURRENT))
    report = assess(judged, world(judged, READY_PRICES), NOW)
    assert admit(judged, report, on_stale="block", force=False, everything=True) is Admission.READY


def test_only_the_last_completed_run_counts_for_a_skip() -> None:
    returned = signal(completed(hours(2), fingerprint=CURRENT), completed(hours(1), fingerprint="another"))
    assert admission(returned, READY_PRICES) is Admission.READY
    assert admission(signal(failed(fingerprint=CURRENT)), READY_PRICES) is Admission.READY
    failed_since = signal(completed(hours(2), fingerprint=CURRENT), failed(hours(1), fingerprint="another"))
    assert admission(failed_since, READY_PRICES) is Admission.SKIPPED


def test_a_run_that_recorded_nothing_is_not_one_to_skip_for() -> None:
    by_hand = completed(fingerprint=CURRENT, version=None, recorded=False)
    assert admission(signal(by_hand), READY_PRICES) is Admission.READY


def test_a_flow_without_inputs_is_never_skipped() -> None:
    source = flow("prices", completed(fingerprint=fingerprint_of(flow("prices"))))
    assert admission(source) is Admission.READY


@pytest.mark.parametrize(
    ("on_stale", "expected"),
    [("block", Admission.BLOCKED), ("refresh", Admission.BLOCKED), ("warn", Admission.WARNED)],
)
def test_what_is_not_ready_goes_by_on_stale(on_stale: OnStale, expected: Admission) -> None:
    for runs in ([], [completed(fingerprint=fingerprint_of(signal(), flow("prices", failed())))]):
        assert admission(signal(*runs), flow("prices", failed()), on_stale=on_stale) is expected


@pytest.mark.parametrize("on_stale", ["block", "refresh", "warn"])
def test_force_goes_on_whatever_the_guard_says(on_stale: OnStale) -> None:
    assert admission(signal(), flow("prices"), on_stale=on_stale, force=True) is Admission.FORCED
    current = signal(completed(fingerprint=CURRENT))
    assert admission(current, READY_PRICES, on_stale=on_stale, force=True) is Admission.FORCED


# on_stale: refresh


def asked(judged: FlowFacts, *others: FlowFacts) -> list[str]:
    facts = world(judged, *others)
    return [facts[found].instance for found in flows_to_refresh(assess(judged, facts, NOW), facts)]


def test_every_ancestor_that_is_not_ready_is_asked_for_root_causes_first() -> None:
    top = flow("top", edges=[strict("middle"), strict("ready")])
    middle, bottom = flow("middle", failed(), edges=[strict("bottom")]), flow("bottom")
    assert asked(top, middle, bottom, flow("ready", completed())) == ["bottom", "middle"]


def test_nobody_is_asked_when_all_are_ready() -> None:
    assert asked(signal(), READY_PRICES) == []


def test_a_ready_ancestor_between_two_that_are_not_is_left_alone() -> None:
    top, upper = flow("top", edges=[strict("upper")]), flow("upper", edges=[strict("middle")])
    middle = flow("middle", completed(inputs={"bottom": "1"}), edges=[strict("bottom")])
    bottom = flow("bottom", failed(minutes(1)), completed(hours(2)))
    assert asked(top, upper, middle, bottom) == ["bottom", "upper"]


def test_what_is_behind_a_tolerant_input_that_blocks_is_asked_for_too() -> None:
    infer = flow("m.infer", edges=[tolerant("n.train")])
    train = flow("n.train", completed(days(2)), edges=[strict("prices")])
    assert asked(infer, train, flow("prices", failed())) == ["n", "prices"]


def test_what_is_behind_a_tolerant_input_that_is_young_enough_is_not_asked_for() -> None:
    infer = flow("m.infer", edges=[tolerant("n.train"), strict("other")])
    train = flow("n.train", completed(hours(2)), failed(), edges=[strict("prices")])
    assert asked(infer, train, flow("prices", failed()), flow("other")) == ["other"]


def test_a_ready_input_without_a_version_is_asked_for() -> None:
    assert asked(signal(), flow("prices", completed(version=None))) == ["prices"]


def test_a_running_source_is_left_out_but_a_running_follower_may_have_old_inputs() -> None:
    top = flow("top", edges=[strict("follower")])
    follower = flow("follower", live(), edges=[strict("source")])
    assert asked(top, follower, flow("source", live())) == ["follower"]


def test_what_cannot_be_judged_is_left_out_but_not_what_is_behind_it() -> None:
    top = flow("top", edges=[strict("unreadable"), strict("unrecorded")])
    unreadable = flow("unreadable", edges=[strict("prices")], unreadable="no answer")
    unrecorded = flow("unrecorded", completed(version=None, recorded=False))
    assert asked(top, unreadable, unrecorded, flow("prices")) == ["prices"]


def test_an_input_that_is_not_required_is_not_asked_for() -> None:
    assert asked(flow("top", edges=[optional("extra"), strict("prices")]), flow("extra"), flow("prices")) == ["prices"]


def test_neither_the_flow_itself_nor_an_unknown_one_is_asked_for() -> None:
    top = flow("top", edges=[strict("prices"), strict("nowhere")], unreadable="no answer")
    assert asked(top, flow("prices")) == ["prices"]
    report = assess(top, world(top), NOW)
    assert {blocker.flow_id for blocker in report.blockers} == {flow_id(n) for n in ("top", "prices", "nowhere")}
