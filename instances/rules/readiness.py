"""Readiness: whether a flow may work now, what stands in its way, and which versions it is to read.

Strict edges are looked along up to the last ancestor, the others one step.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from instances.rules.flow_status import Verdict, judge, unknown
from instances.rules.freshness import UnreadableFacts, champion_problem, newest_version
from instances.specification.shapes import SHAPES, Output
from instances.world.facts import Edge, FlowFacts, FlowId, World
from instances.world.fingerprint import Pin, fingerprint
from instances.world.lineage import downstream_of, strict_closure, strict_parents, topological
from instances.world.moments import plain_moment
from instances.world.wording import moment, short, span


@dataclass(frozen=True)
class Upstream:
    """One flow that the guard looked at: its status, and why it blocks, if it does.

    `root` marks a root cause: a blocker behind which nothing else blocks.
    """

    flow_id: FlowId
    label: str
    verdict: Verdict
    blocks: str | None = None
    root: bool = False


@dataclass(frozen=True)
class FreshnessReport:
    """What the guard says of one flow at one moment.

    `upstreams` has every flow that was looked at, blockers first, root causes before all others.
    `pins` are the versions of the direct inputs; inputs that have none are left out.
    """

    flow_id: FlowId
    label: str
    checked_at: dt.datetime
    upstreams: tuple[Upstream, ...]
    pins: tuple[Pin, ...]
    fingerprint: str

    @property
    def blockers(self) -> tuple[Upstream, ...]:
        return tuple(upstream for upstream in self.upstreams if upstream.blocks is not None)

    @property
    def all_ready(self) -> bool:
        return not self.blockers

    @property
    def why(self) -> str:
        """What stands in the way, root causes first, in one line; empty when nothing does."""
        return "; ".join(f"{b.label} is {b.verdict.status}: {b.blocks}" for b in self.blockers)


def assess(flow: FlowFacts, world: World, now: dt.datetime) -> FreshnessReport:
    """Return whether `flow` may work at `now`, by the rules in docs/freshness.md, Edges.

    What can't be read blocks. Only a naive `now` raises (`NaiveMoment`).
    """
    now = plain_moment("now", now)
    pins = tuple(_pins(flow, world))
    return FreshnessReport(
        flow_id=flow.flow_id,
        label=flow.label,
        checked_at=now,
        upstreams=_ordered(_looked_at(flow, world, now), world),
        pins=pins,
        fingerprint=fingerprint(flow.config_hash, pins),
    )


def _pins(flow: FlowFacts, world: World) -> Iterator[Pin]:
    for edge in flow.edges:
        upstream = world.get(edge.upstream)
        version = newest_version(upstream)
        if upstream is None or upstream.unreadable is not None or upstream.completed is None or version is None:
            continue
        left, made_by = upstream.completed, None
        if edge.role in SHAPES[flow.kind].learns_from and left.provenance is not None:
            made_by = left.provenance.config_hash
        yield Pin(edge.upstream, upstream.instance, upstream.kind, edge.role, version, left.run_id, made_by)


def _looked_at(flow: FlowFacts, world: World, now: dt.datetime) -> dict[FlowId, Upstream]:
    found: dict[FlowId, Upstream] = {}
    if flow.unreadable is not None:
        own = judge(flow, world, now)
        found[flow.flow_id] = Upstream(flow.flow_id, flow.label, own, own.reason)
    for flow_id in strict_closure(world, [flow.flow_id]):
        label, verdict = _verdict(flow_id, world, now)
        found[flow_id] = Upstream(flow_id, label, verdict, None if verdict.ready else verdict.reason)
    for edge in flow.edges:
        seen = found.get(edge.upstream)
        if seen is None:
            seen = Upstream(edge.upstream, *_verdict(edge.upstream, world, now))
        if seen.blocks is None and edge.required:
            blocks = _missing(edge, world, seen.verdict, now)
            seen = Upstream(seen.flow_id, seen.label, seen.verdict, blocks)
        found[edge.upstream] = seen
    return found


def _verdict(flow_id: FlowId, world: World, now: dt.datetime) -> tuple[str, Verdict]:
    flow = world.get(flow_id)
    if flow is None:
        return short(flow_id), unknown(flow_id)
    return flow.label, judge(flow, world, now)


def _missing(edge: Edge, world: World, verdict: Verdict, now: dt.datetime) -> str | None:
    """Return why a required input can't be read, though a strict one is READY; None when it can."""
    upstream = world.get(edge.upstream)
    if upstream is None or upstream.unreadable is not None or upstream.completed is None:
        return verdict.reason
    if newest_version(upstream) is None and SHAPES[upstream.kind].leaves is Output.MODEL:
        return (
            f"its run {short(upstream.completed.run_id)} trained a model, but no version has been promoted yet; "
            f"promote one with `optaic promote {upstream.instance} VERSION`"
        )
    if newest_version(upstream) is None:
        left = "left no version"
        return f"its run {short(upstream.completed.run_id)} {left}, so there is nothing to read yet"
    if edge.max_age is not None and now - upstream.completed.at > edge.max_age:
        at = moment(upstream.completed.at, now)
        return f"its newest version was completed at {at}, more than {span(edge.max_age)} ago"
    try:
        return champion_problem(upstream, world)
    except UnreadableFacts as error:
        return str(error)


def _ordered(found: Mapping[FlowId, Upstream], world: World) -> tuple[Upstream, ...]:
    blocked = {flow_id for flow_id, upstream in found.items() if upstream.blocks is not None}
    parents = {flow_id: strict_parents(world.get(flow_id)) for flow_id in found}
    behind_a_blocker = downstream_of(blocked, parents)
    order = topological(parents, key=lambda flow_id: f"{found[flow_id].label} {flow_id}")
    marked = [
        Upstream(
            u.flow_id, u.label, u.verdict, u.blocks, root=u.blocks is not None and u.flow_id not in behind_a_blocker
        )
        for u in (found[flow_id] for flow_id in order)
    ]
    return tuple(sorted(marked, key=lambda u: (u.blocks is None, not u.root)))
