"""Explanations: why a flow has its status, down to the root causes, and what will happen next."""

import datetime as dt
from dataclasses import dataclass

from instances.rules.cascade import Decision, Start, decide, open_requests
from instances.rules.late_runs import runs_under_way
from instances.rules.readiness import FreshnessReport, Upstream, assess
from instances.rules.status import FlowStatus, Verdict, judge
from instances.world.clock import ClockError, next_tick
from instances.world.facts import FlowFacts, FlowId, World
from instances.world.lineage import downstream_of, strict_closure, strict_parents
from instances.world.wording import moment


@dataclass(frozen=True)
class Cause:
    """One line of an explanation: a flow, and why it is not ready, or why it blocks.

    `depth` is 0 for the flow that was asked about. `repeated` marks a flow that was explained above.
    """

    depth: int
    flow_id: FlowId
    label: str
    status: FlowStatus
    reason: str
    root: bool = False
    repeated: bool = False


@dataclass(frozen=True)
class Explanation:
    """The tree of causes, depth first, and what the cascade will do with the flow."""

    causes: tuple[Cause, ...]
    next_step: str


def explain(flow: FlowFacts, world: World, now: dt.datetime) -> Explanation:
    """Return why `flow` has its status at `now`; only what blocks is followed upward."""
    report, verdict = assess(flow, world, now), judge(flow, world, now)
    blockers = {upstream.flow_id: upstream for upstream in report.blockers}
    # One that can't be read is a cause by itself, whatever else is behind it.
    root = flow.unreadable is not None or not blockers
    causes = [Cause(0, flow.flow_id, flow.label, verdict.status, verdict.reason, root=root)]
    direct = [edge.upstream for edge in flow.edges if edge.strict or edge.upstream in blockers]
    causes.extend(_behind(direct, world, blockers))
    return Explanation(tuple(causes), _next(flow, verdict, report, decide(flow, world, now, report)))


def _behind(direct: list[FlowId], world: World, blockers: dict[FlowId, Upstream]) -> list[Cause]:
    """Walk up from the direct inputs, through ready flows too where something blocks behind them."""
    parents = {flow_id: strict_parents(world.get(flow_id)) for flow_id in (*direct, *strict_closure(world, direct))}
    leading = downstream_of(blockers, parents) | blockers.keys()
    lines: list[Cause] = []
    seen: set[FlowId] = set()
    stack = [(1, flow_id) for flow_id in reversed(list(dict.fromkeys(direct))) if flow_id in leading]
    while stack:
        depth, flow_id = stack.pop()
        upstream = blockers.get(flow_id)
        behind = [parent for parent in parents[flow_id] if parent in leading]
        repeated = flow_id in seen
        if upstream is not None:
            verdict, reason = upstream.verdict, upstream.blocks or ""
            lines.append(Cause(depth, flow_id, upstream.label, verdict.status, reason, upstream.root, repeated))
            depth += 1
        if not repeated:
            stack.extend((depth, parent) for parent in reversed(behind))
        seen.add(flow_id)
    return lines


def _next(flow: FlowFacts, verdict: Verdict, report: FreshnessReport, decision: Decision) -> str:
    if isinstance(decision, Start):
        return f"the cascade or the sweep starts it: {decision.reason}"
    waits_for = [up.label for up in report.blockers if up.verdict.status is FlowStatus.RUNNING]
    if waits_for and flow.auto:
        return f"it is looked at again when these have ended: {', '.join(waits_for)}"
    if open_requests(flow) and not report.all_ready:
        return "it is asked for, and starts by itself when its inputs are ready"
    if flow.auto and not report.all_ready and not runs_under_way(flow):
        return "it is looked at again when its inputs are ready"
    if flow.policy.clock is not None and (tick := _tick(flow, report.checked_at)) is not None:
        return f"its schedule starts it at {moment(tick, report.checked_at)}"
    if verdict.ready:
        return "nothing is due"
    if verdict.status is FlowStatus.ERROR and flow.auto:
        return "it is tried again when an input or its configuration has changed; or run it by hand"
    return f"nothing starts it now: {decision.reason.partition(chr(10))[0]}"


def _tick(flow: FlowFacts, now: dt.datetime) -> dt.datetime | None:
    try:
        return next_tick(flow.policy.clock, now) if flow.policy.clock else None
    except ClockError:
        return None
