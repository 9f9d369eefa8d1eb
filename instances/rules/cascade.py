"""Cascade: whether a run of a flow should be started now, as a pure function of the world.

Level-triggered: the decision depends on the state of the world, never on having seen an event. The
completion hook and the sweep make the same one.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from instances.rules.readiness import FreshnessReport, assess
from instances.rules.status import FlowStatus, judge
from instances.world.facts import FlowFacts, FlowId, Request, RunFact, RunId, RunState, World
from instances.world.wording import moment, short, span

MAX_CRASHES = 3  # in a row, whatever their fingerprints


@dataclass(frozen=True)
class Start:
    """Start one run of the flow; `key` is the claim, and Prefect's idempotency key."""

    flow_id: FlowId
    label: str
    deployment_id: UUID
    fingerprint: str
    reason: str
    after: RunId | None
    parameters: Mapping[str, object] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """One run starts for each (flow, fingerprint, the flow's last ended run).

        A deployment that was made anew has no runs yet, and is another one.
        """
        return f"{self.flow_id}:{self.deployment_id}:{self.fingerprint}:{self.after or 'none'}"


@dataclass(frozen=True)
class Hold:
    """Start nothing; the reason tells a person what it would take."""

    flow_id: FlowId
    label: str
    reason: str


Decision = Start | Hold


def decide(flow: FlowFacts, world: World, now: dt.datetime, report: FreshnessReport | None = None) -> Decision:
    """Return what to do with `flow` at `now`, by the rules of design.md, section 5.

    `report` is what `assess` says of it at that moment, where that is there already.
    """
    obstacle = _obstacle(flow)
    if obstacle is not None or flow.deployment_id is None:
        obstacle = obstacle or "it has no deployment yet"
        return Hold(flow.flow_id, flow.label, obstacle)
    report = report or assess(flow, world, now)
    wish = _asked(flow, now) or _wanted(flow, world, report, now)
    if isinstance(wish, Hold):
        return wish
    if not report.all_ready:
        return Hold(flow.flow_id, flow.label, f"its inputs are not ready: {report.why}")
    return Start(
        flow_id=flow.flow_id,
        label=flow.label,
        deployment_id=flow.deployment_id,
        fingerprint=report.fingerprint,
        reason=wish.reason,
        after=flow.last_ended.run_id if flow.last_ended else None,
        parameters=wish.parameters,
    )


@dataclass(frozen=True)
class _StartReason:
    reason: str
    parameters: Mapping[str, object] = field(default_factory=dict)


def _obstacle(flow: FlowFacts) -> str | None:
    """Return what keeps any automatic run of the flow from starting, whatever its inputs."""
    if flow.unreadable is not None:
        return f"its facts can't be read: {flow.unreadable}"
    if flow.live:
        return f"run {short(flow.live[0].run_id)} is {flow.live[0].state.lower()} already"
    if flow.paused:
        return "its deployment is paused"
    if flow.crashes_in_row >= MAX_CRASHES:
        return f"it has crashed {flow.crashes_in_row} times in a row; run it by hand when the cause is gone"
    return None


def withdrawn_at(flow: FlowFacts) -> dt.datetime | None:
    """Return when a person cancelled the flow's last run, and withdrew what was asked for up to then."""
    last = flow.last_ended
    return last.at if last is not None and _cancelled_by_a_person(last) else None


def open_requests(flow: FlowFacts) -> tuple[Request, ...]:
    """Return the requests that still stand."""
    cancelled_at = withdrawn_at(flow)
    return tuple(r for r in flow.requests if cancelled_at is None or r.created_at > cancelled_at)


def _asked(flow: FlowFacts, now: dt.datetime) -> _StartReason | None:
    requests = open_requests(flow)
    if not requests:
        return None
    return _StartReason(f"asked for at {moment(requests[0].created_at, now)}", requests[0].parameters)


def _wanted(flow: FlowFacts, world: World, report: FreshnessReport, now: dt.datetime) -> _StartReason | Hold:
    """Say whether a flow that nobody asked for is to run, to be kept ready."""
    leave = f"it is not kept ready automatically; run it by hand, by its schedule, or set auto on {flow.instance}"
    if not flow.auto:
        return Hold(flow.flow_id, flow.label, leave)
    if flow.last_ended is not None and _cancelled_for_good(flow, flow.last_ended, world, report):
        leave = f"run {short(flow.last_ended.run_id)} was cancelled, and its inputs are still the same; run it by hand"
        return Hold(flow.flow_id, flow.label, leave)
    verdict = judge(flow, world, now)
    match verdict.status:
        case FlowStatus.NOT_INITIALIZED | FlowStatus.STALE:
            return _StartReason(f"it is {verdict.status}: {verdict.reason}")
        case FlowStatus.ERROR if flow.decisive is not None and _worth_retrying(flow.decisive, report):
            return _StartReason(f"its last run {flow.decisive.state.lower()}, and the reason may have gone")
        case FlowStatus.STALE_SOURCE_DELAYED:
            return _ask_source_again(flow, report, now)
        case status:
            return Hold(flow.flow_id, flow.label, f"it is {status}: {verdict.reason}")


def _worth_retrying(run: RunFact, report: FreshnessReport) -> bool:
    if run.crashed:
        return True
    return run.provenance is not None and run.provenance.fingerprint != report.fingerprint


def _ask_source_again(flow: FlowFacts, report: FreshnessReport, now: dt.datetime) -> _StartReason | Hold:
    completed = flow.completed
    known = completed.provenance.fingerprint if completed and completed.provenance else None
    if flow.edges and known == report.fingerprint:
        return Hold(flow.flow_id, flow.label, "its inputs have nothing newer")
    if completed is not None and now - completed.at < flow.source_retry:
        again = f"its source is asked again {span(flow.source_retry)} after {moment(completed.at, now)}"
        return Hold(flow.flow_id, flow.label, again)
    return _StartReason("its source was delayed and is asked again")


def _cancelled_by_a_person(run: RunFact) -> bool:
    return run.state is RunState.CANCELLED and not run.blocked


def _cancelled_for_good(flow: FlowFacts, last: RunFact, world: World, report: FreshnessReport) -> bool:
    if not _cancelled_by_a_person(last):
        return False
    cancelled = last.provenance.fingerprint if last.provenance else last.claimed
    if cancelled is not None:
        return cancelled == report.fingerprint
    # Cancelled before its guard had judged: its inputs are the same unless one has completed since.
    inputs = (world.get(edge.upstream) for edge in flow.edges)
    return not any(u is not None and u.completed is not None and u.completed.at > last.at for u in inputs)
