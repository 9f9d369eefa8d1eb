"""A simulated house: Prefect, Postgres, workers and people, in memory, around the real judgements.

It does what `flows/running/frame.py`, `flows/running/run_starter.py` and `flows/sweep.py` do, in steps that can be
taken apart: a run is scheduled, taken by a worker, judged by its guard, ended, and looked at by its hook; and whoever
starts runs first reads the world, then claims, then starts. What it tells of runs goes through the real reader's
conversions, and is put together with their rows by the real reader.
"""

import datetime as dt
import itertools
from collections.abc import Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

from definitions.contract import FlowKind
from flows.reading.flow_runs import FlowRuns, newest_left, with_runs
from flows.reading.run_reader import ENOUGH, FoundRun, PrefectReader, RunsByDeployment
from instances.rules.admission import ADMITTED, Admission, admit, flows_to_refresh
from instances.rules.cascade import Start, decide, withdrawn_at
from instances.rules.late_runs import done_by, superfluous_runs
from instances.rules.readiness import FreshnessReport, assess
from instances.specification.applied import FlowRecord
from instances.specification.fields import OnStale
from instances.storage.ledger import Ledger, RecordedRun, RunRows
from instances.world.clock import next_tick
from instances.world.facts import (
    AWAITING_RETRY,
    BLOCKED,
    DECISIVE,
    ENDED,
    SKIPPED,
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
    World,
)
from tests.instances.oracle import Oracle, Signature, signature_of
from tests.instances.prefect_runs import as_read, run_json
from tests.instances.sample_world import MINUTE, NOW

T = TypeVar("T")
PATIENCE = 15 * MINUTE
FOLLOWING = Policy()
MOST_RUNS = 1_000  # of a house of a few flows, until all has come to rest
TICK = dt.timedelta(milliseconds=1)  # no two things happen at the same time
LEFT = ("completed", "unchanged", "crashed after the commit", "without a version")


@dataclass
class Flow:
    """A flow as configured, and the state of its deployment. One of the kind `train` leaves the version in charge."""

    flow_id: FlowId
    name: str
    edges: tuple[Edge, ...] = ()
    policy: Policy = FOLLOWING
    auto: bool = True
    on_stale: OnStale = "block"
    kind: FlowKind = FlowKind.REFRESH
    config: int = 1
    configured_at: dt.datetime | None = None
    paused: bool = False
    deployment: UUID | None = field(default_factory=uuid4)

    @property
    def deployment_id(self) -> UUID | None:
        return self.deployment

    @property
    def config_hash(self) -> str:
        return f"config-{self.config}"


@dataclass
class Run:
    """A run, as Prefect's row and its own row in Postgres have it together."""

    run_id: RunId
    flow_id: FlowId
    at: dt.datetime  # when it was due, or reached its state
    parameters: Mapping[str, Any] = field(default_factory=dict)
    automatic: bool = False
    on_old_reading: bool = False  # started by a hook that had read the world some time before
    claimed: str | None = None  # the fingerprint that the cascade has started it for
    state: RunState = RunState.SCHEDULED
    name: str = "Scheduled"
    due: dt.datetime = NOW
    attempts: int = 0
    provenance: Provenance | None = None
    recorded_at: dt.datetime | None = None
    judged: Admission | None = None  # what its row says of its admission
    admission: Admission | None = None  # that of the attempt that is under way, or was the last
    guarded_at: dt.datetime | None = None
    confirms: RunId | None = None
    by_hand: bool = False  # set to Completed by a person
    killed: bool = False  # its process is gone, and Prefect does not know

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def waiting(self) -> bool:
        return self.state is RunState.SCHEDULED

    @property
    def worked(self) -> bool:
        return self.state is RunState.COMPLETED and self.name != SKIPPED and not self.by_hand

    @property
    def force(self) -> bool:
        return bool(self.parameters.get("force"))

    @property
    def fact(self) -> RunFact:
        """What the reader makes of it, without its row."""
        return _read(self.run_id, self.state, self.name, self.at, self.due, tuple(sorted(self.parameters.items())))


@cache
def _read(
    run_id: RunId,
    state: RunState,
    name: str,
    at: dt.datetime,
    due: dt.datetime,
    parameters: tuple[tuple[str, object], ...],
) -> RunFact:
    return as_read(run_json(run_id, state, name, at, due=due, parameters=dict(parameters)))


@dataclass
class Wish:
    """A row of the requests."""

    request: Request
    flow_id: FlowId
    open: bool = True


@dataclass(frozen=True)
class Store:
    """What a flow has committed: its data, and for a source how far it has read; of a training the champion."""

    version: int = 0
    watermark: dt.date | None = None
    revision: int = 0
    trained: int = 0  # versions of a model, promoted or not


@dataclass(frozen=True)
class Reading:
    """What one hook or sweep has decided, on the world as it has read it."""

    starts: tuple[Start, ...]
    at: dt.datetime


@dataclass(frozen=True)
class _Tables:
    """The rows of runs, as the ledger gives them."""

    rows: Mapping[FlowId, list[Run]]

    def runs(self, run_ids: Collection[RunId], *, newest_of: Collection[FlowId] = (), count: int = 1) -> RunRows:
        newest: dict[FlowId, tuple[RecordedRun, ...]] = {}
        for flow_id in newest_of:
            recorded = [
                RecordedRun(run.run_id, run.recorded_at, run.judged is Admission.SKIPPED)
                for run in self.rows[flow_id]
                if run.recorded_at is not None
            ]
            newest[flow_id] = tuple(sorted(recorded, key=lambda row: row.at, reverse=True)[:count])
        wanted = {*run_ids, *(row.run_id for some in newest.values() for row in some)}
        every = itertools.chain.from_iterable(self.rows.values())
        return RunRows({r.run_id: r.provenance for r in every if r.run_id in wanted and r.provenance}, newest)


@dataclass(frozen=True)
class _Answers:
    """Prefect's answers on runs by their ids."""

    found: Mapping[RunId, FoundRun]

    async def with_ids(self, run_ids: Collection[RunId]) -> dict[RunId, FoundRun]:
        return {run_id: self.found[run_id] for run_id in run_ids if run_id in self.found}


class House:
    """All of it, with the time that passes only here."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self.now = NOW
        self.flows = {flow.flow_id: flow for flow in flows}
        self.children = {
            flow_id: [f.flow_id for f in self.flows.values() if any(e.upstream == flow_id for e in f.edges)]
            for flow_id in self.flows
        }
        self.runs: dict[FlowId, list[Run]] = {flow_id: [] for flow_id in self.flows}
        self.gone: dict[FlowId, list[Run]] = {flow_id: [] for flow_id in self.flows}  # deleted; their rows stay
        self.orphans: dict[FlowId, list[Run]] = {flow_id: [] for flow_id in self.flows}  # of a deleted deployment
        self.wishes: list[Wish] = []
        self.claims: dict[str, RunId | None] = {}
        self.by_key: dict[str, Run] = {}
        self.stores = {flow_id: Store() for flow_id in self.flows}
        self.revisions = dict.fromkeys(self.flows, 1)
        self.data_dates = {flow_id: self.now.date() for flow_id in self.flows}
        self.taken_back: dict[FlowId, list[dt.datetime]] = {flow_id: [] for flow_id in self.flows}  # by people
        self.learned: dict[tuple[FlowId, str], Mapping[FlowId, str]] = {}  # by the versions of models
        self.hooks: list[Run] = []  # ended runs whose hook has not run yet
        self.signatures: dict[str, Signature] = {}
        self.numbers = itertools.count(1)

    # Reading

    def world(self, starts: Collection[FlowId], *, deciding: bool) -> World:
        """Return what `read_world` does: the surroundings of `starts`; what deciding needs only for them."""
        flows = [self.flows[at] for at in self._surroundings(starts)]
        own = set(starts) if deciding else set()
        runs = self._answers({flow.flow_id for flow in flows}, own)
        left, provenance = _at_once(
            newest_left(
                cast(Ledger, _Tables({flow_id: self.rows_of(flow_id) for flow_id in self.flows})),
                cast(PrefectReader, _Answers(self._by_id())),
                cast(Iterable[FlowRecord], flows),
                runs,
            )
        )
        return {flow.flow_id: self._facts(flow, runs, left, provenance, own) for flow in flows}

    def whole_world(self) -> World:
        return self.world(self.flows, deciding=True)

    @property
    def oracle(self) -> Oracle:
        return Oracle(self.whole_world(), self.now, self.signatures)

    def every_run(self) -> Iterable[Run]:
        return itertools.chain.from_iterable(self.runs.values())

    def rows_of(self, flow_id: FlowId) -> list[Run]:
        """Return all runs of a flow that have a row, also those that Prefect knows no more."""
        everything = (*self.runs[flow_id], *self.gone[flow_id], *self.orphans[flow_id])
        return [run for run in everything if run.provenance is not None]

    def _surroundings(self, starts: Collection[FlowId]) -> set[FlowId]:
        found, new = set(starts), set(starts)
        while new:
            new = {edge.upstream for at in new for edge in self.flows[at].edges if edge.strict} - found
            found |= new
        for _ in range(2):
            found |= {edge.upstream for at in found for edge in self.flows[at].edges}
        return found

    def _answers(self, looked_at: Collection[FlowId], own: Collection[FlowId]) -> RunsByDeployment:
        """Return what `PrefectReader.runs` does."""
        found = RunsByDeployment({}, {}, {}, {}, {}, {})
        for flow_id in looked_at:
            deployment = self.flows[flow_id].deployment
            if deployment is None:
                continue
            runs = self.runs[flow_id]
            live = [run.fact for run in runs if not run.ended and not (run.name == "Scheduled" and run.at > self.now)]
            found.live[deployment] = tuple(sorted(live, key=lambda fact: fact.at))
            ended = sorted((run.fact for run in runs if run.ended), key=lambda fact: fact.at, reverse=True)
            told = [fact for fact in ended if fact.state_name != SKIPPED]
            decisive = [fact for fact in told if fact.state in DECISIVE]
            completed = next((at for at, fact in enumerate(decisive) if fact.state is RunState.COMPLETED), None)
            newest: dict[str, RunFact | None] = {
                "decisive": next(iter(decisive), None),
                "completed": decisive[completed] if completed is not None else None,
            }
            if flow_id in own:
                newest["last_ended"] = next(iter(told), None)
                newest["cancelled"] = next((fact for fact in told if fact.cancelled_by_a_person), None)
                recent = decisive if completed is None else decisive[: completed + 1]
                found.recent[deployment] = tuple(recent[:ENOUGH])
            for name, fact in newest.items():
                if fact is not None:
                    getattr(found, name)[deployment] = fact
        return found

    def _by_id(self) -> dict[RunId, FoundRun]:
        found: dict[RunId, FoundRun] = {}
        for flow_id, flow in self.flows.items():
            for of, runs in ((flow.deployment, self.runs[flow_id]), (None, self.orphans[flow_id])):
                found |= {run.run_id: FoundRun(of, run.fact if run.ended else None) for run in runs}
        return found

    def _facts(
        self,
        flow: Flow,
        runs: RunsByDeployment,
        left: Mapping[FlowId, RunFact],
        provenance: Mapping[RunId, Provenance],
        own: Collection[FlowId],
    ) -> FlowFacts:
        deciding = flow.flow_id in own
        facts = FlowFacts(
            flow_id=flow.flow_id,
            instance=flow.name,
            kind=flow.kind,
            config_hash=flow.config_hash,
            configured_at=flow.configured_at,
            deployment_id=flow.deployment,
            policy=flow.policy,
            auto=flow.auto,
            edges=flow.edges,
            requests=tuple(w.request for w in self.wishes if w.flow_id == flow.flow_id and w.open) if deciding else (),
        )
        if flow.deployment is None:
            return facts
        claimed = {run.run_id: run.claimed for run in self.runs[flow.flow_id] if run.claimed} if deciding else {}
        known = FlowRuns.of(flow.deployment, runs, left.get(flow.flow_id)).with_rows(provenance, claimed)
        facts = with_runs(replace(facts, paused=flow.paused and deciding), known)
        completed = facts.completed.provenance if facts.completed else None
        version = completed.version if completed else None
        trained_on = self.learned.get((flow.flow_id, version)) if version else None
        return replace(facts, trained_on=trained_on) if flow.kind is FlowKind.TRAIN else facts

    # The cascade

    def read(self, flow_ids: Collection[FlowId]) -> Reading:
        """Read the world, end what is superfluous in it, and decide."""
        world, read_at = self.world(flow_ids, deciding=True), self.now
        for flow_id in flow_ids:
            superfluous = {fact.run_id for fact in superfluous_runs(world[flow_id])}
            for run in self.runs[flow_id]:
                if run.run_id in superfluous:
                    self._set(run, RunState.COMPLETED, SKIPPED)
        decisions = [decide(world[flow_id], world, read_at) for flow_id in flow_ids]
        for flow_id in flow_ids:
            self._note(assess(world[flow_id], world, read_at), world[flow_id])
        return Reading(tuple(decision for decision in decisions if isinstance(decision, Start)), self.now)

    def act(self, *readings: Reading) -> None:
        """Claim, start and note what was decided; several readers at once take each of the steps together."""
        on_old_reading = len(readings) == 1 and readings[0].at < self.now
        claimed = [start for reading in readings for start in reading.starts if not self._has_come_of(start)]
        claimed = [start for start in claimed if self.flows[start.flow_id].deployment == start.deployment_id]
        for start in claimed:
            if start.key not in self.by_key:  # Prefect's idempotency
                self.by_key[start.key] = self.schedule(
                    start.flow_id,
                    parameters=start.parameters,
                    automatic=True,
                    on_old_reading=on_old_reading,
                    claimed=start.fingerprint,
                )
        for start in claimed:
            self.claims[start.key] = self.by_key[start.key].run_id

    def claim(self, start: Start) -> RunId | None:
        return self.claims.setdefault(start.key, None)

    def _has_come_of(self, start: Start) -> bool:
        """Take the claim; say whether a run that is still there has come of it."""
        run_id = self.claim(start)
        return any(run.run_id == run_id for run in self.by_key.values())

    def hook(self, run: Run) -> Reading:
        """Do what the hook does up to its decisions."""
        if run.state is RunState.CANCELLED:
            self._withdraw(run.flow_id, run.at)
        return self.read([run.flow_id, *self.children[run.flow_id]])

    def sweep(self) -> None:
        world = self.whole_world()
        for run in list(self.every_run()):
            if run.killed and not run.ended and self.now - run.at > PATIENCE:
                self._set(run, RunState.CRASHED)
        for facts in world.values():
            cancelled_at = withdrawn_at(facts)
            if cancelled_at is not None:
                self._withdraw(facts.flow_id, cancelled_at)
        self.act(self.read(list(self.flows)))

    # Runs

    def schedule(self, flow_id: FlowId, **fields: Any) -> Run:
        at: dt.datetime = fields.pop("at", None) or self.pass_time()
        run = Run(RunId(UUID(int=next(self.numbers) << 96)), flow_id, at, due=at, **fields)
        self.runs[flow_id].append(run)
        return run

    def can_be_taken(self, run: Run) -> bool:
        """Say whether a worker may take the run: deployments have a concurrency limit of one."""
        under_way = any(not other.ended and not other.waiting for other in self.runs[run.flow_id])
        return run.waiting and run.at <= self.now and not under_way

    def take(self, run: Run) -> None:
        self._set(run, RunState.PENDING)

    def goes_on(self, run: Run) -> bool:
        """Say whether an attempt goes on with what an earlier one was admitted to do."""
        others = (other for other in self.rows_of(run.flow_id) if other is not run and other.recorded_at is not None)
        return (
            run.judged in ADMITTED
            and run.guarded_at is not None
            and not any(other.recorded_at and other.recorded_at > run.guarded_at for other in others)
        )

    def guard(self, run: Run) -> FreshnessReport | None:
        """Judge the run, write it down, and let it go on to its end or to its work; None for another attempt of it."""
        run.attempts += 1
        if self.goes_on(run):
            run.admission = run.judged
            self._set(run, RunState.RUNNING)
            return None
        flow, now = self.flows[run.flow_id], self.pass_time()
        world = self.world([run.flow_id], deciding=False)
        facts, report = world[run.flow_id], assess(world[run.flow_id], world, now)
        on_stale = run.parameters.get("on_stale", flow.on_stale)
        superfluous = run.attempts == 1 and done_by(facts, run.due, run.parameters) is not None
        run.admission = admit(facts, report, on_stale=on_stale, force=run.force, superfluous=superfluous)
        self._set(run, RunState.RUNNING)
        if run.admission is Admission.SUPERFLUOUS:
            return report
        run.judged, run.guarded_at, run.recorded_at = run.admission, now, None
        run.provenance = Provenance(
            fingerprint=report.fingerprint,
            config_hash=facts.config_hash,
            inputs={pin.upstream: pin.version for pin in report.pins},
            forced=run.admission is Admission.FORCED,
            recorded=False,
            judged_at=now,
            made_by={pin.upstream: pin.made_by for pin in report.pins if pin.made_by is not None},
        )
        self._note(report, facts)
        if run.admission is Admission.BLOCKED:
            self._ask([run.flow_id], {name: v for name, v in run.parameters.items() if name != "force"}, now)
            if on_stale == "refresh":
                upstream = self.asked_upstream(report)
                self._ask(upstream, {}, now)
                self.act(self.read(upstream))
        else:
            for wish in self.wishes:
                wish.open = wish.open and wish.flow_id != run.flow_id
        if run.admission is Admission.SKIPPED:
            assert facts.completed is not None
            run.confirms = facts.completed.run_id
        return report

    def asked_upstream(self, report: FreshnessReport) -> tuple[FlowId, ...]:
        return flows_to_refresh(report, self.world([report.flow_id, *self.ancestors(report.flow_id)], deciding=False))

    def ancestors(self, flow_id: FlowId) -> set[FlowId]:
        """Return all flows upstream over required edges."""
        direct = {edge.upstream for edge in self.flows[flow_id].edges if edge.required}
        return direct.union(*(self.ancestors(upstream) for upstream in direct))

    def _note(self, report: FreshnessReport, facts: FlowFacts) -> None:
        """Keep what a fingerprint stands for."""
        pins = {(pin.upstream, pin.role, pin.version, pin.made_by) for pin in report.pins}
        self.signatures[report.fingerprint] = signature_of(facts.config_hash, pins)

    def end(self, run: Run, how: str = "completed") -> None:
        """End a judged run: one that is to work as `how` says, any other as its guard has said."""
        if run.admission is Admission.SUPERFLUOUS:
            self._set(run, RunState.COMPLETED, SKIPPED)
            self.hooks.append(run)
            return
        assert run.provenance is not None
        if run.admission is Admission.BLOCKED:
            self._set(run, RunState.CANCELLED, BLOCKED)  # no hook runs after this state
            return
        if run.admission is Admission.SKIPPED:
            self._confirm(run, run.provenance)
            self._set(run, RunState.COMPLETED, SKIPPED)
            self.hooks.append(run)
            return
        if how in LEFT:
            self._commit(run, run.provenance, changed=how != "unchanged", version=how != "without a version")
        if how == "failed":
            self._set(run, RunState.FAILED)
        elif how.startswith("crashed"):
            self._set(run, RunState.CRASHED)
        else:
            self._set(run, RunState.COMPLETED)
        self.hooks.append(run)

    def _confirm(self, run: Run, guarded: Provenance) -> None:
        confirmed = next(other for other in self.rows_of(run.flow_id) if other.run_id == run.confirms)
        source, run.recorded_at = confirmed.provenance, self.pass_time()
        assert source is not None
        run.provenance = replace(
            guarded,
            version=source.version,
            version_since=source.version_since or confirmed.recorded_at,
            watermark=source.watermark,
            found_new=False,
            recorded=True,
        )

    def _commit(self, run: Run, pinned: Provenance, *, changed: bool, version: bool) -> None:
        flow, store = self.flows[run.flow_id], self.stores[run.flow_id]
        source, found_new = not flow.edges, changed
        if flow.kind is FlowKind.TRAIN:
            trained = store.trained + 1
            self.learned[run.flow_id, str(trained)] = pinned.made_by
            store = replace(store, trained=trained, version=trained if changed else store.version)
            version = version and store.version > 0  # none before the first promotion
        else:
            found_new = store.version == 0 or (store.revision < self.revisions[run.flow_id] if source else changed)
            if found_new:
                watermark = self.data_dates[run.flow_id] if source else None
                store = Store(store.version + 1, watermark, self.revisions[run.flow_id])
        self.stores[run.flow_id] = store
        left, before = str(store.version) if version else None, self._newest_row(run)
        same = before is not None and before.provenance is not None and before.provenance.version == left is not None
        run.recorded_at = self.pass_time()
        run.provenance = replace(
            pinned,
            version=left,
            version_since=(before.provenance.version_since or before.recorded_at)
            if same and before is not None and before.provenance is not None
            else None,
            watermark=store.watermark,
            found_new=found_new,
            recorded=True,
        )

    def _newest_row(self, run: Run) -> Run | None:
        """Return the run of the same flow that has recorded last before this one."""
        others = [other for other in self.rows_of(run.flow_id) if other is not run and other.recorded_at is not None]
        return max(others, key=lambda other: other.recorded_at or NOW, default=None)

    def fail_early(self, run: Run, state: RunState) -> None:
        """End a run before its guard has judged."""
        run.attempts += 1
        self._set(run, state)
        self.hooks.append(run)

    def cancel(self, run: Run) -> None:
        """Let a person cancel; only a run that is under way has a process in which its hook could run."""
        under_way = not run.waiting and not run.killed
        self._set(run, RunState.CANCELLED)
        self.taken_back[run.flow_id].append(run.at)
        if under_way:
            self.hooks.append(run)

    def call_completed(self, run: Run) -> None:
        """Let a person set an ended run to Completed: it keeps the time when it ended, and no hook runs."""
        run.by_hand, run.state, run.name = True, RunState.COMPLETED, "Completed"

    def retry(self, run: Run) -> None:
        """Let a person run an ended run again, under its own id."""
        run.admission, run.killed, run.by_hand, run.automatic = None, False, False, False
        self._set(run, RunState.SCHEDULED, AWAITING_RETRY)

    def delete(self, run: Run) -> None:
        """Let a person, or retention, delete a run; its idempotency key goes with it, and its row stays."""
        self.runs[run.flow_id].remove(run)
        self.gone[run.flow_id].append(run)
        self.by_key = {key: other for key, other in self.by_key.items() if other is not run}

    def delete_deployment(self, flow_id: FlowId) -> None:
        """Let a person delete a deployment; its runs belong to nothing any more, and neither do their hooks."""
        self.flows[flow_id].deployment = None
        self.orphans[flow_id].extend(self.runs[flow_id])
        self.runs[flow_id].clear()
        self.hooks = [run for run in self.hooks if run.flow_id != flow_id]

    def bootstrap(self) -> None:
        """Make the deployments anew that are gone."""
        for flow in self.flows.values():
            flow.deployment = flow.deployment or uuid4()

    def run_hooks(self) -> None:
        while self.hooks:
            self.act(self.hook(self.hooks.pop(0)))

    def work_through(self) -> None:
        """Let the workers do all that there is to do, without failures, until nothing is due any more.

        Runs that start each other for ever are an error.
        """
        for _ in range(MOST_RUNS):
            self.run_hooks()
            under_way = [run for run in self.every_run() if not run.ended and not run.waiting and not run.killed]
            due = [run for run in self.every_run() if self.can_be_taken(run)]
            if not under_way and not due:
                return
            run = next(iter([*under_way, *due]))
            if run.waiting:
                self.take(run)
            if run.admission is None:
                self.guard(run)
            self.end(run)
        raise AssertionError(f"after {MOST_RUNS} runs there is still something due")

    # Everything else

    def configure(self, flow_id: FlowId, config: int) -> None:
        self.flows[flow_id].config, self.flows[flow_id].configured_at = config, self.pass_time()

    def reschedule(self, flow_id: FlowId, clock: Clock) -> None:
        flow = self.flows[flow_id]
        flow.policy = replace(flow.policy, clock=clock, clock_since=self.pass_time())

    def take_back(self, flow_id: FlowId) -> None:
        """Let a person withdraw what is asked for."""
        self._withdraw(flow_id, self.pass_time())
        self.taken_back[flow_id].append(self.now)

    def revise(self, flow_id: FlowId) -> None:
        self.revisions[flow_id] += 1
        self.data_dates[flow_id] = self.now.date()

    def step_clock(self, by: dt.timedelta) -> None:
        """Let whole minutes pass; Prefect schedules the runs of the clocks that tick, each of them."""
        before, self.now = self.now, self.now + by
        for flow in self.flows.values():
            tick = next_tick(flow.policy.clock, before) if flow.policy.clock else None
            while tick is not None and tick <= self.now:
                if not flow.paused and flow.deployment is not None:
                    self.schedule(flow.flow_id, at=tick)
                assert flow.policy.clock is not None
                tick = next_tick(flow.policy.clock, tick)

    def pass_time(self) -> dt.datetime:
        self.now += TICK
        return self.now

    def _set(self, run: Run, state: RunState, name: str = "") -> None:
        run.state, run.name, run.at = state, name or state.title(), self.pass_time()

    def _ask(self, flow_ids: Iterable[FlowId], parameters: Mapping[str, Any], now: dt.datetime) -> None:
        """Renew the open request of each flow, or make one."""
        for flow_id in flow_ids:
            wish = next((wish for wish in self.wishes if wish.open and wish.flow_id == flow_id), None)
            if wish is None:
                wish = Wish(Request(UUID(int=next(self.numbers)), now), flow_id)
                self.wishes.append(wish)
            wish.request = replace(wish.request, created_at=now, parameters={**wish.request.parameters, **parameters})

    def _withdraw(self, flow_id: FlowId, cancelled_at: dt.datetime) -> None:
        for wish in self.wishes:
            if wish.flow_id == flow_id and wish.request.created_at <= cancelled_at:
                wish.open = False


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits for something")
