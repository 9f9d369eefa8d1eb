"""Cascade: whether a run of a flow should be started now, as a pure function of the world.

Level-triggered: the decision depends on the state of the world, never on having seen an event. The
completion hook and the sweep make the same one.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from uuid import UUID

from instances.rules.changes_since import change_since
from instances.rules.flow_status import FlowStatus, judge
from instances.rules.freshness import FreshnessContext, unmet_rules
from instances.rules.late_runs import runs_under_way
from instances.rules.readiness import FreshnessReport, assess
from instances.world.facts import FlowFacts, FlowId, Request, RunFact, RunId, World
from instances.world.moments import plain_moment
from instances.world.wording import moment, short, span

MAX_CRASHES = 3  # in a row, of one fingerprint
CRASH_PAUSE = dt.timedelta(minutes=15)  # what is asked for, and crashed so often, is tried again after it


@dataclass(frozen=True)
class Start:
    """Start one run of the flow; `key` is the claim, and Prefect's idempotency key."""

    flow_id: FlowId
    label: str
    deployment_id: UUID
    fingerprint: str
    reason: str
    after: RunId | None
    ended_at: dt.datetime | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """One run starts for each (flow, fingerprint, the flow's last ended run).

        A deployment that was made anew has no runs yet, and is another one. And a run that is retried under its own
        id ends once more: when it ended is a part of which run that is.
        """
        ended = f"{self.after}:{self.ended_at.isoformat()}" if self.after and self.ended_at else "none"
        return f"{self.flow_id}:{self.deployment_id}:{self.fingerprint}:{ended}"


@dataclass(frozen=True)
class Hold:
    """Start nothing; the reason tells a person what it would take."""

    flow_id: FlowId
    label: str
    reason: str


Decision = Start | Hold


def decide(flow: FlowFacts, world: World, now: dt.datetime, report: FreshnessReport | None = None) -> Decision:
    """Return what to do with `flow` at `now`, by the rules in docs/freshness.md, The cascade.

    `report` is what `assess` says of it at that moment, where that is there already.
    """
    now = plain_moment("now", now)
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
        ended_at=flow.last_ended.at if flow.last_ended else None,
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
    if under_way := runs_under_way(flow):
        return f"run {short(under_way[0].run_id)} is {under_way[0].state.lower()} already"
    if flow.paused:
        return "its deployment is paused"
    return None


def withdrawn_at(flow: FlowFacts) -> dt.datetime | None:
    """Return when a person last cancelled a run of the flow, and withdrew what was asked for up to then."""
    return flow.cancelled.at if flow.cancelled is not None else None


def open_requests(flow: FlowFacts) -> tuple[Request, ...]:
    """Return the requests that still stand."""
    cancelled_at = withdrawn_at(flow)
    return tuple(r for r in flow.requests if cancelled_at is None or r.created_at > cancelled_at)


def _asked(flow: FlowFacts, now: dt.datetime) -> _StartReason | Hold | None:
    """Say whether a flow is to run because it was asked for, which is always honoured."""
    requests = open_requests(flow)
    if not requests:
        return None
    first = requests[0]
    in_vain = [crash for crash in flow.crashes if crash.at > first.created_at]
    if len(in_vain) >= MAX_CRASHES and now - in_vain[0].at < CRASH_PAUSE:
        again = f"{len(in_vain)} runs have crashed since; it is tried again {span(CRASH_PAUSE)} after the last"
        return Hold(flow.flow_id, flow.label, f"it was asked for at {moment(first.created_at, now)}, but {again}")
    parameters = {**_taken_on(flow), **first.parameters}
    return _StartReason(f"asked for at {moment(first.created_at, now)}", parameters)


def _wanted(flow: FlowFacts, world: World, report: FreshnessReport, now: dt.datetime) -> _StartReason | Hold:
    """Say whether a flow that nobody asked for is to run, to be kept ready."""
    leave = f"it is not kept ready automatically; run it by hand, by its schedule, or set auto on {flow.instance}"
    if not flow.auto:
        return Hold(flow.flow_id, flow.label, leave)
    if _cancel_holds(flow, world, now):
        assert flow.cancelled is not None
        leave = f"run {short(flow.cancelled.run_id)} was cancelled, and nothing that it depends on is newer"
        return Hold(flow.flow_id, flow.label, f"{leave}; run it by hand")
    verdict = judge(flow, world, now)
    match verdict.status:
        case FlowStatus.STALE if _waits_for_a_person(flow, world, now):
            return Hold(flow.flow_id, flow.label, f"it is {verdict.status}: {verdict.reason}")
        case FlowStatus.STALE if _would_stay_stale(flow, world, report, now):
            leave = f"it is {verdict.status}: {verdict.reason}; a run would find nothing new before that has run again"
            return Hold(flow.flow_id, flow.label, leave)
        case FlowStatus.NOT_INITIALIZED | FlowStatus.STALE:
            return _StartReason(f"it is {verdict.status}: {verdict.reason}")
        case FlowStatus.ERROR if flow.decisive is not None and flow.decisive.crashed:
            return _after_crash(flow, flow.decisive, world, report, now)
        case FlowStatus.ERROR if flow.decisive is not None and _has_other_reason(flow.decisive, report):
            return _StartReason(_may_have_gone(flow.decisive))
        case FlowStatus.STALE_SOURCE_DELAYED:
            return _ask_source_again(flow, report, now)
        case status:
            return Hold(flow.flow_id, flow.label, f"it is {status}: {verdict.reason}")


def _waits_for_a_person(flow: FlowFacts, world: World, now: dt.datetime) -> bool:
    """Say whether a stale flow has done all that a run of it can do."""
    run = flow.completed
    assert run is not None  # what is stale has completed
    assert run.provenance is not None
    return all(rule.by_hand for rule in unmet_rules(FreshnessContext(flow, run, run.provenance, now), world))


def _would_stay_stale(flow: FlowFacts, world: World, report: FreshnessReport, now: dt.datetime) -> bool:
    """Say whether a run would be skipped, and leave a stale flow as stale as it is: to start one is to start for ever.

    So it is with a feature that was defined anew and may be read as it was: what there is of it is of before.
    """
    run = flow.completed
    assert run is not None  # what is stale has completed
    assert run.provenance is not None
    if not flow.edges or run.provenance.fingerprint != report.fingerprint:
        return False
    confirmed = FreshnessContext(flow, replace(run, at=now), run.provenance, now)
    return any(rule.due is None and not rule.by_hand for rule in unmet_rules(confirmed, world))


def _after_crash(
    flow: FlowFacts, last: RunFact, world: World, report: FreshnessReport, now: dt.datetime
) -> _StartReason | Hold:
    """Say whether a flow whose last run crashed is tried again: up to 3 crashes in a row of one fingerprint."""
    in_row = sum(1 for _ in takewhile(lambda run: _of_now(run, flow, world, report, now), flow.crashes))
    if in_row >= MAX_CRASHES:
        leave = f"it has crashed {in_row} times in a row; run it by hand when the cause is gone"
        return Hold(flow.flow_id, flow.label, leave)
    return _StartReason(_may_have_gone(last), _taken_on(flow))


def _taken_on(flow: FlowFacts) -> Mapping[str, object]:
    """Return what the run that crashed last was asked for, and has not done."""
    last = flow.decisive
    return last.parameters if last is not None and last.crashed else {}


def _of_now(run: RunFact, flow: FlowFacts, world: World, report: FreshnessReport, now: dt.datetime) -> bool:
    """Say whether a run was for the inputs and the configuration of now."""
    known = run.provenance.fingerprint if run.provenance is not None else run.claimed
    return known == report.fingerprint if known is not None else change_since(flow, world, run.at, now) is None


def _has_other_reason(failed: RunFact, report: FreshnessReport) -> bool:
    return failed.provenance is not None and failed.provenance.fingerprint != report.fingerprint


def _may_have_gone(run: RunFact) -> str:
    return f"its last run {run.state.lower()}, and the reason may have gone"


def _ask_source_again(flow: FlowFacts, report: FreshnessReport, now: dt.datetime) -> _StartReason | Hold:
    completed = flow.completed
    known = completed.provenance.fingerprint if completed and completed.provenance else None
    if flow.edges and known == report.fingerprint:
        return Hold(flow.flow_id, flow.label, "its inputs have nothing newer")
    if completed is not None and now - completed.at < flow.source_retry:
        again = f"its source is asked again {span(flow.source_retry)} after {moment(completed.at, now)}"
        return Hold(flow.flow_id, flow.label, again)
    return _StartReason("its source was delayed and is asked again")


def _cancel_holds(flow: FlowFacts, world: World, now: dt.datetime) -> bool:
    """Say whether a person's cancel is the last word: no run has done anything since, and nothing has changed."""
    cancelled, decisive = flow.cancelled, flow.decisive
    if cancelled is None or (decisive is not None and decisive.at > cancelled.at):
        return False
    return change_since(flow, world, cancelled.at, now) is None
