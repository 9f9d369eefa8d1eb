"""Explanations: why a flow has its status, down to the root causes, and what will happen next."""

import datetime as dt
from dataclasses import dataclass

from instances.rules.cascade import Decision, Start, decide, open_requests
from instances.rules.flow_status import FlowStatus, Verdict, judge
from instances.rules.late_runs import runs_under_way
from instances.rules.readiness import FreshnessReport, Upstream, assess
from instances.rules.standstills import Standstills
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


def explain(flow: FlowFacts, world: World, now: dt.datetime, standstills: Standstills | None = None) -> Explanation:
    """Return why `flow` has its status at `now`; only what blocks is followed upward.

    `standstills` are what keeps runs from starting by themselves: the next step says so where it counts on that.
    """
    report, verdict = assess(flow, world, now), judge(flow, world, now)
    blockers = {upstream.flow_id: upstream for upstream in report.blockers}
    # One that can't be read is a cause by itself, whatever else is behind it.
    root = flow.unreadable is not None or not blockers
    causes = [Cause(0, flow.flow_id, flow.label, verdict.status, verdict.reason, root=root)]
    direct = [edge.upstream for edge in flow.edges if edge.strict or edge.upstream in blockers]
    causes.extend(_behind(direct, world, blockers))
    expected = _next(flow, verdict, report, decide(flow, world, now, report))
    return Explanation(tuple(causes), _as_things_stand(flow, expected, standstills or Standstills(now)))


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


@dataclass(frozen=True)
class _NextStep:
    """What will happen with a flow, whether a run of it is to start for that, and whether the sweep may be needed."""

    text: str
    starts: bool = True
    by_sweep: bool = False


def _as_things_stand(flow: FlowFacts, expected: _NextStep, standstills: Standstills) -> str:
    """Return what will happen, and what keeps it from happening."""
    pool = standstills.of_flow(flow) if expected.starts else None
    found = pool or (standstills.sweep if expected.by_sweep else None)
    return f"{expected.text}; but {found.sentence(standstills.at)}" if found else expected.text


def _next(flow: FlowFacts, verdict: Verdict, report: FreshnessReport, decision: Decision) -> _NextStep:
    if isinstance(decision, Start):
        return _NextStep(f"the cascade or the sweep starts it: {decision.reason}", by_sweep=True)
    if flow.paused and not runs_under_way(flow):
        return _NextStep("nothing starts it: its deployment is paused; `optaic resume` resumes it", starts=False)
    waits_for = [up.label for up in report.blockers if up.verdict.status is FlowStatus.RUNNING]
    if waits_for and flow.auto:
        return _NextStep(f"it is looked at again when these have ended: {', '.join(waits_for)}")
    if open_requests(flow) and not report.all_ready:
        return _NextStep("it is asked for, and starts by itself when its inputs are ready", by_sweep=True)
    if flow.auto and not report.all_ready and not runs_under_way(flow):
        return _NextStep("it is looked at again when its inputs are ready", by_sweep=True)
    if flow.policy.clock is not None and (tick := _tick(flow, report.checked_at)) is not None:
        return _NextStep(f"its schedule starts it at {moment(tick, report.checked_at)}")
    if verdict.ready:
        return _NextStep("nothing is due", starts=False)
    if verdict.status is FlowStatus.ERROR and flow.auto:
        text = "it is tried again when an input or its configuration has changed; or run it by hand"
        return _NextStep(text, by_sweep=True)
    leave = decision.reason.partition(chr(10))[0]
    return _NextStep(f"nothing starts it now: {leave}", starts=any(run.waiting for run in flow.live))


def _tick(flow: FlowFacts, now: dt.datetime) -> dt.datetime | None:
    try:
        return next_tick(flow.policy.clock, now) if flow.policy.clock else None
    except ClockError:
        return None
