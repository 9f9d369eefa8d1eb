"""Graph: the lineage as a picture, laid out: flows in layers from left to right, edges between them."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate

from flows.drawing.layers import Columns
from flows.drawing.packing import Rectangle, pack
from instances.rules.status import FlowStatus, judge
from instances.world.facts import Edge, FlowId, World
from instances.world.lineage import topological

BOX = 38.0  # the height of a flow's box
GAP = 12.0  # between two boxes of a layer
AISLE = 70.0  # between two layers at least; more where many edges go
APART = 24.0  # what does not hang together
_WAYPOINT = 2.0
_LETTER = 7.2  # the width of a letter, at 12 pixels


class EdgeKind(StrEnum):
    """How much an edge asks of its upstream flow."""

    STRICT = "strict"
    TOLERANT = "tolerant"
    OPTIONAL = "optional"

    @classmethod
    def of(cls, edge: Edge) -> "EdgeKind":
        """Return the kind of an edge."""
        if edge.strict:
            return cls.STRICT
        return cls.TOLERANT if edge.tolerant else cls.OPTIONAL


@dataclass(frozen=True)
class Node:
    """One flow: what its box says, and where the box is; `x` and `y` are of its upper left corner."""

    flow_id: FlowId
    label: str
    status: FlowStatus
    layer: int
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Link:
    """One edge: from the right side of a box to the left side of another, by `points`, each further right."""

    upstream: FlowId
    downstream: FlowId
    kind: EdgeKind
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Graph:
    """A picture of the lineage, with its upper left corner at 0, 0; nodes by layer, then from top to bottom."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    width: float
    height: float

    def moved(self, x: float, y: float) -> "Graph":
        """Return it with its upper left corner at `x`, `y`; its size stays."""
        nodes = tuple(replace(node, x=node.x + x, y=node.y + y) for node in self.nodes)
        links = tuple(replace(link, points=tuple((a + x, b + y) for a, b in link.points)) for link in self.links)
        return Graph(nodes, links, self.width, self.height)

    @property
    def digest(self) -> str:
        """Hash of what it shows: equal for two graphs of the same flows, statuses and edges."""
        labels = {node.flow_id: node.label for node in self.nodes}
        links = [[labels[link.upstream], labels[link.downstream], link.kind] for link in self.links]
        shown = [[[node.label, node.status] for node in self.nodes], links]
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]


def lineage_graph(world: World, now: dt.datetime) -> Graph:
    """Return the picture of the flows of `world`, each with its status at `now`."""
    return layout(world, {flow_id: judge(flow, world, now).status for flow_id, flow in world.items()})


def layout(world: World, statuses: Mapping[FlowId, FlowStatus]) -> Graph:
    """Return where each flow and each edge is drawn; an edge to a flow that is not in `world` is left out.

    What hangs together is drawn in layers, one such picture beside the other, and single flows in a block:
    about as wide as a page. The same flows are drawn in the same way, in whatever order they come.
    """
    edges = _edges(world)
    groups = _groups(edges)
    cell = max((_width(world[group[0]].label) for group in groups if len(group) == 1), default=0.0)
    pieces = [
        _layered({f: edges[f] for f in group}, world, statuses, cell if len(group) == 1 else 0.0) for group in groups
    ]
    packing = pack([Rectangle(piece.width, piece.height) for piece in pieces], APART)
    moved = [piece.moved(*place) for piece, place in zip(pieces, packing.corners, strict=True)]
    nodes = sorted((node for piece in moved for node in piece.nodes), key=lambda node: (node.layer, node.y, node.x))
    links = {(link.downstream, link.upstream): link for piece in moved for link in piece.links}
    ordered = tuple(links[node.flow_id, upstream] for node in nodes for upstream in edges[node.flow_id])
    return Graph(tuple(nodes), ordered, packing.width, packing.height)


def _groups(edges: Mapping[FlowId, Mapping[FlowId, EdgeKind]]) -> list[list[FlowId]]:
    """Return the flows that hang together, each group in their order; the first of each decides on the groups'."""
    neighbours: dict[FlowId, set[FlowId]] = {flow_id: set(of) for flow_id, of in edges.items()}
    for flow_id, of in edges.items():
        for upstream in of:
            neighbours[upstream].add(flow_id)
    group_of: dict[FlowId, FlowId] = {}
    for first in edges:
        reached = [] if first in group_of else [first]
        while reached:
            flow_id = reached.pop()
            if flow_id not in group_of:
                group_of[flow_id] = first
                reached.extend(neighbours[flow_id])
    groups: dict[FlowId, list[FlowId]] = {}
    for flow_id in edges:
        groups.setdefault(group_of[flow_id], []).append(flow_id)
    return list(groups.values())


def _layered(
    edges: Mapping[FlowId, Mapping[FlowId, EdgeKind]],
    world: World,
    statuses: Mapping[FlowId, FlowStatus],
    least: float,
) -> Graph:
    """Return flows that hang together, in layers, each at least `least` wide."""
    columns = Columns({flow_id: tuple(of) for flow_id, of in edges.items()})
    columns.untangle()
    middles = columns.heights(lambda slot: BOX if columns.layer[slot[0]] == slot[1] else _WAYPOINT, GAP)
    top = min(middles.values(), default=BOX / 2) - BOX / 2
    middle = {slot: at - top for slot, at in middles.items()}
    widths = [
        max(least, *(_width(world[f].label) for f, at in slots if columns.layer[f] == at)) for slots in columns.slots
    ]
    busy = [sum(len(columns.right[slot]) for slot in slots) for slots in columns.slots]
    aisles = [AISLE + min(count, 130) for count in busy[:-1]] + [0.0]
    lefts = list(accumulate((width + aisle for width, aisle in zip(widths, aisles, strict=False)), initial=0.0))

    nodes = tuple(
        Node(f, world[f].label, statuses[f], at, lefts[at], middle[f, at] - BOX / 2, widths[at])
        for slots in columns.slots
        for f, at in slots
        if columns.layer[f] == at
    )

    def points(upstream: FlowId, downstream: FlowId) -> tuple[tuple[float, float], ...]:
        first, last = columns.layer[upstream], columns.layer[downstream]
        passed = [
            (x, middle[upstream, at]) for at in range(first + 1, last) for x in (lefts[at], lefts[at] + widths[at])
        ]
        start = (lefts[first] + widths[first], middle[upstream, first])
        return (start, *passed, (lefts[last], middle[downstream, last]))

    links = tuple(
        Link(upstream, node.flow_id, kind, points(upstream, node.flow_id))
        for node in nodes
        for upstream, kind in edges[node.flow_id].items()
    )
    return Graph(nodes, links, lefts[-1], max(middle.values(), default=-BOX / 2) + BOX / 2)


def _edges(world: World) -> dict[FlowId, dict[FlowId, EdgeKind]]:
    """Return the kind of the edge from each upstream flow, the flows in order: of several edges the strictest."""
    rank = list(EdgeKind)
    kinds: dict[FlowId, dict[FlowId, EdgeKind]] = {}
    for flow_id, flow in world.items():
        mine = kinds[flow_id] = dict[FlowId, EdgeKind]()
        for edge in flow.edges:
            if edge.upstream in world and edge.upstream != flow_id:
                known = mine.get(edge.upstream, EdgeKind.OPTIONAL)
                mine[edge.upstream] = min(known, EdgeKind.of(edge), key=rank.index)
    order = topological(kinds, key=lambda flow_id: f"{world[flow_id].label} {flow_id}")
    place = {flow_id: at for at, flow_id in enumerate(order)}
    # Bootstrap lets no cycle come to be; an edge against the order could not go right.
    return {
        flow_id: {
            up: kinds[flow_id][up] for up in sorted(kinds[flow_id], key=place.__getitem__) if place[up] < place[flow_id]
        }
        for flow_id in order
    }


def _width(label: str) -> float:
    return max(110.0, len(label) * _LETTER + 24)
