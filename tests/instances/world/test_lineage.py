from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.world.lineage import children_of, find_cycle, reachable, strict_closure, strict_parents, topological
from tests.instances.sample_world import flow, flow_id, optional, strict, tolerant, world

NODES = "abcdefgh"
graphs = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=20)


def parents_of(edges: list[tuple[str, str]]) -> dict[str, set[str]]:
    return {node: {up for up, down in edges if down == node} for node in NODES}


def brute_force_ancestors(parents: Mapping[str, set[str]], node: str) -> set[str]:
    found: set[str] = set()
    for _ in parents:
        found |= {p for n in found | {node} for p in parents[n]}
    return found


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [
        ([], None),
        ([("a", "b"), ("b", "c"), ("a", "c")], None),
        ([("a", "a")], ("a", "a")),
        ([("b", "c"), ("c", "b"), ("a", "b")], ("b", "c", "b")),
        ([("c", "a"), ("a", "b"), ("b", "c")], ("a", "b", "c", "a")),
        ([("x", "y"), ("y", "x"), ("a", "b"), ("b", "a")], ("a", "b", "a")),
    ],
)
def test_a_cycle_is_found_edge_by_edge(edges: list[tuple[str, str]], cycle: tuple[str, ...] | None) -> None:
    assert find_cycle(edges) == cycle
    assert find_cycle(reversed(edges)) == cycle


@given(graphs)
def test_a_cycle_is_found_if_and_only_if_there_is_one(edges: list[tuple[str, str]]) -> None:
    parents = parents_of(edges)
    cyclic = any(node in brute_force_ancestors(parents, node) for node in NODES)
    cycle = find_cycle(edges)
    assert (cycle is not None) == cyclic
    if cycle:
        assert cycle[0] == cycle[-1] == min(cycle)
        assert set(pairwise(cycle)) <= set(edges)
        assert len(set(cycle)) == len(cycle) - 1


@given(graphs)
def test_the_order_puts_parents_first_and_is_the_same_each_time(edges: list[tuple[str, str]]) -> None:
    parents = parents_of(edges)
    ordered = topological(parents, key=str)
    assert sorted(ordered) == sorted(NODES)
    assert ordered == topological(dict(reversed(parents.items())), key=str)
    if find_cycle(edges) is None:
        assert all(ordered.index(up) < ordered.index(down) for up, down in edges)


def test_among_the_free_ones_the_smallest_goes_first() -> None:
    parents: dict[str, set[str]] = {"d": set(), "b": {"d"}, "a": {"c"}, "c": set()}
    assert topological(parents, key=str) == ("c", "a", "d", "b")


def test_parents_outside_the_graph_do_not_count() -> None:
    assert topological({"b": {"elsewhere"}, "a": {"b"}}, key=str) == ("b", "a")


def test_a_cycle_does_not_hang_the_order() -> None:
    assert topological({"b": {"a"}, "a": {"b"}, "c": {"a"}}, key=str) == ("a", "b", "c")


def test_children_are_the_edges_the_other_way_round() -> None:
    assert children_of({"c": ["a", "b"], "d": ["a"]}) == {"a": ["c", "d"], "b": ["c"]}


@given(graphs, st.sampled_from(NODES))
def test_reachable_is_all_that_steps_lead_to(edges: list[tuple[str, str]], start: str) -> None:
    parents = parents_of(edges)
    assert reachable([start], parents.__getitem__) == brute_force_ancestors(parents, start)


def test_a_chain_of_thousands_is_no_trouble() -> None:
    chain = [(f"{n:05}", f"{n + 1:05}") for n in range(20_000)]
    assert find_cycle(chain) is None
    found = find_cycle([*chain, ("20000", "00000")])
    assert found is not None
    assert len(found) == 20_002
    parents = {down: [up] for up, down in chain}
    assert len(topological(parents, key=str)) == 20_000
    assert len(reachable(["20000"], lambda node: parents.get(node, ()))) == 20_000


def test_strict_parents_leave_out_tolerant_and_optional_edges() -> None:
    edges = [strict("a"), strict("a", "universe"), tolerant("b"), optional("c"), strict("d")]
    assert strict_parents(flow("signal", edges=edges)) == (flow_id("a"), flow_id("d"))
    assert strict_parents(None) == ()


def test_the_strict_closure_stops_at_tolerant_and_optional_edges() -> None:
    facts = world(
        flow("top", edges=[strict("middle"), tolerant("model")]),
        flow("middle", edges=[strict("bottom"), strict("not-in-the-world")]),
        flow("model", edges=[strict("behind-the-model")]),
        flow("bottom", edges=[optional("extra")]),
    )
    closure = strict_closure(facts, [flow_id("top")])
    assert closure == {flow_id("middle"), flow_id("bottom"), flow_id("not-in-the-world")}
