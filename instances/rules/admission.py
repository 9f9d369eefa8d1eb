"""Admission: what a run does with what its guard has found."""

from enum import StrEnum

from instances.rules.flow_status import FlowStatus
from instances.rules.readiness import FreshnessReport, Upstream, assess
from instances.specification.fields import OnStale
from instances.world.facts import FlowFacts, FlowId, World


class Admission(StrEnum):
    """The ways on from the guard; BLOCKED, SKIPPED and SUPERFLUOUS end the run without work.

    A skipped run confirms the completed one before it; a superfluous one has looked at nothing, and leaves no row.
    """

    READY = "ready"
    WARNED = "warned"
    FORCED = "forced"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    SUPERFLUOUS = "superfluous"


ADMITTED = frozenset({Admission.READY, Admission.WARNED, Admission.FORCED})  # those that get to work


def admit(
    flow: FlowFacts,
    report: FreshnessReport,
    *,
    on_stale: OnStale,
    force: bool,
    everything: bool = False,
    superfluous: bool = False,
) -> Admission:
    """Return how the run goes on, by the rules in docs/freshness.md, The guard.

    A flow without inputs is never skipped: only its source can say whether there is something new. Nor is one that is
    to read `everything` anew. `superfluous`
    says that another run has done all that this one was to do.
    """
    if force:
        return Admission.FORCED
    if superfluous:
        return Admission.SUPERFLUOUS
    if not report.all_ready:
        return Admission.WARNED if on_stale == "warn" else Admission.BLOCKED
    last = flow.completed.provenance if flow.completed else None
    if flow.edges and not everything and last is not None and last.recorded and last.fingerprint == report.fingerprint:
        return Admission.SKIPPED
    return Admission.READY


def flows_to_refresh(report: FreshnessReport, world: World) -> tuple[FlowId, ...]:
    """Return the ancestors that a run blocked with `on_stale: refresh` asks for, root causes first.

    These are the flow's blockers, their blockers, and so on: `world` must hold all its ancestors over
    required edges. A running source is left out: what it is about to leave is all that another run of it
    could find. So is what can't be read: it may well be fresh.
    """
    wanted: dict[FlowId, Upstream] = {}
    reports = [report]
    while reports:
        for blocker in reports.pop(0).blockers:
            flow = world.get(blocker.flow_id)
            if flow is None or flow.flow_id == report.flow_id or flow.flow_id in wanted:
                continue
            wanted[flow.flow_id] = blocker
            reports.append(assess(flow, world, report.checked_at))
    return tuple(flow_id for flow_id, blocker in wanted.items() if _may_help(blocker, world))


def _may_help(blocker: Upstream, world: World) -> bool:
    running_source = blocker.verdict.status is FlowStatus.RUNNING and not world[blocker.flow_id].edges
    return not running_source and blocker.verdict.status is not FlowStatus.UNKNOWN
