"""Random worlds: mostly READY ones, made upstream first, and then a few flows with something wrong."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from definitions.contract import FlowKind
from instances.world.facts import (
    BLOCKED,
    DECISIVE,
    ENDED,
    SKIPPED,
    Calendar,
    Clock,
    Edge,
    FlowFacts,
    FlowId,
    Policy,
    Provenance,
    Request,
    RunFact,
    RunId,
    RunState,
    SourceFrequency,
    UpdateDates,
)
from instances.world.fingerprint import Pin, fingerprint
from tests.instances.oracle import Oracle, Signature, signature_of
from tests.instances.sample_world import DAY, HOUR, MINUTE, NOW, days, hours, minutes

CONFIG, OLD_CONFIG = "config-2", "config-1"
CLOCKS = (
    Clock(cron="0 17 * * *"),
    Clock(cron="30 8 * * 1-5", timezone="Europe/London"),
    Clock(cron="0 16 * * *", timezone="America/New_York"),
    Clock(cron="15 * * * *"),
    Clock(interval=minutes(90)),
    Clock(interval=DAY),
)
CALENDARS = (Calendar("XNYS"), Calendar("XNYS", hours(2)), Calendar("XLON", minutes(30)))
UPDATES = (
    UpdateDates(SourceFrequency.DAILY),
    UpdateDates(SourceFrequency.DAILY, grace_days=1, business_days=True, timezone="America/New_York"),
    UpdateDates(SourceFrequency.WEEKLY, day=1, business_days=True),
    UpdateDates(SourceFrequency.MONTHLY, grace_days=10),
    UpdateDates(SourceFrequency.MONTHLY, day=10, timezone="Asia/Tokyo"),
    UpdateDates(SourceFrequency.QUARTERLY, business_days=True),
    UpdateDates(SourceFrequency.IRREGULAR),
)
NO_CLOCK, NO_CALENDAR = Clock(cron="61 * * * *"), Calendar("NOWHERE")
AGES = (DAY, days(2), days(7))
LIVE_STATES = (RunState.SCHEDULED, RunState.PENDING, RunState.RUNNING, RunState.PAUSED, RunState.CANCELLING)


@dataclass(frozen=True)
class Case:
    """A world at a moment; `signatures` tells what each fingerprint in it stands for."""

    world: dict[FlowId, FlowFacts]
    now: dt.datetime
    signatures: dict[str, Signature]

    @property
    def oracle(self) -> Oracle:
        return Oracle(self.world, self.now, self.signatures)


@dataclass
class _Draft:
    """One flow in the making; its newest ended run is the last."""

    flow_id: FlowId
    edges: tuple[Edge, ...]
    policy: Policy
    kind: FlowKind
    ended: list[RunFact] = field(default_factory=list)
    live: list[RunFact] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    missing: bool = False


class WorldMaker:
    """Makes one case out of one source of randomness."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.identifiers = 0
        self.now = NOW + random.randrange(-36, 37) * HOUR + random.choice((0, 0, random.randrange(60))) * MINUTE
        if self._one_in(6):  # the very moment when the data of a day is whole
            self.now = self.now.replace(hour=0, minute=0)
        self.case = Case({}, self.now, {})

    def make(self, size: int, faults: int) -> Case:
        """Return a world of `size` flows, with `faults` things wrong."""
        # The last flow is likely to have all others upstream: what is wrong with it shows whether it is started.
        places = [self.random.choice((size - 1, self.random.randrange(size))) for _ in range(faults)]
        for place in range(size):
            draft = self._healthy(place)
            for _ in range(places.count(place)):
                self.random.choice(FAULTS)(self, draft)
            if place == size - 1 and self._one_in(3):
                self.random.choice((never_ran, request))(self, draft)
            if not draft.missing:
                self.case.world[draft.flow_id] = self._facts(place, draft)
        return self.case

    def _healthy(self, place: int) -> _Draft:
        edges = tuple(self._edges(place))
        kind = FlowKind.TRAIN if edges and self._one_in(5) else FlowKind.REFRESH
        if kind is FlowKind.TRAIN:
            edges = tuple(replace(edge, role="features") if edge.role == "input" else edge for edge in edges)
        draft = _Draft(flow_of(place), edges, self._policy(), kind)
        if self._one_in(3):
            draft.ended.append(self.run(draft, self._some_state(), days(self.random.randrange(2, 30))))
        draft.ended.append(self.run(draft, RunState.COMPLETED, minutes(self.random.randrange(20, 30))))
        if self._one_in(4):
            since = self.now - minutes(self.random.choice((16, 29, 60)))
            run = self.run(draft, RunState.COMPLETED, minutes(15), SKIPPED, found_new=False, version_since=since)
            draft.ended.append(run)
        draft.fields["auto"] = not self._one_in(6)
        if self._one_in(3):
            draft.fields["configured_at"] = self.now - minutes(self.random.choice((2, 4, 6, 40)))
        if self._one_in(10):
            request(self, draft)
        return draft

    def _edges(self, place: int) -> Iterable[Edge]:
        nearest = range(max(0, place - 5), place)
        for upstream in self.random.sample(nearest, min(len(nearest), self.random.choice((0, 1, 1, 2, 3)))):
            yield self._edge(upstream, "input")
            if self._one_in(6):
                yield self._edge(upstream, "universe")

    def _edge(self, upstream: int, role: str) -> Edge:
        kind = self.random.choice(("strict", "strict", "strict", "tolerant", "tolerant", "optional"))
        max_age = self.random.choice(AGES) if kind != "strict" and (kind == "tolerant" or self._one_in(3)) else None
        return Edge(flow_of(upstream), role, required=kind != "optional", max_age=max_age)

    def _policy(self) -> Policy:
        return Policy(
            follow_inputs=not self._one_in(5),
            max_age=self.random.choice(AGES) if self._one_in(4) else None,
            clock=self.random.choice(CLOCKS) if self._one_in(4) else None,
            clock_since=self.now - minutes(self.random.choice((5, 30, 90, 1500))) if self._one_in(2) else None,
            grace=self.random.choice((HOUR, HOUR, minutes(0))),
            calendar=self.random.choice(CALENDARS) if self._one_in(5) else None,
            update_dates=self.random.choice(UPDATES) if self._one_in(5) else None,
        )

    def _facts(self, place: int, draft: _Draft) -> FlowFacts:
        newest_first = draft.ended[::-1]
        crashes = []
        for run in newest_first:
            if run.state is RunState.CRASHED or (run.state is RunState.FAILED and run.provenance is None):
                crashes.append(run)
            elif run.state in DECISIVE:
                break
        by_people = (run for run in newest_first if run.state is RunState.CANCELLED and run.state_name != BLOCKED)
        facts = FlowFacts(
            flow_id=draft.flow_id,
            instance=f"flow-{place}",
            kind=draft.kind,
            config_hash=CONFIG,
            deployment_id=UUID(int=place),
            policy=draft.policy,
            edges=draft.edges,
            live=tuple(draft.live),
            decisive=next((run for run in newest_first if run.state in DECISIVE), None),
            completed=next((run for run in newest_first if run.state is RunState.COMPLETED), None),
            last_ended=next(iter(newest_first), None),
            cancelled=next(by_people, None),
            crashes=tuple(crashes),
        )
        if draft.kind is FlowKind.TRAIN and facts.completed is not None and facts.completed.provenance is not None:
            known = facts.completed.provenance.made_by if not self._one_in(6) else None
            facts = replace(facts, trained_on=known)
        return replace(facts, **draft.fields)

    # What faults are made of

    def run(
        self, draft: _Draft, state: RunState, ago: dt.timedelta, name: str = "", *, row: bool = True, **of_row: Any
    ) -> RunFact:
        """Return a run that had the inputs that the world has now; other values of its row as keywords."""
        consumed = {edge.upstream: self.case.oracle.version(edge.upstream) for edge in draft.edges}
        inputs = {upstream: version for upstream, version in consumed.items() if version is not None}
        provenance = self.row(draft, inputs, completed=state is RunState.COMPLETED, **of_row) if row else None
        return RunFact(RunId(self.identifier()), state, name or state.title(), self.now - ago, "", provenance)

    def row(
        self,
        draft: _Draft,
        inputs: Mapping[FlowId, str],
        *,
        completed: bool,
        config_hash: str = CONFIG,
        **fields: Any,
    ) -> Provenance:
        read = [edge for edge in draft.edges if edge.upstream in inputs]
        made_by = {edge.upstream: self._made_by(draft, edge) for edge in read}
        pinned = {(edge.upstream, edge.role, inputs[edge.upstream], made_by[edge.upstream]) for edge in read}
        run = RunId(UUID(int=0))
        pins = [Pin(at, "", FlowKind.REFRESH, role, version, run, by) for at, role, version, by in pinned]
        printed = fingerprint(config_hash, pins)
        self.case.signatures[printed] = signature_of(config_hash, pinned)
        dated = bool(draft.policy.expected) or self._one_in(3)
        outcome: dict[str, Any] = {"version": "3", "watermark": self.now.date() if dated else None}
        if not completed:
            outcome = {"recorded": False}
        outcome["made_by"] = {upstream: by for upstream, by in made_by.items() if by is not None}
        outcome["judged_at"] = self.now - minutes(self.random.choice((4, 12, 24))) if self._one_in(2) else None
        return Provenance(printed, config_hash, inputs, **(outcome | fields))

    def _made_by(self, draft: _Draft, edge: Edge) -> str | None:
        """Return what the newest version of a feature was made by, of other inputs nothing."""
        upstream = self.case.world.get(edge.upstream)
        left = upstream.completed.provenance if upstream is not None and upstream.completed is not None else None
        return left.config_hash if draft.kind is FlowKind.TRAIN and edge.role == "features" and left else None

    def row_with_other_inputs(self, draft: _Draft, *, completed: bool) -> Provenance | None:
        """Return the row of a run that had an older version of an input, or lacked one, if there is an input."""
        last = draft.ended[-1].provenance if draft.ended else None
        if last is None or not last.inputs:
            return None
        inputs = dict(last.inputs)
        changed = self.random.choice(sorted(inputs))
        inputs[changed] = "2"
        if self._one_in(2):
            del inputs[changed]
        return self.row(draft, inputs, completed=completed)

    def started_for(self, draft: _Draft) -> str:
        """Return the fingerprint that the cascade had started a run for: of the inputs of now, or of others."""
        same = self.run(draft, RunState.CANCELLED, minutes(1)).provenance
        chosen = self.random.choice((same, self.row_with_other_inputs(draft, completed=False))) or same
        assert chosen is not None
        return chosen.fingerprint

    def identifier(self) -> UUID:
        self.identifiers += 1
        return UUID(int=self.identifiers << 96)

    def _some_state(self) -> RunState:
        return self.random.choice(sorted(ENDED))

    def _one_in(self, count: int) -> bool:
        return self.random.randrange(count) == 0


def flow_of(place: int) -> FlowId:
    return FlowId(UUID(int=place << 96))


# What can be wrong with a flow


def never_ran(maker: WorldMaker, draft: _Draft) -> None:
    draft.ended.clear()


def no_deployment(maker: WorldMaker, draft: _Draft) -> None:
    draft.fields["deployment_id"] = None


def unreadable(maker: WorldMaker, draft: _Draft) -> None:
    draft.fields["unreadable"] = "no answer"


def missing(maker: WorldMaker, draft: _Draft) -> None:
    draft.missing = True


def live(maker: WorldMaker, draft: _Draft) -> None:
    state = maker.random.choice(LIVE_STATES)
    draft.live.append(RunFact(RunId(maker.identifier()), state, "", maker.now - minutes(maker.random.randrange(3))))


def late(maker: WorldMaker, draft: _Draft) -> None:
    """Let runs be due: of ticks while no worker was there, of people, or of one that is to run again."""
    for ago in maker.random.sample((1, 3, 5, 11, 13, 23, 25, 90), maker.random.choice((1, 1, 2, 3))):
        name = maker.random.choice(("Scheduled", "Late", "Late", "AwaitingRetry"))
        asked = maker.random.choice(({}, {}, {"on_stale": "warn"}, {"everything": True}, {"force": True}))
        run = RunFact(RunId(maker.identifier()), RunState.SCHEDULED, name, maker.now - minutes(ago), parameters=asked)
        draft.live.append(run)


def asked_for_more(maker: WorldMaker, draft: _Draft) -> None:
    """Let the newest run have been asked for more than usual, and have crashed."""
    run = maker.run(draft, RunState.CRASHED, minutes(2), row=maker.random.random() < 0.5)
    draft.ended.append(replace(run, parameters=maker.random.choice(({"everything": True}, {"force": True}))))


def defined_anew(maker: WorldMaker, draft: _Draft) -> None:
    """Let it have a definition that models downstream have not learned, and maybe have run with it already."""
    config = maker.random.choice(("config-3", "config-4"))
    draft.fields["config_hash"] = config
    if maker.random.random() < 0.7:
        draft.ended.append(maker.run(draft, RunState.COMPLETED, minutes(6), config_hash=config))


def learned_long_ago(maker: WorldMaker, draft: _Draft) -> None:
    """Let the champion of a model be an older one, of other features, whatever was trained since."""
    learned = {edge.upstream: maker.random.choice((CONFIG, OLD_CONFIG, "config-3")) for edge in draft.edges}
    draft.fields["trained_on"] = maker.random.choice((learned, dict(list(learned.items())[1:]), None))


def ended_badly(maker: WorldMaker, draft: _Draft) -> None:
    """End the newest runs in a way that does no good: for the same inputs, for others, or before the guard."""
    state = maker.random.choice(
        (RunState.FAILED, RunState.FAILED, RunState.CRASHED, RunState.CRASHED, RunState.CANCELLED)
    )
    for number in range(maker.random.choice((1, 1, 2, 3, 4))):
        run = maker.run(draft, state, minutes(10 - number), row=maker.random.random() < 0.7)
        if maker.random.random() < 0.4:
            run = replace(run, provenance=maker.row_with_other_inputs(draft, completed=False) or run.provenance)
        elif run.provenance is None and maker.random.random() < 0.5:
            run = replace(run, claimed=maker.started_for(draft))
        draft.ended.append(run)


def failed_with_other_inputs(maker: WorldMaker, draft: _Draft) -> None:
    row = maker.row_with_other_inputs(draft, completed=False)
    draft.ended.append(replace(maker.run(draft, RunState.FAILED, minutes(3), row=False), provenance=row))


def cancelled(maker: WorldMaker, draft: _Draft) -> None:
    ago = minutes(maker.random.choice((3, 5, 22, 28)))
    if maker.random.random() < 0.6:
        draft.ended.clear()
    run = maker.run(draft, RunState.CANCELLED, ago, row=maker.random.random() < 0.3)
    if maker.random.random() < 0.5:
        run = replace(run, claimed=maker.started_for(draft))
    draft.ended.append(run)
    draft.ended.sort(key=lambda run: run.at)


def blocked(maker: WorldMaker, draft: _Draft) -> None:
    draft.ended.append(maker.run(draft, RunState.CANCELLED, minutes(4), BLOCKED))


def no_row(maker: WorldMaker, draft: _Draft) -> None:
    draft.ended.append(maker.run(draft, RunState.COMPLETED, minutes(3), row=False))


def unrecorded(maker: WorldMaker, draft: _Draft) -> None:
    """Let a person call a run completed that has left nothing."""
    row = maker.run(draft, RunState.FAILED, minutes(3)).provenance
    if maker.random.random() < 0.3:
        row = maker.row_with_other_inputs(draft, completed=False) or row
    run = maker.run(draft, RunState.COMPLETED, minutes(3), row=False)
    draft.ended.append(replace(run, provenance=row))


def no_version(maker: WorldMaker, draft: _Draft) -> None:
    draft.ended.append(maker.run(draft, RunState.COMPLETED, minutes(3), version=None))


def long_ago(maker: WorldMaker, draft: _Draft) -> None:
    """Move all runs into the past, often to the very edge of an age."""
    newest = draft.ended[-1].at if draft.ended else maker.now
    ago = maker.random.choice((DAY, days(2), days(7), hours(maker.random.randrange(1, 72))))
    by = ago - (maker.now - newest) + maker.random.choice((-MINUTE, minutes(0), MINUTE))
    draft.ended = [replace(run, at=run.at - by) for run in draft.ended]


def other_configuration(maker: WorldMaker, draft: _Draft) -> None:
    row = maker.row(draft, {}, completed=True, config_hash=OLD_CONFIG)
    draft.ended.append(replace(maker.run(draft, RunState.COMPLETED, minutes(3)), provenance=row))


def other_inputs(maker: WorldMaker, draft: _Draft) -> None:
    row = maker.row_with_other_inputs(draft, completed=True)
    if row is not None:
        draft.ended.append(replace(maker.run(draft, RunState.COMPLETED, minutes(3)), provenance=row))


def old_data(maker: WorldMaker, draft: _Draft) -> None:
    watermark = maker.now.date() - maker.random.randrange(1, 9) * DAY
    ago = maker.random.choice((minutes(3), minutes(15), hours(maker.random.randrange(1, 48))))
    draft.policy = replace(
        draft.policy,
        max_age=maker.random.choice((None, *AGES)),
        calendar=maker.random.choice((None, *CALENDARS)),
        update_dates=maker.random.choice((None, None, *UPDATES)),
    )
    name = maker.random.choice((SKIPPED, "Completed"))
    found_new = maker.random.random() < 0.3
    row = maker.row_with_other_inputs(draft, completed=True) if maker.random.random() < 0.3 else None
    if row is not None:
        draft.policy = replace(draft.policy, follow_inputs=False)
    run = maker.run(draft, RunState.COMPLETED, ago, name)
    row = row or run.provenance
    assert row is not None
    draft.ended = [replace(run, provenance=replace(row, watermark=watermark, found_new=found_new))]


def undated_data(maker: WorldMaker, draft: _Draft) -> None:
    draft.ended.append(maker.run(draft, RunState.COMPLETED, minutes(3), watermark=None, found_new=False))


def unreadable_policy(maker: WorldMaker, draft: _Draft) -> None:
    broken: dict[str, Any] = maker.random.choice(({"clock": NO_CLOCK}, {"calendar": NO_CALENDAR}))
    draft.policy = replace(draft.policy, **broken)


def contradiction(maker: WorldMaker, draft: _Draft) -> None:
    draft.fields["decisive"] = maker.run(
        draft, maker.random.choice((RunState.COMPLETED, RunState.CANCELLED)), minutes(2)
    )


def paused(maker: WorldMaker, draft: _Draft) -> None:
    draft.fields["paused"] = True


def request(maker: WorldMaker, draft: _Draft) -> None:
    ages = sorted(maker.random.sample((2, 4, 5, 6, 12, 25), maker.random.choice((1, 2))), reverse=True)
    draft.fields["requests"] = tuple(
        Request(
            maker.identifier(), maker.now - minutes(age), {"everything": True} if maker.random.random() < 0.3 else {}
        )
        for age in ages
    )


def asked_in_vain(maker: WorldMaker, draft: _Draft) -> None:
    """Let whatever starts crash before its guard has judged, for as long as it is asked for."""
    draft.fields["requests"] = (Request(maker.identifier(), maker.now - minutes(19)),)
    last = maker.random.choice((14, 15, 16))
    draft.ended = [maker.run(draft, RunState.CRASHED, minutes(ago), row=False) for ago in (18, 17, last)]


FAULTS: tuple[Callable[[WorldMaker, _Draft], None], ...] = (
    never_ran,
    no_deployment,
    unreadable,
    missing,
    live,
    late,
    late,
    asked_for_more,
    defined_anew,
    defined_anew,
    learned_long_ago,
    learned_long_ago,
    ended_badly,
    ended_badly,
    failed_with_other_inputs,
    cancelled,
    blocked,
    no_row,
    unrecorded,
    no_version,
    long_ago,
    long_ago,
    cancelled,
    other_configuration,
    other_inputs,
    other_inputs,
    other_inputs,
    old_data,
    old_data,
    undated_data,
    unreadable_policy,
    contradiction,
    paused,
    request,
    asked_in_vain,
)


def cases() -> st.SearchStrategy[Case]:
    """Return worlds of up to 30 flows, most of them small, with up to 10 things wrong."""
    sizes = st.one_of(st.integers(1, 6), st.integers(1, 6), st.integers(1, 12), st.integers(1, 30))
    return st.builds(
        lambda random, size, faults: WorldMaker(random).make(size, faults),
        st.randoms(use_true_random=True),
        sizes,
        st.integers(0, 10),
    )
