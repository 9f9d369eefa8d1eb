"""Graph: the lineage as a picture, laid out: flows in layers from left to right, edges between them."""

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate
from types import MappingProxyType

from definitions.status_aggregation import Aggregation
from flows.drawing.layers import LayeredGraph
from flows.drawing.packing import Rectangle, pack
from instances.rules.flow_status import FlowStatus, judge
from instances.rules.instance_status import statuses_of_instances
from instances.world.facts import Edge, FlowId, World
from instances.world.lineage import children_of, reachable, topological

BOX = 38.0  # the height of a flow's box
GAP = 12.0  # between two boxes of a layer
AISLE = 70.0  # between two layers at least; more where many edges go
APART = 24.0  # between components that no edge joins
_DUMMY = 2.0  # where an edge passes a layer
_LETTER = 7.2  # the width of a letter, at 12 pixels
_SMALL_LETTER = 6.0  # at 9.5 pixels, most of them capitals


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
    """One flow: what its box says, and where the box is; `x` and `y` are of its upper left corner.

    `whole` is the status of its instance, where that has further flows.
    """

    flow_id: FlowId
    label: str
    status: FlowStatus
    layer: int
    x: float
    y: float
    width: float
    whole: FlowStatus | None = None

    @property
    def status_text(self) -> str:
        """What the box says of its status."""
        return _status_text(self.status, self.whole)


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

    def translate(self, x: float, y: float) -> "Graph":
        """Return it with its upper left corner at `x`, `y`; its size stays."""
        nodes = tuple(replace(node, x=node.x + x, y=node.y + y) for node in self.nodes)
        links = tuple(replace(link, points=tuple((a + x, b + y) for a, b in link.points)) for link in self.links)
        return Graph(nodes, links, self.width, self.height)

    @property
    def digest(self) -> str:
        """Hash of what it shows: equal for two graphs of the same flows, statuses and edges."""
        labels = {node.flow_id: node.label for node in self.nodes}
        links = [[labels[link.upstream], labels[link.downstream], link.kind] for link in self.links]
        shown = [[[node.label, node.status_text] for node in self.nodes], links]
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]


def lay_out_lineage(world: World, aggregation_of: Callable[[str], Aggregation], now: dt.datetime) -> Graph:
    """Return the picture of the flows of `world`, each with its status at `now` and that of its instance.

    `aggregation_of` returns the contract of an instance by its name.
    """
    statuses = {flow_id: judge(flow, world, now).status for flow_id, flow in world.items()}
    return lay_out(world, statuses, statuses_of_instances(world, statuses, aggregation_of))


def lay_out(
    world: World, statuses: Mapping[FlowId, FlowStatus], wholes: Mapping[str, FlowStatus] = MappingProxyType({})
) -> Graph:
    """Return where each flow and each edge is drawn; an edge to a flow that is not in `world` is left out.

    `wholes` are the statuses of instances, which are drawn where an instance has several flows.

    What hangs together is drawn in layers, and these pieces are packed on a page. The same flows are drawn in the
    same way, in whatever order they come.
    """
    edges = _read_edges(world)
    components = _find_components(edges)
    flows = Counter(flow.instance for flow in world.values())
    boxes = {
        flow_id: _Box(flow.label, statuses[flow_id], wholes.get(flow.instance) if flows[flow.instance] > 1 else None)
        for flow_id, flow in world.items()
    }
    single = max((boxes[each[0]].width for each in components if len(each) == 1), default=0.0)
    pieces = [
        _lay_out_component({f: edges[f] for f in each}, boxes, single if len(each) == 1 else 0.0) for each in components
    ]
    packing = pack([Rectangle(piece.width, piece.height) for piece in pieces], APART)
    placed = [piece.translate(*corner) for piece, corner in zip(pieces, packing.corners, strict=True)]
    nodes = sorted((node for piece in placed for node in piece.nodes), key=lambda node: (node.layer, node.y, node.x))
    links = {(link.downstream, link.upstream): link for piece in placed for link in piece.links}
    ordered = tuple(links[node.flow_id, upstream] for node in nodes for upstream in edges[node.flow_id])
    return Graph(tuple(nodes), ordered, packing.width, packing.height)


def _find_components(edges: Mapping[FlowId, Mapping[FlowId, EdgeKind]]) -> list[list[FlowId]]:
    """Return the connected components, each in the order of its flows; the first of each decides on theirs."""
    children = children_of(edges)
    place = {flow_id: at for at, flow_id in enumerate(edges)}
    components: list[list[FlowId]] = []
    found: set[FlowId] = set()
    for first in edges:
        if first not in found:
            component = {first} | reachable([first], lambda flow_id: (*edges[flow_id], *children.get(flow_id, ())))
            components.append(sorted(component, key=place.__getitem__))
            found |= component
    return components


def _lay_out_component(
    edges: Mapping[FlowId, Mapping[FlowId, EdgeKind]], boxes: Mapping[FlowId, "_Box"], least: float
) -> Graph:
    """Return one component in layers, each at least `least` wide."""
    graph = LayeredGraph({flow_id: tuple(of) for flow_id, of in edges.items()})
    graph.reduce_crossings()
    middles = graph.assign_coordinates(lambda vertex: _DUMMY if graph.is_dummy(vertex) else BOX, GAP)
    top = min(middles.values(), default=BOX / 2) - BOX / 2
    middle = {vertex: at - top for vertex, at in middles.items()}
    own = [[flow_id for flow_id, at in layer if graph.layer_of[flow_id] == at] for layer in graph.layers]
    widths = [max(least, *(boxes[flow_id].width for flow_id in flow_ids)) for flow_ids in own]
    busy = [sum(len(graph.after[vertex]) for vertex in layer) for layer in graph.layers]
    aisles = [AISLE + min(count, 130) for count in busy[:-1]] + [0.0]
    lefts = list(accumulate((width + aisle for width, aisle in zip(widths, aisles, strict=False)), initial=0.0))

    nodes = tuple(
        Node(f, boxes[f].label, boxes[f].status, at, lefts[at], middle[f, at] - BOX / 2, widths[at], boxes[f].whole)
        for at, flow_ids in enumerate(own)
        for f in flow_ids
    )

    def route(upstream: FlowId, downstream: FlowId) -> tuple[tuple[float, float], ...]:
        first, last = graph.layer_of[upstream], graph.layer_of[downstream]
        passed = [
            (x, middle[upstream, at]) for at in range(first + 1, last) for x in (lefts[at], lefts[at] + widths[at])
        ]
        start = (lefts[first] + widths[first], middle[upstream, first])
        return (start, *passed, (lefts[last], middle[downstream, last]))

    links = tuple(
        Link(upstream, node.flow_id, kind, route(upstream, node.flow_id))
        for node in nodes
        for upstream, kind in edges[node.flow_id].items()
    )
    return Graph(nodes, links, lefts[-1], max(middle.values(), default=-BOX / 2) + BOX / 2)


def _read_edges(world: World) -> dict[FlowId, dict[FlowId, EdgeKind]]:
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


@dataclass(frozen=True)
class _Box:
    """What the box of a flow says."""

    label: str
    status: FlowStatus
    whole: FlowStatus | None

    @property
    def width(self) -> float:
        small = len(_status_text(self.status, self.whole)) * _SMALL_LETTER
        return max(110.0, len(self.label) * _LETTER + 24, small + 24)


def _status_text(status: FlowStatus, whole: FlowStatus | None) -> str:
    return f"{status}" if whole is None else f"{status}, the instance {whole}"
