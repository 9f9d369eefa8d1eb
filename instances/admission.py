"""Admission: what a run does with what its guard has found."""

from enum import StrEnum

from instances.facts import FlowFacts, FlowId, World
from instances.lineage import strict_closure
from instances.readiness import FreshnessReport
from instances.specs import OnStale
from instances.status import FlowStatus, judge


class Admission(StrEnum):
    """The ways on from the guard; only BLOCKED and SKIPPED end the run without work."""

    READY = "ready"
    WARNED = "warned"
    FORCED = "forced"
    SKIPPED = "skipped"
    BLOCKED = "blocked"


def admit(flow: FlowFacts, report: FreshnessReport, *, on_stale: OnStale, force: bool) -> Admission:
    """Return how the run goes on, by the rules of design.md, section 4.

    A flow without inputs is never skipped: only its source can say whether there is something new.
    """
    if force:
        return Admission.FORCED
    if not report.all_ready:
        return Admission.WARNED if on_stale == "warn" else Admission.BLOCKED
    last = flow.completed.provenance if flow.completed else None
    if flow.edges and last is not None and last.fingerprint == report.fingerprint:
        return Admission.SKIPPED
    return Admission.READY


def to_refresh(report: FreshnessReport, world: World) -> tuple[FlowId, ...]:
    """Return the ancestors that a run blocked with `on_stale: refresh` asks for, root causes first.

    These are the flows that are not READY among the strict ancestors and behind the other blockers. A
    running source is left out: what it is about to leave is all that another run of it could find.
    """
    looked_at = [blocker.flow_id for blocker in report.blockers]
    wanted = dict.fromkeys(looked_at)
    for flow_id in strict_closure(world, looked_at):
        wanted.setdefault(flow_id)
    return tuple(flow_id for flow_id in wanted if _needs_a_run(world.get(flow_id), world, report))


def _needs_a_run(flow: FlowFacts | None, world: World, report: FreshnessReport) -> bool:
    if flow is None or flow.flow_id == report.flow_id:
        return False
    verdict = judge(flow, world, report.checked_at)
    if verdict.status is FlowStatus.RUNNING:
        return bool(flow.edges)
    blocked = any(blocker.flow_id == flow.flow_id for blocker in report.blockers)
    return blocked or not verdict.ready
