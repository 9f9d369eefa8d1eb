"""The code against the oracle, on thousands of random worlds."""

from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

from hypothesis import event, given
from sqlalchemy import Engine

from instances.rules.admission import admit, flows_to_refresh
from instances.rules.cascade import Hold, Start, decide
from instances.rules.flow_status import FlowStatus, judge
from instances.rules.late_runs import runs_under_way
from instances.rules.readiness import FreshnessReport, assess
from instances.specification.fields import OnStale, UpstreamRef
from instances.world.facts import Edge, FlowId, World
from tests.instances.catalogue import LOOSE_PART, dataset
from tests.instances.database import refresh_ids, saved
from tests.instances.oracle import Answer, Oracle
from tests.instances.sample_world import NOW
from tests.instances.simulated_house import House
from tests.instances.strategies import Case, WorldMaker, cases
from tests.instances.test_random_walks import draw_flows
from tests.properties import examples

REASONS = (
    "asked for at",
    "it is NOT_INITIALIZED: it has not run yet",
    "it is STALE: its configuration",
    "it is STALE: it consumed",
    "it is STALE: it has consumed no version",
    "it is STALE: no run has completed since its tick",
    "it is STALE: its data ends at",
    "its last run crashed",
    "its last run failed",
    "its source was delayed and is asked again",
    "its source is asked again",
    "its inputs have nothing newer",
    "its inputs are not ready",
    "it is not kept ready automatically",
    "recorded nothing that it left",
    "times in a row",
    "runs have crashed since",
    "was cancelled",
    "is paused",
    "is scheduled already",
    "it has no deployment yet",
    "its facts can't be read",
    "it is ERROR: failed",
    "left no version",
    "was trained on another definition of",
    "no version trained since was promoted",
    "its newest version was completed at",
)
ON_STALE: tuple[OnStale, ...] = ("block", "refresh", "warn")


def looked_into(case: Case) -> list[FlowId]:
    """Return the flows that are worth the time: those furthest downstream, which have the most upstream."""
    return list(case.world)[-5:]


def reports(case: Case) -> list[FreshnessReport]:
    return [assess(case.world[flow_id], case.world, case.now) for flow_id in looked_into(case)]


@examples(100)
@given(cases())
def test_every_flow_has_the_status_of_the_table(case: Case) -> None:
    for flow_id, flow in case.world.items():
        status = judge(flow, case.world, case.now).status
        event(f"status {status}")
        assert status == case.oracle.status(flow_id)


@examples(100)
@given(cases())
def test_a_late_run_is_superfluous_by_the_text(case: Case) -> None:
    for flow in case.world.values():
        under_way = {run.run_id for run in runs_under_way(flow)}
        event(f"late: {len(flow.live) > len(under_way)}, under way: {len(under_way) > 0}")
        assert under_way == {run.run_id for run in case.oracle.under_way(flow)}


@examples(100)
@given(cases())
def test_the_guard_names_what_blocks_and_what_is_behind_it(case: Case) -> None:
    for report in reports(case):
        event(f"all ready: {report.all_ready}")
        blockers = [blocker.flow_id for blocker in report.blockers]
        roots = [blocker.flow_id for blocker in report.blockers if blocker.root]
        assert set(blockers) == case.oracle.blockers(report.flow_id)
        assert set(roots) == case.oracle.root_causes(report.flow_id)
        assert blockers[: len(roots)] == roots, "root causes first"
        assert len(set(blockers)) == len(blockers)
        assert report.all_ready == (not blockers)
        for upstream in report.upstreams:
            event(f"upstream {upstream.verdict.status}, blocks: {upstream.blocks is not None}")
            assert upstream.verdict.status == case.oracle.status(upstream.flow_id)


@examples(100)
@given(cases())
def test_the_guard_pins_the_versions_of_the_direct_inputs(case: Case) -> None:
    for report in reports(case):
        pins = {(pin.upstream, pin.role, pin.version) for pin in report.pins}
        assert pins == case.oracle.pins(report.flow_id)
        assert len(report.pins) == len(pins)
        for pin in report.pins:
            left_by = case.world[pin.upstream].completed
            assert left_by is not None
            assert pin.run_id == left_by.run_id


@examples(100)
@given(cases())
def test_two_fingerprints_are_equal_when_what_they_stand_for_is(case: Case) -> None:
    known = dict(case.signatures)
    for report in reports(case):
        signature = case.oracle.signature(report.flow_id)
        for printed, stands_for in known.items():
            assert (printed == report.fingerprint) == (stands_for == signature)
        known[report.fingerprint] = signature


@examples(100)
@given(cases())
def test_a_run_is_admitted_by_the_text(case: Case) -> None:
    for report in reports(case):
        for on_stale in ON_STALE:
            for force in (False, True):
                for superfluous in (False, True):
                    how: dict[str, Any] = {"on_stale": on_stale, "force": force, "superfluous": superfluous}
                    admission = admit(case.world[report.flow_id], report, **how)
                    event(f"admission {admission}")
                    assert admission == case.oracle.admission(report.flow_id, **how)
        asked = flows_to_refresh(report, case.world)
        assert set(asked) == case.oracle.asked_upstream(report.flow_id)
        assert len(set(asked)) == len(asked)


@examples(200)
@given(cases())
def test_a_flow_is_started_or_left_by_the_text(case: Case) -> None:
    for flow_id in looked_into(case):
        decision = decide(case.world[flow_id], case.world, case.now)
        event(type(decision).__name__)
        expected = case.oracle.start(flow_id)
        assert _answer(case, decision) == expected
        if isinstance(decision, Start):
            assert decision.fingerprint == assess(case.world[flow_id], case.world, case.now).fingerprint


def _answer(case: Case, decision: Start | Hold) -> Answer | None:
    if isinstance(decision, Hold):
        return None
    return Answer(case.oracle.signature(decision.flow_id), decision.after, decision.parameters)


def test_the_worlds_hold_all_that_matters() -> None:
    """Say so when a change of the strategies makes the tests above look away."""
    seen: Counter[str] = Counter()
    for seed in range(1500):
        case = WorldMaker(Random(seed)).make(size=1 + seed % 12, faults=seed % 8)
        for flow in case.world.values():
            seen[f"status {judge(flow, case.world, case.now).status}"] += 1
        for report in reports(case):
            seen[f"all ready: {report.all_ready}"] += 1
            seen.update(f"blocks: {blocker.verdict.status}" for blocker in report.blockers)
            decision = decide(case.world[report.flow_id], case.world, case.now)
            seen[type(decision).__name__] += 1
            seen.update(reason for reason in REASONS if reason in f"{decision.reason} {report.why}")
            cancel = case.world[report.flow_id].cancelled
            seen["cancelled, and something is newer"] += cancel is not None and "it is " in decision.reason
    statuses = [f"{kind} {status}" for kind in ("status", "blocks:") for status in FlowStatus]
    others = ["cancelled, and something is newer", "all ready: True", "all ready: False", "Start", "Hold"]
    for what in [*statuses, *others, *REASONS]:
        assert seen[what] >= 4, f"{what}: {seen[what]}"
    assert min(seen["all ready: False"], seen["Start"], seen["Hold"]) > 300


@examples(50)
@given(cases())
def test_reading_only_the_surroundings_makes_no_difference(case: Case) -> None:
    for flow_id in looked_into(case):
        flow, part = case.world[flow_id], surroundings(case.world, flow_id)
        event(f"left out: {len(case.world) > len(part)}")
        assert assess(flow, part, case.now) == assess(flow, case.world, case.now)
        assert decide(flow, part, case.now) == decide(flow, case.world, case.now)


def test_the_simulated_house_reads_what_the_repository_does(database: Engine) -> None:
    """The surroundings by SQL are those that the simulation walks to, and so are the ancestors."""
    for seed in range(8):
        random = Random(seed)
        drawn = draw_flows(random, size=8)
        house = House(drawn)
        names = {flow.flow_id: f"g{seed}-{flow.name}" for flow in drawn}
        specs = (
            dataset(names[flow.flow_id], *(_ref(edge, names) for edge in flow.edges), pipeline_instance="loose")
            for flow in drawn
        )
        repository = saved(database, LOOSE_PART, *specs)
        ids = refresh_ids(repository)
        for starts in ([flow.flow_id for flow in random.sample(drawn, count)] for count in (1, 1, 2, 3)):
            read = {record.instance for record in repository.surroundings([ids[names[at]] for at in starts])}
            assert read == {names[at] for at in house.world(starts, deciding=True)}
        for flow in drawn:
            above = set(repository.ancestors(ids[names[flow.flow_id]]))
            assert above == {ids[names[at]] for at in house.ancestors(flow.flow_id)}
            below = set(repository.children(ids[names[flow.flow_id]]))
            assert below == {ids[names[at]] for at in house.children[flow.flow_id]}


def _ref(edge: Edge, names: Mapping[FlowId, str]) -> UpstreamRef:
    return UpstreamRef(instance=names[edge.upstream], required=edge.required, max_age=edge.max_age)


def surroundings(world: World, flow_id: FlowId) -> World:
    """Return what `Repository.surroundings` reads: the strict ancestors, and two steps upward from each of them."""
    near = {flow_id, *Oracle(world, NOW, {}).strict_ancestors(flow_id)}
    for _ in range(2):
        near |= {edge.upstream for at in near if at in world for edge in world[at].edges}
    return {at: world[at] for at in near if at in world}
