"""Late runs: one run does for all that were due before it began."""

from typing import Any

import pytest

from instances.rules.admission import Admission, admit
from instances.rules.cascade import Start, decide
from instances.rules.flow_status import FlowStatus, judge
from instances.rules.late_runs import done_by, runs_under_way, superfluous_runs
from instances.rules.readiness import assess
from instances.world.facts import FlowFacts, RunFact, RunState
from tests.instances.sample_world import NOW, completed, flow, hours, live, minutes, skipped, strict, world

DONE = completed(minutes(5), judged=minutes(10))


def due(ago: float, name: str = "", **parameters: object) -> RunFact:
    return live(RunState.SCHEDULED, minutes(ago), name, **parameters)


def status(facts: FlowFacts) -> FlowStatus:
    return judge(facts, world(facts), NOW).status


def test_a_run_that_was_due_before_one_that_has_completed_began_is_superfluous() -> None:
    ticks = [due(ago, "Late") for ago in (600, 70, 11)]
    facts = flow("prices", DONE, *ticks)
    assert superfluous_runs(facts) == tuple(ticks)
    assert runs_under_way(facts) == ()
    assert status(facts) is FlowStatus.READY


@pytest.mark.parametrize("ago", [10, 9, 6, 1])
def test_a_run_that_became_due_while_another_was_at_work_has_something_to_do(ago: float) -> None:
    facts = flow("prices", DONE, due(11), due(ago))
    assert runs_under_way(facts) == (due(ago),)
    verdict = judge(facts, world(facts), NOW)
    assert (verdict.status, verdict.evidence) == (FlowStatus.RUNNING, due(ago).run_id)


@pytest.mark.parametrize("parameters", [{"everything": True}, {"force": True}])
def test_a_run_that_was_asked_for_more_is_not_superfluous(parameters: dict[str, Any]) -> None:
    facts = flow("prices", DONE, due(11, **parameters))
    assert superfluous_runs(facts) == ()
    assert status(facts) is FlowStatus.RUNNING
    assert superfluous_runs(flow("prices", DONE, due(11, on_stale="warn"))) != ()


def test_a_run_that_has_started_is_not_superfluous() -> None:
    for run in (live(RunState.PENDING, minutes(11)), live(ago=minutes(11)), due(11, "AwaitingRetry")):
        assert superfluous_runs(flow("prices", DONE, run)) == ()


@pytest.mark.parametrize(
    "run",
    [
        completed(minutes(5)),  # nobody knows when its guard has judged
        completed(minutes(5), judged=minutes(10), recorded=False),
        completed(minutes(5), judged=minutes(12)),
    ],
)
def test_a_run_does_for_others_only_if_it_left_something_that_it_looked_for_later(run: RunFact) -> None:
    assert superfluous_runs(flow("prices", run, due(11))) == ()


def test_a_confirmation_does_for_others_too() -> None:
    assert superfluous_runs(flow("signal", skipped(minutes(5), judged=minutes(5)), due(6))) == (due(6),)


def test_what_is_superfluous_keeps_nothing_from_starting() -> None:
    prices = flow("prices", completed(hours(1), version="8"))
    stale = completed(minutes(5), judged=minutes(10), inputs={"prices": "7"})
    judged = flow("signal", stale, due(11), edges=[strict("prices")])
    assert isinstance(decide(judged, world(judged, prices), NOW), Start)
    waiting = flow("signal", stale, due(9), edges=[strict("prices")])
    assert not isinstance(decide(waiting, world(waiting, prices), NOW), Start)


def test_a_superfluous_run_is_admitted_to_nothing() -> None:
    facts = flow("prices", DONE)
    report = assess(facts, world(facts), NOW)
    assert admit(facts, report, on_stale="block", force=False, superfluous=True) is Admission.SUPERFLUOUS
    assert admit(facts, report, on_stale="block", force=True, superfluous=True) is Admission.FORCED
    assert done_by(facts, NOW - minutes(11), {}) == DONE
    assert done_by(facts, NOW - minutes(10), {}) is None
    assert done_by(facts, NOW - minutes(11), {"everything": True}) is None
