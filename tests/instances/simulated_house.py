"""A simulated house: Prefect, Postgres, workers and people, in memory, around the real judgements.

It does what `flows/running/frame.py`, `flows/running/run_starter.py` and `flows/sweep.py` do, in steps that can be
taken apart: a run is scheduled, taken by a worker, judged by its guard, ended, and looked at by its hook; and whoever
starts runs first reads the world, then claims, then starts.
"""

import datetime as dt
import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from definitions.contract import FlowKind
from instances.rules.admission import Admission, admit, flows_to_refresh
from instances.rules.cascade import Start, decide, withdrawn_at
from instances.rules.readiness import FreshnessReport, assess
from instances.specification.fields import OnStale
from instances.world.clock import last_tick
from instances.world.facts import (
    BLOCKED,
    DECISIVE,
    ENDED,
    SKIPPED,
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
from tests.instances.sample_world import MINUTE, NOW

PATIENCE = 15 * MINUTE
FOLLOWING = Policy()
TICK = dt.timedelta(milliseconds=1)  # no two things happen at the same time


@dataclass
class Flow:
    """A flow as configured, and the state of its deployment."""

    flow_id: FlowId
    name: str
    edges: tuple[Edge, ...] = ()
    policy: Policy = FOLLOWING
    auto: bool = True
    on_stale: OnStale = "block"
    config: int = 1
    configured_at: dt.datetime | None = None
    paused: bool = False
    deployment: UUID | None = field(default_factory=uuid4)


@dataclass
class Run:
    """A run, as Prefect's row and its own row in Postgres have it together."""

    run_id: RunId
    flow_id: FlowId
    at: dt.datetime  # when it was due, or reached its state
    parameters: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False
    automatic: bool = False
    on_old_reading: bool = False  # started by a hook that had read the world some time before
    claimed: str | None = None  # the fingerprint that the cascade has started it for
    state: RunState = RunState.SCHEDULED
    name: str = "Scheduled"
    provenance: Provenance | None = None
    admission: Admission | None = None
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

    def fact(self, *, told: bool) -> RunFact:
        row = (self.provenance, self.claimed) if told else (None, None)
        return RunFact(self.run_id, self.state, self.name, self.at, "", *row)


@dataclass
class Wish:
    """A row of the requests."""

    request: Request
    flow_id: FlowId
    open: bool = True


@dataclass(frozen=True)
class Store:
    """What a flow has committed: its data, and for a source how far it has read."""

    version: int = 0
    watermark: dt.date | None = None
    revision: int = 0


@dataclass(frozen=True)
class Reading:
    """What one hook or sweep has decided, on the world as it has read it."""

    starts: tuple[Start, ...]
    at: dt.datetime


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
        self.wishes: list[Wish] = []
        self.claims: dict[str, RunId | None] = {}
        self.by_key: dict[str, Run] = {}
        self.stores = {flow_id: Store() for flow_id in self.flows}
        self.revisions = dict.fromkeys(self.flows, 1)
        self.data_dates = {flow_id: self.now.date() for flow_id in self.flows}
        self.hooks: list[Run] = []  # ended runs whose hook has not run yet
        self.signatures: dict[str, Signature] = {}
        self.numbers = itertools.count(1)

    # Reading

    def world(self, starts: Collection[FlowId], *, deciding: bool) -> World:
        """Return what `read_world` does: the surroundings of `starts`; what deciding needs only for them."""
        return {at: self._facts(at, deciding=deciding and at in starts) for at in self._surroundings(starts)}

    def whole_world(self) -> World:
        return self.world(self.flows, deciding=True)

    @property
    def oracle(self) -> Oracle:
        return Oracle(self.whole_world(), self.now, self.signatures)

    def every_run(self) -> Iterable[Run]:
        return itertools.chain.from_iterable(self.runs.values())

    def _surroundings(self, starts: Collection[FlowId]) -> set[FlowId]:
        found, new = set(starts), set(starts)
        while new:
            new = {edge.upstream for at in new for edge in self.flows[at].edges if edge.strict} - found
            found |= new
        for _ in range(2):
            found |= {edge.upstream for at in found for edge in self.flows[at].edges}
        return found

    def _facts(self, flow_id: FlowId, *, deciding: bool) -> FlowFacts:
        flow = self.flows[flow_id]
        ended = sorted((run for run in self.runs[flow_id] if run.ended), key=lambda run: run.at, reverse=True)
        decisive = [run for run in ended if run.state in DECISIVE]
        live = (run for run in self.runs[flow_id] if not run.ended and not (run.waiting and run.at > self.now))
        return FlowFacts(
            flow_id=flow_id,
            instance=flow.name,
            kind=FlowKind.REFRESH,
            config_hash=f"config-{flow.config}",
            configured_at=flow.configured_at,
            deployment_id=flow.deployment,
            paused=flow.paused and deciding,
            policy=flow.policy,
            auto=flow.auto,
            edges=flow.edges,
            live=tuple(run.fact(told=False) for run in live),
            decisive=_first(decisive),
            completed=_first(run for run in decisive if run.state is RunState.COMPLETED),
            last_ended=_first(ended) if deciding else None,
            cancelled=_first(run for run in ended if run.fact(told=False).cancelled_by_a_person) if deciding else None,
            crashes=tuple(run.fact(told=True) for run in itertools.takewhile(_crashed, decisive)) if deciding else (),
            requests=tuple(w.request for w in self.wishes if w.flow_id == flow_id and w.open) if deciding else (),
        )

    # The cascade

    def read(self, flow_ids: Collection[FlowId]) -> Reading:
        """Read the world, and decide."""
        world = self.world(flow_ids, deciding=True)
        decisions = [decide(world[flow_id], world, self.now) for flow_id in flow_ids]
        for flow_id in flow_ids:
            self._note(assess(world[flow_id], world, self.now), world[flow_id])
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
        run = Run(RunId(UUID(int=next(self.numbers) << 96)), flow_id, **({"at": self.pass_time()} | fields))
        self.runs[flow_id].append(run)
        return run

    def can_be_taken(self, run: Run) -> bool:
        """Say whether a worker may take the run: deployments have a concurrency limit of one."""
        under_way = any(not other.ended and not other.waiting for other in self.runs[run.flow_id])
        return run.waiting and run.at <= self.now and not under_way

    def take(self, run: Run) -> None:
        self._set(run, RunState.PENDING)

    def guard(self, run: Run) -> FreshnessReport:
        """Judge the run, write it down, and let it go on to its end or to its work."""
        flow, now = self.flows[run.flow_id], self.pass_time()
        world = self.world([run.flow_id], deciding=False)
        facts, report = world[run.flow_id], assess(world[run.flow_id], world, now)
        on_stale = run.parameters.get("on_stale", flow.on_stale)
        run.admission, run.guarded_at = admit(facts, report, on_stale=on_stale, force=run.force), now
        run.provenance = Provenance(
            fingerprint=report.fingerprint,
            config_hash=facts.config_hash,
            inputs={pin.upstream: pin.version for pin in report.pins},
            forced=run.admission is Admission.FORCED,
            recorded=False,
        )
        self._note(report, facts)
        self._set(run, RunState.RUNNING)
        if run.admission is Admission.BLOCKED:
            self._ask([run.flow_id], run.parameters, now)
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
        pins = {(pin.upstream, pin.role, pin.version) for pin in report.pins}
        self.signatures[report.fingerprint] = signature_of(facts.config_hash, pins)

    def end(self, run: Run, how: str = "completed") -> None:
        """End a judged run: one that is to work as `how` says, any other as its guard has said."""
        assert run.provenance is not None
        if run.admission is Admission.BLOCKED:
            self._set(run, RunState.CANCELLED, BLOCKED)  # no hook runs after this state
            return
        if run.admission is Admission.SKIPPED:
            source = next(other for other in self.runs[run.flow_id] if other.run_id == run.confirms).provenance
            assert source is not None
            run.provenance = replace(
                run.provenance,
                version=source.version,
                watermark=source.watermark,
                found_new=False,
                recorded=True,
            )
            self._set(run, RunState.COMPLETED, SKIPPED)
            self.hooks.append(run)
            return
        if how in ("completed", "unchanged", "crashed after the commit", "without a version"):
            self._commit(run, run.provenance, changed=how != "unchanged", version=how != "without a version")
        if how == "failed":
            self._set(run, RunState.FAILED)
        elif how.startswith("crashed"):
            self._set(run, RunState.CRASHED)
        else:
            self._set(run, RunState.COMPLETED)
        self.hooks.append(run)

    def _commit(self, run: Run, pinned: Provenance, *, changed: bool, version: bool) -> None:
        store, source = self.stores[run.flow_id], not self.flows[run.flow_id].edges
        found_new = store.version == 0 or (store.revision < self.revisions[run.flow_id] if source else changed)
        if found_new:
            watermark = self.data_dates[run.flow_id] if source else None
            store = Store(store.version + 1, watermark, self.revisions[run.flow_id])
        self.stores[run.flow_id] = store
        left = str(store.version) if version else None
        run.provenance = replace(pinned, version=left, watermark=store.watermark, found_new=found_new, recorded=True)

    def fail_early(self, run: Run, state: RunState) -> None:
        """End a run before its guard has judged."""
        self._set(run, state)
        self.hooks.append(run)

    def cancel(self, run: Run) -> None:
        """Let a person cancel; only a run that is under way has a process in which its hook could run."""
        under_way = not run.waiting and not run.killed
        self._set(run, RunState.CANCELLED)
        if under_way:
            self.hooks.append(run)

    def call_completed(self, run: Run) -> None:
        """Let a person set an ended run to Completed: it keeps the time when it ended, and no hook runs."""
        run.by_hand, run.state, run.name = True, RunState.COMPLETED, "Completed"

    def delete(self, run: Run) -> None:
        """Let a person delete a run; its idempotency key goes with it."""
        self.runs[run.flow_id].remove(run)
        self.by_key = {key: other for key, other in self.by_key.items() if other is not run}

    def delete_deployment(self, flow_id: FlowId) -> None:
        """Let a person delete a deployment; its runs belong to nothing any more, and neither do their hooks."""
        self.flows[flow_id].deployment = None
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
        """Let the workers do all that there is to do, without failures, until nothing is due any more."""
        while True:
            self.run_hooks()
            under_way = [run for run in self.every_run() if not run.ended and not run.waiting and not run.killed]
            due = [run for run in self.every_run() if self.can_be_taken(run)]
            if not under_way and not due:
                return
            for run in due:
                self.take(run)
            for run in [*under_way, *due]:
                if run.admission is None:
                    self.guard(run)
                self.end(run)

    # Everything else

    def configure(self, flow_id: FlowId, config: int) -> None:
        self.flows[flow_id].config, self.flows[flow_id].configured_at = config, self.pass_time()

    def revise(self, flow_id: FlowId) -> None:
        self.revisions[flow_id] += 1
        self.data_dates[flow_id] = self.now.date()

    def step_clock(self, by: dt.timedelta) -> None:
        """Let whole minutes pass; Prefect schedules the runs of the clocks that tick."""
        before, self.now = self.now, self.now + by
        for flow in self.flows.values():
            tick = last_tick(flow.policy.clock, self.now) if flow.policy.clock else None
            if tick is not None and tick > before and not flow.paused and flow.deployment is not None:
                self.schedule(flow.flow_id, at=tick)

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


def _crashed(run: Run) -> bool:
    return run.state is RunState.CRASHED or (run.state is RunState.FAILED and run.provenance is None)


def _first(runs: Iterable[Run]) -> RunFact | None:
    run = next(iter(runs), None)
    return run.fact(told=True) if run is not None else None
