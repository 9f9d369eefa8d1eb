"""Features that are defined anew: the model that has learned the old ones is of no use, whatever its age."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from definitions.contract import FlowKind
from instances.rules.admission import Admission, admit
from instances.rules.cascade import Hold, Start, decide
from instances.rules.changes_since import change_since
from instances.rules.flow_status import FlowStatus, judge
from instances.rules.readiness import assess
from instances.world.facts import Edge, FlowFacts, Policy, RunFact, World
from tests.instances.sample_world import (
    NOW,
    cancelled,
    completed,
    days,
    flow,
    flow_id,
    hours,
    minutes,
    optional,
    strict,
    tolerant,
    world,
)

OLD, NEW = "momentum-1", "momentum-2"
WEEKLY = Policy(follow_inputs=False, max_age=days(7))
PRICES = flow("prices", completed(hours(9), version="5"))
READS = (strict("momentum", "features"), strict("prices", "prices"))
PROBLEM = "its champion v3 was trained on another definition of momentum"


def momentum(config: str = OLD, *, made_by: str = OLD, changed: float = 90) -> FlowFacts:
    """Return a feature of a configuration that was changed some minutes ago; its rows are the same in each."""
    run = completed(hours(2), version="7", config_hash=made_by)
    return flow("momentum", run, config_hash=config, configured_at=NOW - minutes(changed))


def learned(version: str | None = "3", made_by: str = OLD, ago: float = 60, **fields: object) -> RunFact:
    inputs = {"momentum": "7", "prices": "5"}
    return completed(minutes(ago), version=version, inputs=inputs, made_by={"momentum": made_by}, **fields)


def train(
    *runs: RunFact, champion: Mapping[str, str] | None = None, edges: tuple[Edge, ...] = READS, **fields: object
) -> FlowFacts:
    learned_by = {"momentum": OLD} if champion is None else champion
    trained_on = {flow_id(name): made_by for name, made_by in learned_by.items()}
    known = {"policy": WEEKLY, "edges": edges, "trained_on": trained_on} | fields
    return flow("model.train", *(runs or (learned(),)), **known)  # type: ignore[arg-type]


def infer(*runs: RunFact) -> FlowFacts:
    edges = (strict("momentum", "features"), tolerant("model.train", days(14), "champion"))
    return flow("model.infer", *runs, edges=edges)


def facts_of(*flows: FlowFacts) -> World:
    return world(PRICES, *flows)


def status(judged: FlowFacts, known: World) -> FlowStatus:
    return judge(judged, known, NOW).status


def test_a_model_is_ready_as_long_as_its_features_are_what_its_champion_has_learned() -> None:
    known = facts_of(momentum(), train(), infer())
    assert status(train(), known) is FlowStatus.READY
    assert assess(infer(), known, NOW).all_ready


def test_a_feature_that_is_defined_anew_makes_its_model_stale_at_once() -> None:
    known = facts_of(momentum(NEW), train(), infer())
    verdict = judge(train(), known, NOW)
    assert (verdict.status, verdict.reason, verdict.since) == (FlowStatus.STALE, PROBLEM, NOW - minutes(90))


@pytest.mark.parametrize("made_by", [OLD, NEW])
def test_until_there_is_a_new_champion_nothing_is_inferred_however_tolerant_the_edge(made_by: str) -> None:
    """Also when the feature has run again, and has left the same rows."""
    known = facts_of(momentum(NEW, made_by=made_by), train(), infer())
    blockers = {blocker.label: blocker.blocks for blocker in assess(infer(), known, NOW).blockers}
    assert blockers["model.train"] == PROBLEM
    new = train(learned("4", NEW, ago=5), champion={"momentum": NEW})
    blockers = {b.label: b.blocks for b in assess(infer(), facts_of(momentum(NEW, made_by=NEW), new), NOW).blockers}
    assert "model.train" not in blockers


def test_a_training_on_the_same_rows_of_another_definition_is_not_skipped() -> None:
    before = facts_of(momentum(), train())
    old = learned(fingerprint=assess(train(), before, NOW).fingerprint)
    same = train(old)
    report = assess(same, facts_of(momentum(), same), NOW)
    assert admit(same, report, on_stale="block", force=False) is Admission.SKIPPED
    anew = assess(same, facts_of(momentum(NEW, made_by=NEW), same), NOW)
    assert anew.all_ready
    assert admit(same, anew, on_stale="block", force=False) is Admission.READY
    # What others read is a name for the rows alone.
    readers = [flow("other", edges=[strict("momentum")]) for _ in range(2)]
    prints = {assess(readers[0], facts_of(momentum(config, made_by=config)), NOW).fingerprint for config in (OLD, NEW)}
    assert len(prints) == 1


def test_it_is_trained_anew_by_itself_and_then_waits_for_a_promotion() -> None:
    ran_again = momentum(NEW, made_by=NEW)
    assert isinstance(decide(train(), facts_of(ran_again, train()), NOW), Start)
    unpromoted = train(learned("3", NEW, ago=5))
    known = facts_of(ran_again, unpromoted)
    verdict = judge(unpromoted, known, NOW)
    assert verdict.status is FlowStatus.STALE
    assert verdict.reason == (
        f"{PROBLEM}, and no version trained since was promoted; promote one with `optaic promote model VERSION`"
    )
    assert isinstance(decide(unpromoted, known, NOW), Hold)
    too_old = train(learned("3", NEW, ago=60 * 24 * 8))
    assert isinstance(decide(too_old, facts_of(ran_again, too_old), NOW), Start)
    promoted = train(learned("4", NEW, ago=5), champion={"momentum": NEW})
    assert status(promoted, facts_of(ran_again, promoted)) is FlowStatus.READY


@pytest.mark.parametrize("edge", [optional("momentum", "features"), tolerant("momentum", days(1), "features")])
def test_a_feature_that_may_be_read_as_it_was_starts_no_training_before_it_has_run_again(edge: Edge) -> None:
    """A training would be skipped, and leave the model as stale: the end of each would start the next, for ever."""
    edges = (edge, strict("prices", "prices"))
    fingerprint = assess(train(edges=edges), facts_of(momentum(), train(edges=edges)), NOW).fingerprint
    model = train(learned(fingerprint=fingerprint), edges=edges)
    report = assess(model, facts_of(momentum(NEW), model), NOW)
    assert admit(model, report, on_stale="block", force=False) is Admission.SKIPPED
    decision = decide(model, facts_of(momentum(NEW), model), NOW)
    assert isinstance(decision, Hold)
    assert decision.reason == f"it is STALE: {PROBLEM}; a run would find nothing new before that has run again"
    assert isinstance(decide(model, facts_of(momentum(NEW, made_by=NEW), model), NOW), Start)


def test_features_that_were_added_or_left_out_are_others_too() -> None:
    carry = flow("carry", completed(hours(3), version="1"))
    more = train(edges=(*READS, strict("carry", "features")))
    assert "another definition of carry" in judge(more, facts_of(momentum(), carry, more), NOW).reason
    fewer = train(champion={"momentum": OLD, "carry": "carry-1"})
    assert "another definition of carry" in judge(fewer, facts_of(momentum(), carry, fewer), NOW).reason
    maybe = train(edges=(*READS, optional("carry", "features")))
    assert status(maybe, facts_of(momentum(), carry, maybe)) is FlowStatus.READY


def test_prices_may_be_defined_anew_and_what_is_not_known_is_not_held_against_a_champion() -> None:
    prices = replace(PRICES, config_hash="prices-2")
    assert status(train(), world(momentum(), prices, train())) is FlowStatus.READY
    silent = replace(train(), trained_on=None)
    assert status(silent, facts_of(momentum(NEW), silent)) is FlowStatus.READY
    without = train(learned(None), champion={})
    assert status(without, facts_of(momentum(NEW), without)) is FlowStatus.READY


def test_a_feature_of_which_nothing_is_known_is_no_evidence() -> None:
    assert status(train(), world(PRICES, train())) is FlowStatus.UNKNOWN
    report = assess(infer(), world(PRICES, train(), infer()), NOW)
    assert {blocker.label for blocker in report.blockers} >= {"model.train"}


def test_a_definition_that_was_changed_after_a_cancel_ends_it() -> None:
    stopped = train(cancelled(minutes(30)), learned(ago=60 * 24 * 8))
    assert change_since(stopped, facts_of(momentum(NEW)), NOW - minutes(30), NOW) is None
    changed = facts_of(momentum(NEW, changed=29))
    assert change_since(stopped, changed, NOW - minutes(30), NOW) == "momentum was defined anew at 17:31 UTC"
    reader = flow("signal", edges=[strict("momentum")])
    assert change_since(reader, changed, NOW - minutes(30), NOW) is None
    assert train().kind is FlowKind.TRAIN
