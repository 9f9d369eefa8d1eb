"""Random walks of a simulated house: whatever fails, is cut off or comes at once, it comes to rest READY."""

import datetime as dt
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from random import Random
from uuid import UUID

import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from definitions.contract import FlowKind
from instances.rules.admission import Admission
from instances.rules.readiness import FreshnessReport
from instances.specification.fields import OnStale
from instances.world.facts import BLOCKED, SKIPPED, Clock, Edge, FlowId, Policy, RunState
from tests.instances.sample_world import days, hours, minutes
from tests.instances.simulated_house import Flow, House, Reading, Run
from tests.properties import examples

WEEKLY = Policy(follow_inputs=False, max_age=days(7))  # as of a model's train
CLOCKS = (Clock(cron="0 17 * * *"), Clock(interval=hours(6)))
ON_STALE: tuple[OnStale, ...] = ("block", "block", "block", "refresh", "refresh", "warn")
ENDINGS = ("completed", "completed", "completed", "unchanged")
TROUBLE = st.sampled_from((0.0, 0.1, 0.3))
TROUBLES = ("failed", "crashed", "crashed after the commit")


def flow_at(place: int) -> FlowId:
    return FlowId(UUID(int=(place + 1) << 96))


def draw_flows(random: Random, size: int) -> list[Flow]:
    """Return an acyclic graph of flows of all the kinds that there are, upstream first."""
    flows: list[Flow] = []
    for place in range(size):
        count = min(place, random.choice((0, 1, 1, 2, 2, 3)))
        edges = tuple(_draw_edge(random, upstream) for upstream in random.sample(flows, count))
        policy, auto = _draw_source(random) if not edges else _draw_follower(random)
        on_stale, kind = random.choice(ON_STALE), FlowKind.REFRESH
        if policy == WEEKLY:
            kind, edges = FlowKind.TRAIN, tuple(replace(edge, role="features") for edge in edges)
        flows.append(Flow(flow_at(place), f"flow-{place}", edges, policy, auto, on_stale, kind))
    return flows


def _draw_edge(random: Random, upstream: Flow) -> Edge:
    if upstream.policy == WEEKLY and random.random() < 0.6:
        return Edge(upstream.flow_id, max_age=days(14))
    return Edge(upstream.flow_id, required=random.random() > 0.1)


def _draw_source(random: Random) -> tuple[Policy, bool]:
    clock = random.choice((None, *CLOCKS))
    policy = Policy(follow_inputs=False, clock=clock, max_age=random.choice((None, days(3))))
    return policy, clock is None and random.random() < 0.5


def _draw_follower(random: Random) -> tuple[Policy, bool]:
    kind = random.random()
    if kind < 0.2:
        return WEEKLY, random.random() < 0.8
    if kind < 0.3:
        return Policy(follow_inputs=False, clock=random.choice(CLOCKS)), False
    return Policy(), random.random() < 0.85


def take_a_step(
    house: House, random: Random, *, workers: int, trouble: float = 0, troubles: tuple[str, ...] = TROUBLES
) -> bool:
    """Do one thing that is due: one or two hooks, or a run taken, judged or ended; false when nothing is due.

    `trouble` is how likely it is that it goes wrong: a hook that is lost, a run that fails, crashes or is killed.
    Without any, all runs find something new.
    """
    open_runs = [run for run in house.every_run() if not run.ended and not run.killed]
    under_way = [run for run in open_runs if not run.waiting]
    due = [run for run in open_runs if house.can_be_taken(run)] if len(under_way) < workers else []
    if not (due or under_way or house.hooks):
        return False
    wrong = random.random() < trouble
    if house.hooks and (random.random() < 0.5 or not due + under_way):
        random.shuffle(house.hooks)
        at_once = [house.hooks.pop() for _ in range(min(len(house.hooks), random.choice((1, 1, 2))))]
        house.act(*[house.hook(run) for run in at_once if not wrong])
    else:
        run = random.choice(due + under_way)
        if run.waiting:
            house.take(run)
        elif wrong and random.random() < 0.2:
            run.killed = True
        elif run.admission is None and wrong:
            house.fail_early(run, random.choice((RunState.CRASHED, RunState.CRASHED, RunState.FAILED)))
        elif run.admission is None:
            house.guard(run)
        else:
            house.end(run, random.choice(troubles if wrong else ENDINGS) if trouble else "completed")
    return True


class CheckedHouse(House):
    """A house that asks the oracle, with the whole world before it, whether each step is right."""

    def read(self, flow_ids: Collection[FlowId]) -> Reading:
        reading = super().read(flow_ids)
        assert all(self.oracle.start(start.flow_id) is not None for start in reading.starts)
        return reading

    def guard(self, run: Run) -> FreshnessReport | None:
        self.pass_time()
        oracle, on_stale = self.oracle, run.parameters.get("on_stale", self.flows[run.flow_id].on_stale)
        done = run.attempts == 0 and oracle.is_done(oracle.world[run.flow_id], run.due, run.parameters)
        admission = oracle.admission(run.flow_id, on_stale=on_stale, force=run.force, superfluous=done)
        pins, before = oracle.pins(run.flow_id), run.provenance
        report = super().guard(run)
        if report is None:
            assert run.provenance is before, "every attempt goes by what the first one's guard wrote down"
            return None
        assert run.admission == admission
        assert sum(wish.open for wish in self.wishes if wish.flow_id == run.flow_id) <= 1
        assert {(pin.upstream, pin.role, pin.version) for pin in report.pins} == pins
        return report

    def asked_upstream(self, report: FreshnessReport) -> tuple[FlowId, ...]:
        asked = super().asked_upstream(report)
        assert set(asked) == self.oracle.asked_upstream(report.flow_id)
        return asked

    def end(self, run: Run, how: str = "completed") -> None:
        guarded, version = run.provenance, self.oracle.version(run.flow_id)
        super().end(run, how)
        if guarded is not None:
            assert run.provenance is not None
            assert run.provenance.inputs == guarded.inputs, "a pinned version never changes"
        if run.name == SKIPPED:
            assert self.oracle.version(run.flow_id) == version, "a skipped run confirms the version"


class Walk(RuleBasedStateMachine):
    """One walk; its rules are what can happen, its invariants what must hold after each step."""

    house: House
    goes_back: bool
    old_readings: list[Reading]
    versions: dict[FlowId, tuple[int, UUID | None]]

    @initialize(random=st.randoms(use_true_random=True), size=st.integers(2, 8), goes_back=st.booleans())
    def build(self, random: Random, size: int, goes_back: bool) -> None:
        self.house = CheckedHouse(draw_flows(random, size))
        self.goes_back = goes_back  # whether configurations and versions may return to what they were
        self.old_readings = []
        self.versions = {}

    def flow(self, place: int) -> Flow:
        return self.house.flows[flow_at(place % len(self.house.flows))]

    # What people do

    @rule(
        place=st.integers(0, 7),
        force=st.sampled_from((False, False, False, True)),
        everything=st.sampled_from((False, False, True)),
        on_stale=st.sampled_from((None, None, "block", "refresh", "refresh", "warn")),
    )
    def a_person_starts_a_run(self, place: int, force: bool, everything: bool, on_stale: str | None) -> None:
        parameters = {"on_stale": on_stale} if on_stale else {}
        if self.flow(place).deployment is not None:
            asked = parameters | ({"force": True} if force else {}) | ({"everything": True} if everything else {})
            self.house.schedule(self.flow(place).flow_id, parameters=asked)

    @precondition(lambda self: any(not run.ended for run in self.house.every_run()))
    @rule(number=st.integers(0, 7))
    def a_person_cancels_a_run(self, number: int) -> None:
        runs = [run for run in self.house.every_run() if not run.ended]
        self.house.cancel(runs[number % len(runs)])

    @precondition(lambda self: any(run.waiting for run in self.house.every_run()))
    @rule(number=st.integers(0, 7))
    def a_person_deletes_a_waiting_run(self, number: int) -> None:
        runs = [run for run in self.house.every_run() if run.waiting]
        self.house.delete(runs[number % len(runs)])

    @precondition(lambda self: self.ended_runs())
    @rule(number=st.integers(0, 30))
    def an_ended_run_is_deleted(self, number: int) -> None:
        """By a person or by retention: what has completed and is on record stays, and so does its version."""
        ended = self.ended_runs()
        run = ended[number % len(ended)]
        before, stays = self.judged(), run.worked or (run.name == SKIPPED and not run.by_hand)
        self.house.delete(run)
        if stays:
            assert self.judged() == before

    def ended_runs(self) -> list[Run]:
        return [run for run in self.house.every_run() if run.ended]

    def judged(self) -> dict[FlowId, tuple[str, str | None]]:
        oracle = self.house.oracle
        return {flow_id: (oracle.status(flow_id), oracle.version(flow_id)) for flow_id in self.house.flows}

    @precondition(lambda self: any(run.state is not RunState.COMPLETED for run in self.ended_runs()))
    @rule(number=st.integers(0, 7))
    def a_person_retries_a_run_under_its_own_id(self, number: int) -> None:
        runs = [run for run in self.ended_runs() if run.state is not RunState.COMPLETED]
        self.house.retry(runs[-1 - number % len(runs)])

    @rule(place=st.integers(0, 7))
    def a_person_takes_back_what_is_asked_for(self, place: int) -> None:
        self.house.take_back(self.flow(place).flow_id)

    @rule(place=st.integers(0, 7), clock=st.sampled_from(CLOCKS))
    def a_schedule_is_changed(self, place: int, clock: Clock) -> None:
        flow = self.flow(place)
        if flow.policy.clock is not None:
            late = self.house.oracle.status(flow.flow_id) == "STALE"
            self.house.reschedule(flow.flow_id, clock)
            assert late or self.house.oracle.status(flow.flow_id) != "STALE", "it owes the next tick"

    @precondition(lambda self: self.failed_runs())
    @rule(number=st.integers(0, 7))
    def a_person_calls_a_failed_run_completed(self, number: int) -> None:
        self.house.call_completed(self.failed_runs()[-1 - number % len(self.failed_runs())])

    def failed_runs(self) -> list[Run]:
        """Return those that may be called completed: with what one has recorded, its version would come back."""
        failed = [run for run in self.house.every_run() if run.state in (RunState.FAILED, RunState.CRASHED)]
        return [run for run in failed if self.goes_back or run.provenance is None or not run.provenance.recorded]

    @rule(place=st.integers(0, 7), at_once=st.booleans())
    def a_deployment_is_deleted(self, place: int, at_once: bool) -> None:
        self.house.delete_deployment(self.flow(place).flow_id)
        if at_once:
            self.house.bootstrap()

    @precondition(lambda self: any(flow.deployment is None for flow in self.house.flows.values()))
    @rule()
    def bootstrap_runs(self) -> None:
        self.house.bootstrap()

    @rule(place=st.integers(0, 7), back=st.booleans())
    def a_person_edits_a_configuration(self, place: int, back: bool) -> None:
        flow = self.flow(place)
        self.house.configure(flow.flow_id, flow.config + (-1 if back and self.goes_back else 1))

    @rule(place=st.integers(0, 7))
    def an_operator_pauses_or_resumes_a_deployment(self, place: int) -> None:
        self.flow(place).paused = not self.flow(place).paused

    # What workers do

    @rule(random=st.randoms(use_true_random=True), steps=st.integers(1, 60), trouble=TROUBLE)
    def the_workers_are_busy_for_a_while(self, random: Random, steps: int, trouble: float) -> None:
        troubles = (*TROUBLES, "without a version") if self.goes_back else TROUBLES
        workers = random.choice((2, 8))
        for _ in range(steps):
            take_a_step(self.house, random, workers=workers, trouble=trouble, troubles=troubles)

    @rule(random=st.randoms(use_true_random=True), trouble=TROUBLE)
    def all_sources_run_and_the_workers_are_busy(self, random: Random, trouble: float) -> None:
        for flow in self.house.flows.values():
            if not flow.edges and flow.deployment is not None:
                self.house.revise(flow.flow_id)
                self.house.schedule(flow.flow_id)
        self.the_workers_are_busy_for_a_while(random, 60, trouble)

    # What the cascade does

    @precondition(lambda self: self.house.hooks)
    @rule()
    def a_hook_and_the_sweep_run_at_once(self) -> None:
        hook = self.house.hook(self.house.hooks.pop(0))
        self.house.act(hook, self.house.read(list(self.house.flows)))

    @precondition(lambda self: self.house.hooks)
    @rule(claims=st.booleans())
    def a_hook_dies_before_it_has_started_anything(self, claims: bool) -> None:
        reading = self.house.hook(self.house.hooks.pop(0))
        for start in reading.starts if claims else ():
            self.house.claim(start)

    @precondition(lambda self: self.house.hooks)
    @rule()
    def a_hook_is_held_up_after_reading(self) -> None:
        self.old_readings.append(self.house.hook(self.house.hooks.pop(0)))

    @precondition(lambda self: self.old_readings)
    @rule()
    def a_hook_that_was_held_up_goes_on(self) -> None:
        self.house.act(self.old_readings.pop(0))

    @rule()
    def the_sweep_runs(self) -> None:
        self.house.sweep()

    # What the world does

    @rule(place=st.integers(0, 7))
    def a_source_has_something_new(self, place: int) -> None:
        self.house.revise(self.flow(place).flow_id)

    @rule(by=st.sampled_from((minutes(1), minutes(20), hours(2), days(1), days(4))))
    def time_passes(self, by: dt.timedelta) -> None:
        self.house.step_clock(by)

    # What must always hold

    @invariant()
    def nothing_is_done_twice_for_the_same(self) -> None:
        for flow in self.house.flows.values():
            unforced = [r for r in self.house.runs[flow.flow_id] if r.worked and r.admission is Admission.READY]
            if flow.edges and not self.goes_back:
                prints = Counter(run.provenance.fingerprint for run in unforced if run.provenance)
                assert max(prints.values(), default=0) <= 1

    @invariant()
    def at_most_one_automatic_run_of_a_flow_waits(self) -> None:
        for runs in self.house.runs.values():
            assert sum(run.waiting and run.automatic and not run.on_old_reading for run in runs) <= 1

    @invariant()
    def what_was_blocked_stays_asked_for(self) -> None:
        """Until a run of the flow gets to work, or a person cancels one."""
        asked = {wish.flow_id for wish in self.house.wishes if wish.open}
        for flow_id, runs in self.house.runs.items():
            blocked = [run.guarded_at for run in runs if run.name == BLOCKED and run.guarded_at]
            if not blocked or flow_id in asked:
                continue
            since = max(blocked)
            rows = self.house.rows_of(flow_id)
            worked = any(r.guarded_at and r.guarded_at > since and r.judged is not Admission.BLOCKED for r in rows)
            taken_back = any(at > since for at in self.house.taken_back[flow_id])
            assert worked or taken_back

    @invariant()
    def a_version_never_steps_back(self) -> None:
        """But by a person's word, as when a deployment is deleted; of a run called completed nobody knows one."""
        oracle = self.house.oracle
        for flow_id, flow in self.house.flows.items():
            version, deployment = oracle.version(flow_id), flow.deployment
            before, of = self.versions.get(flow_id, (0, None))
            if version is not None:
                assert self.goes_back or deployment != of or int(version) >= before
                self.versions[flow_id] = (int(version), deployment)

    # How it must end

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self.come_to_rest()

    def come_to_rest(self) -> None:
        """Nothing fails any more, and the sweep runs: all comes to be READY that needs no person, then all."""
        house = self.house
        for reading in self.old_readings:
            house.act(reading)
        house.bootstrap()
        for flow in house.flows.values():
            flow.paused = False
        house.step_clock(minutes(20))
        for flow_id in house.flows:
            house.revise(flow_id)
        self.sweep_until_rest()
        need_a_person = {flow_id for flow_id in house.flows if self.needs_a_person(flow_id)}
        for flow_id in house.flows:
            if flow_id not in need_a_person and not self.upstream_of(flow_id) & need_a_person:
                assert house.oracle.status(flow_id) == "READY", house.flows[flow_id].name
        for flow_id in house.flows:  # upstream first
            nothing_left = house.oracle.status(flow_id) == "READY" and house.oracle.version(flow_id) is None
            # Unforced it would have nothing new to do.
            force = nothing_left or house.oracle.waits_for_a_promotion(flow_id)
            house.schedule(flow_id, parameters={"force": True} if force else {})
            self.house.work_through()
        self.sweep_until_rest()
        assert {house.oracle.status(flow_id) for flow_id in house.flows} == {"READY"}
        assert not any(wish.open for wish in house.wishes)

    def sweep_until_rest(self) -> None:
        """Sweep as often as the graph is deep, and a little more; then nothing may be left to start."""
        for _ in range(len(self.house.flows) + 3):
            self.house.step_clock(minutes(1))
            self.house.sweep()
            self.house.work_through()
        world = self.house.whole_world()
        for wish in self.house.wishes:
            if wish.open:
                assert self.needs_a_person(wish.flow_id) or self.house.oracle.blockers(wish.flow_id)
        assert not self.house.read(list(world)).starts

    def needs_a_person(self, flow_id: FlowId) -> bool:
        """Say whether a flow has come to rest for a reason that the design leaves to people."""
        oracle, facts = self.house.oracle, self.house.whole_world()[flow_id]
        if oracle.a_person_said_no(facts) or (oracle.crashes_for_now(facts) >= 3 and not facts.requests):
            return True
        if oracle.status(flow_id) == "READY":
            return oracle.version(flow_id) is None
        if facts.requests:
            return False
        if oracle.waits_for_a_promotion(flow_id):
            return True
        decisive = facts.decisive
        failed = decisive is not None and decisive.state is RunState.FAILED and decisive.provenance is not None
        return not facts.auto or failed or oracle.status(flow_id) == "UNKNOWN"

    def upstream_of(self, flow_id: FlowId) -> set[FlowId]:
        direct = {edge.upstream for edge in self.house.flows[flow_id].edges}
        return direct.union(*(self.upstream_of(upstream) for upstream in direct))


Walk.TestCase.settings = examples(30, steps=40, suppress=[HealthCheck.filter_too_much])
TestWalk = Walk.TestCase


# Waves


def run_in_random_order(house: House, random: Random, workers: int) -> None:
    while take_a_step(house, random, workers=workers):
        pass


@pytest.mark.parametrize("workers", [2, 20])
@pytest.mark.parametrize(
    ("seed", "waves"), [(0, 2), *(pytest.param(seed, 10, marks=pytest.mark.torture) for seed in range(10))]
)
def test_a_fan_in_of_20_costs_one_run_of_the_child_per_wave_and_no_blocked_one(
    seed: int, waves: int, workers: int
) -> None:
    random = Random(seed)
    source = Policy(follow_inputs=False)
    parents = [Flow(flow_at(n), f"parent-{n}", policy=source, auto=False) for n in range(20)]
    child = Flow(flow_at(20), "child", tuple(Edge(parent.flow_id) for parent in parents))
    house = CheckedHouse([*parents, child])
    for wave in range(1, waves + 1):
        for parent in parents:
            house.revise(parent.flow_id)
            house.schedule(parent.flow_id)
        run_in_random_order(house, random, workers)
        assert [run.name for run in house.runs[child.flow_id]] == ["Completed"] * wave
        assert house.oracle.status(child.flow_id) == "READY"


@pytest.mark.parametrize("seed", range(5))
def test_a_diamond_costs_one_run_of_each_flow_per_wave(seed: int) -> None:
    random = Random(seed)
    top = Flow(flow_at(0), "top", policy=Policy(follow_inputs=False), auto=False)
    left, right = (Flow(flow_at(n), f"side-{n}", (Edge(top.flow_id),)) for n in (1, 2))
    bottom = Flow(flow_at(3), "bottom", (Edge(left.flow_id), Edge(right.flow_id)))
    house = CheckedHouse([top, left, right, bottom])
    for wave in range(1, 11):
        house.revise(top.flow_id)
        house.schedule(top.flow_id)
        run_in_random_order(house, random, workers=4)
        for flow_id in house.flows:
            assert [run.name for run in house.runs[flow_id]] == ["Completed"] * wave
