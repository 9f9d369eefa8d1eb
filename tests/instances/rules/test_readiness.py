"""The guard's report: each kind of edge, the order of the blockers, and the texts."""

import datetime as dt
from dataclasses import replace

import pytest

from definitions.contract import FlowKind
from instances.rules.flow_status import FlowStatus
from instances.rules.readiness import FreshnessReport, assess
from instances.world.facts import FlowFacts, Policy, RunState
from instances.world.fingerprint import Pin, fingerprint
from instances.world.moments import NaiveMoment
from instances.world.wording import short
from tests.instances.sample_world import (
    CONFIG,
    DAY,
    MINUTE,
    NOW,
    completed,
    crashed,
    days,
    failed,
    flow,
    flow_id,
    hours,
    live,
    minutes,
    optional,
    strict,
    tolerant,
    world,
)

TRAINED = Policy(follow_inputs=False)


def report(judged: FlowFacts, *others: FlowFacts) -> FreshnessReport:
    return assess(judged, world(judged, *others), NOW)


def blockers(judged: FlowFacts, *others: FlowFacts) -> list[str]:
    return [blocker.label for blocker in report(judged, *others).blockers]


def reason(judged: FlowFacts, *others: FlowFacts) -> str | None:
    (blocker,) = report(judged, *others).blockers
    return blocker.blocks


def test_a_flow_without_inputs_may_work() -> None:
    found = report(flow("prices"))
    assert found.all_ready
    assert found.upstreams == ()
    assert found.pins == ()
    assert found.why == ""
    assert (found.label, found.checked_at) == ("prices.refresh", NOW)


def test_its_own_status_does_not_matter() -> None:
    assert report(flow("signal", live(), failed(), edges=[strict("prices")]), flow("prices", completed())).all_ready


# Strict edges


def test_a_ready_strict_upstream_lets_pass() -> None:
    found = report(flow("signal", edges=[strict("prices")]), flow("prices", completed()))
    assert found.all_ready
    assert [(u.label, u.verdict.status, u.blocks) for u in found.upstreams] == [
        ("prices.refresh", FlowStatus.READY, None)
    ]


@pytest.mark.parametrize(
    ("upstream", "status"),
    [
        (flow("prices"), FlowStatus.NOT_INITIALIZED),
        (flow("prices", live(), completed()), FlowStatus.RUNNING),
        (flow("prices", failed()), FlowStatus.ERROR),
        (flow("prices", completed(config_hash="config-0")), FlowStatus.STALE),
        (flow("prices", completed(), unreadable="no answer"), FlowStatus.UNKNOWN),
    ],
)
def test_a_strict_upstream_that_is_not_ready_blocks_with_its_reason(upstream: FlowFacts, status: FlowStatus) -> None:
    (blocker,) = report(flow("signal", edges=[strict("prices")]), upstream).blockers
    assert blocker.verdict.status is status
    assert blocker.blocks == blocker.verdict.reason


def test_every_strict_ancestor_counts_by_its_own_status() -> None:
    signal = flow("signal", edges=[strict("clean")])
    clean = flow("clean", completed(inputs={"prices": "1"}), edges=[strict("prices")])
    assert blockers(signal, clean, flow("prices", failed(), completed(hours(2)))) == ["prices.refresh"]


def test_a_strict_upstream_that_is_ready_without_a_version_blocks() -> None:
    run = completed(version=None)
    signal = flow("signal", edges=[strict("prices")])
    prices = flow("prices", run)
    why = f"its run {short(run.run_id)} left no version, so there is nothing to read yet"
    assert reason(signal, prices) == why
    assert report(signal, prices).why == f"prices.refresh is READY: {why}"


def test_a_model_that_was_never_promoted_blocks_and_says_how_to_promote_it() -> None:
    run = completed(version=None)
    infer = flow("m.infer", edges=[tolerant("m.train")])
    assert reason(infer, flow("m.train", run, policy=TRAINED)) == (
        f"its run {short(run.run_id)} trained a model, but no version has been promoted yet; "
        "promote one with `optaic promote m VERSION`"
    )


def test_an_ancestor_without_a_version_is_its_children_s_affair() -> None:
    signal = flow("signal", edges=[strict("clean")])
    assert report(
        signal, flow("clean", completed(), edges=[strict("prices")]), flow("prices", completed(version=None))
    ).all_ready


def test_an_upstream_of_which_nothing_is_known_blocks() -> None:
    signal = flow("signal", edges=[strict("prices")])
    assert reason(signal) == f"nothing is known of the flow {short(flow_id('prices'))}"
    assert report(signal).upstreams[0].label == short(flow_id("prices"))


# Tolerant edges


@pytest.mark.parametrize(
    "doing", [live(), live(RunState.SCHEDULED), failed(minutes(5)), crashed(minutes(5)), completed(minutes(5))]
)
def test_a_young_version_is_enough_whatever_the_upstream_is_doing(doing: object) -> None:
    assert isinstance(doing, type(live()))
    train = flow("m.train", completed(hours(20)), doing, config_hash="config-2")
    infer = flow("m.infer", edges=[tolerant("m.train")])
    assert report(infer, train).all_ready


def test_a_version_of_exactly_the_age_is_enough_and_an_older_one_is_not() -> None:
    infer = flow("m.infer", edges=[tolerant("m.train", days(14))])
    assert report(infer, flow("m.train", completed(days(14)), failed())).all_ready
    assert reason(infer, flow("m.train", completed(days(14) + MINUTE), failed())) == (
        "its newest version was completed at 2026-02-25 17:59 UTC, more than 14 days ago"
    )


def test_an_old_version_blocks_though_the_upstream_is_ready() -> None:
    assert blockers(flow("m.infer", edges=[tolerant("m.train")]), flow("m.train", completed(days(2)))) == ["m.train"]


def test_nothing_behind_a_tolerant_edge_is_looked_at() -> None:
    train = flow("m.train", completed(), edges=[strict("prices")])
    found = report(flow("m.infer", edges=[tolerant("m.train")]), train, flow("prices", failed()))
    assert found.all_ready
    assert [upstream.label for upstream in found.upstreams] == ["m.train"]


def test_a_tolerant_upstream_without_a_version_blocks() -> None:
    infer = flow("m.infer", edges=[tolerant("m.train")])
    assert reason(infer, flow("m.train")) == "it has not run yet"
    assert reason(infer, flow("m.train", failed(hours(1)))) == f"failed at 17:00 UTC, run {short(failed().run_id)}"
    run = completed(version=None)
    why = reason(infer, flow("m.train", run))
    assert why is not None
    assert why.startswith(f"its run {short(run.run_id)} trained a model, but no version has been promoted yet")
    assert reason(infer, flow("m.train", completed(), unreadable="no answer")) == "its facts can't be read: no answer"


def test_an_upstream_behind_both_kinds_of_edge_must_meet_both() -> None:
    both = flow("m.infer", edges=[strict("m.train", "model"), tolerant("m.train", DAY, "scaler")])
    assert report(both, flow("m.train", completed())).all_ready
    assert blockers(both, flow("m.train", completed(hours(2)), failed())) == ["m.train"]
    assert blockers(both, flow("m.train", completed(days(2)))) == ["m.train"]


# Edges that are not required


@pytest.mark.parametrize("upstream", [flow("covariance"), flow("covariance", failed()), flow("covariance", live())])
def test_an_edge_that_is_not_required_never_blocks(upstream: FlowFacts) -> None:
    found = report(flow("weights", edges=[optional("covariance")]), upstream)
    assert found.all_ready
    assert [u.label for u in found.upstreams] == ["covariance.refresh"]


def test_an_unknown_upstream_that_is_not_required_does_not_block() -> None:
    assert report(flow("weights", edges=[optional("covariance")])).all_ready


# What can't be read


def test_its_own_facts_that_cannot_be_read_block() -> None:
    signal = flow("signal", edges=[strict("prices")], unreadable="the Prefect API did not answer")
    found = report(signal, flow("prices", completed()))
    assert [blocker.label for blocker in found.blockers] == ["signal.refresh"]
    assert found.why == "signal.refresh is UNKNOWN: its facts can't be read: the Prefect API did not answer"


def test_a_naive_now_is_rejected() -> None:
    with pytest.raises(NaiveMoment, match=r"^now has no time zone"):
        assess(flow("prices"), {}, dt.datetime(2026, 3, 11, 18))  # noqa: DTZ001


# Order and root causes


def test_root_causes_come_first_then_what_they_block_then_the_rest() -> None:
    top = flow("top", edges=[strict("middle"), strict("a-ready-one"), strict("z-other")])
    found = report(
        top,
        flow("middle", edges=[strict("bottom")]),
        flow("bottom", failed()),
        flow("a-ready-one", completed()),
        flow("z-other", live()),
    )
    assert [(u.label, u.root, u.blocks is not None) for u in found.upstreams] == [
        ("bottom.refresh", True, True),
        ("z-other.refresh", True, True),
        ("middle.refresh", False, True),
        ("a-ready-one.refresh", False, False),
    ]
    assert found.why.startswith("bottom.refresh is ERROR: failed at 17:00 UTC")
    assert found.why.endswith("; middle.refresh is NOT_INITIALIZED: it has not run yet")


def test_a_blocker_behind_a_ready_one_is_the_root_cause() -> None:
    top = flow("top", edges=[strict("upper")])
    upper = flow("upper", edges=[strict("lower")])
    lower = flow("lower", completed(inputs={"bottom": "1"}), edges=[strict("bottom")])
    bottom = flow("bottom", failed(), completed(hours(2)))
    assert [(b.label, b.root) for b in report(top, upper, lower, bottom).blockers] == [
        ("bottom.refresh", True),
        ("upper.refresh", False),
    ]


# Pins and fingerprint


def test_the_newest_version_of_each_direct_input_is_pinned() -> None:
    run = completed(hours(1), version="12")
    prices = flow("prices", run, failed(minutes(1)))
    found = report(flow("signal", edges=[strict("prices"), optional("prices", "universe")]), prices)
    assert found.pins == (
        Pin(flow_id("prices"), "prices", FlowKind.REFRESH, "input", "12", run.run_id),
        Pin(flow_id("prices"), "prices", FlowKind.REFRESH, "universe", "12", run.run_id),
    )
    assert found.fingerprint == fingerprint(CONFIG, found.pins)


def test_the_configuration_of_today_is_in_the_fingerprint() -> None:
    signal, prices = flow("signal", edges=[strict("prices")]), flow("prices", completed())
    changed = replace(signal, config_hash="config-2")
    assert report(changed, prices).fingerprint == fingerprint("config-2", report(signal, prices).pins)


def test_inputs_without_a_version_are_not_pinned() -> None:
    edges = [optional("never-ran"), optional("no-version"), optional("unreadable"), optional("unknown"), strict("b")]
    found = report(
        flow("signal", edges=edges),
        flow("never-ran"),
        flow("no-version", completed(version=None)),
        flow("unreadable", completed(), unreadable="no answer"),
        flow("b", completed(inputs={"a": "1"}), edges=[strict("a")]),
        flow("a", completed()),
    )
    assert [pin.instance for pin in found.pins] == ["b"]
