"""The picture of the lineage: no overlap, every edge to the right, the same one each time."""

import random
from itertools import combinations, pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from definitions.contract import FlowKind
from flows.drawing.layers import LayeredGraph
from flows.drawing.lineage_layout import BOX, EdgeKind, Graph, Node, lay_out
from instances.rules.flow_status import FlowStatus
from instances.world.facts import Edge, FlowFacts, FlowId, World
from tests.instances.sample_world import DAY


def flow_id(number: int) -> FlowId:
    return FlowId(UUID(int=number + 1))


def lay_out_flows(parents: dict[int, tuple[int, ...]]) -> Graph:
    world = world_of(parents)
    return lay_out(world, dict.fromkeys(world, FlowStatus.READY))


def world_of(parents: dict[int, tuple[int, ...]]) -> World:
    return {
        flow_id(n): FlowFacts(
            flow_id=flow_id(n),
            instance=f"i{n}",
            kind=FlowKind.REFRESH,
            config_hash="",
            edges=tuple(Edge(flow_id(parent)) for parent in of),
        )
        for n, of in parents.items()
    }


@st.composite
def graphs(draw: st.DrawFn) -> dict[int, tuple[int, ...]]:
    """Draw parents for up to 25 flows; a flow has only flows of lower numbers as parents."""
    size = draw(st.integers(0, 25))
    return {n: tuple(draw(st.sets(st.integers(0, n - 1), max_size=4))) if n else () for n in range(size)}


@settings(deadline=None)
@given(graphs())
def test_boxes_do_not_overlap_and_lie_inside(parents: dict[int, tuple[int, ...]]) -> None:
    graph = lay_out_flows(parents)
    assert len(graph.nodes) == len(parents)
    for node in graph.nodes:
        assert 0 <= node.x <= node.x + node.width <= graph.width
        assert -1e-6 <= node.y <= node.y + BOX <= graph.height + 1e-6
    for a, b in combinations(graph.nodes, 2):
        assert a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + BOX <= b.y or b.y + BOX <= a.y


@settings(deadline=None)
@given(graphs())
def test_every_edge_goes_right_and_through_no_box(parents: dict[int, tuple[int, ...]]) -> None:
    graph = lay_out_flows(parents)
    nodes = {node.flow_id: node for node in graph.nodes}
    assert {(link.upstream, link.downstream) for link in graph.links} == {
        (flow_id(parent), flow_id(n)) for n, of in parents.items() for parent in of
    }
    for link in graph.links:
        start, end = nodes[link.upstream], nodes[link.downstream]
        assert link.points[0] == pytest.approx((start.x + start.width, start.y + BOX / 2))
        assert link.points[-1] == pytest.approx((end.x, end.y + BOX / 2))
        assert all(a[0] < b[0] for a, b in pairwise(link.points))
        # Across a column an edge is level; between columns there is no box.
        for (x, y), (x_after, y_after) in [*pairwise(link.points)][1:-1:2]:
            assert y == y_after
            assert not any(hits(node, x, x_after, y) for node in graph.nodes)


def hits(node: Node, left: float, right: float, y: float) -> bool:
    return node.x < right and left < node.x + node.width and node.y < y < node.y + BOX


@settings(deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_in_which_the_flows_come_changes_nothing(
    parents: dict[int, tuple[int, ...]], shuffle: random.Random
) -> None:
    shuffled = list(parents.items())
    shuffle.shuffle(shuffled)
    assert lay_out_flows(dict(shuffled)) == lay_out_flows(parents)


def test_a_flow_stands_as_far_right_as_its_longest_way_up() -> None:
    graph = lay_out_flows({0: (), 1: (0,), 2: (1,), 3: (0, 2), 4: ()})
    assert {node.label: node.layer for node in graph.nodes} == {
        "i0.refresh": 0, "i4.refresh": 0, "i1.refresh": 1, "i2.refresh": 2, "i3.refresh": 3,
    }  # fmt: skip


def test_edges_of_one_flow_are_one_line_until_they_part() -> None:
    graph = lay_out_flows({0: (), 1: (0,), 2: (1,), 3: (0, 2), 4: (0, 2)})
    first, second = (link.points for link in graph.links if link.upstream == flow_id(0) and len(link.points) > 2)
    assert first[:-1] == second[:-1]
    assert first[-1] != second[-1]


def test_ordering_takes_crossings_away() -> None:
    graph = LayeredGraph(dict.fromkeys(range(10), ()) | {n + 10: (9 - n,) for n in range(10)})
    assert graph.count_crossings() == 45
    graph.reduce_crossings()
    assert graph.count_crossings() == 0


def test_several_hundred_flows_are_laid_out_in_a_moment_with_few_crossings() -> None:
    some = random.Random(7)
    parents = {n: () if n < 60 else tuple({some.randrange(max(0, n - 90), n) for _ in range(2)}) for n in range(600)}
    graph = LayeredGraph(parents)
    before = graph.count_crossings()
    graph.reduce_crossings()
    assert graph.count_crossings() < before / 2


def test_the_kind_of_an_edge_is_that_of_the_strictest_between_two_flows() -> None:
    world = dict(world_of({0: (), 1: ()}))
    up = flow_id(0)
    edges = {
        EdgeKind.OPTIONAL: (Edge(up, required=False),),
        EdgeKind.TOLERANT: (Edge(up, required=False), Edge(up, role="b", max_age=2 * DAY)),
        EdgeKind.STRICT: (Edge(up, max_age=2 * DAY), Edge(up, role="b"), Edge(up, role="c", required=False)),
    }
    for kind, own in edges.items():
        world[flow_id(1)] = FlowFacts(flow_id(1), "i1", FlowKind.REFRESH, "", edges=own)
        (link,) = lay_out(world, dict.fromkeys(world, FlowStatus.STALE)).links
        assert link.kind is kind


def test_the_digest_changes_with_the_statuses_and_with_the_edges() -> None:
    world = world_of({0: (), 1: (0,)})
    ready = dict.fromkeys(world, FlowStatus.READY)
    digests = {
        lay_out(world, ready).digest,
        lay_out(world, ready | {flow_id(1): FlowStatus.STALE}).digest,
        lay_out_flows({0: (), 1: ()}).digest,
    }
    assert len(digests) == 3
    assert lay_out(dict(reversed(list(world.items()))), ready).digest in digests


@pytest.mark.parametrize(
    "parents",
    [
        dict.fromkeys(range(280), ()),  # single flows
        {n: () if n % 4 else (n - 1,) * (n > 0) for n in range(280)},  # pairs and single ones
        {n: () if n % 40 == 0 else (n - n % 40,) for n in range(280)},  # seven sources with many readers
        {**dict.fromkeys(range(272), ()), **{n: (n - 1,) for n in range(272, 280)}},  # a chain beside many
    ],
)
def test_a_lineage_that_does_not_hang_together_is_as_wide_as_a_page(parents: dict[int, tuple[int, ...]]) -> None:
    graph = lay_out_flows(parents)
    assert 1.2 < graph.width / graph.height < 2.2, (graph.width, graph.height)
    used = sum(node.width * BOX for node in graph.nodes)
    assert used > 0.2 * graph.width * graph.height


def test_no_flows_are_an_empty_picture() -> None:
    assert lay_out_flows({}) == Graph((), (), 0, 0)
