"""Lineage: cycles, order and closure of the graph of flows.

All walks are loops with a visited set: chains may be thousands long, and a cycle must not hang.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from heapq import heapify, heappop, heappush
from typing import TypeVar

from instances.world.facts import FlowFacts, FlowId, World

N = TypeVar("N", bound=Hashable)


def find_cycle(edges: Iterable[tuple[str, str]]) -> tuple[str, ...] | None:
    """Return one cycle of the (upstream, downstream) pairs, its first node again at the end; None if there is none.

    The same edges give the same cycle, in whatever order they come; it begins at its smallest name.
    """
    children: dict[str, set[str]] = {}
    for upstream, downstream in edges:
        children.setdefault(upstream, set()).add(downstream)
        children.setdefault(downstream, set())
    done: set[str] = set()
    for start in sorted(children):
        if start not in done and (cycle := _cycle_from(start, children, done)):
            pivot = cycle.index(min(cycle))
            rotated = cycle[pivot:] + cycle[:pivot]
            return (*rotated, rotated[0])
    return None


def _cycle_from(start: str, children: Mapping[str, set[str]], done: set[str]) -> list[str] | None:
    path = {start: None}  # an ordered set: the nodes from the start to where the walk is
    stack = [iter(sorted(children[start]))]
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            done.add(path.popitem()[0])
        elif node in path:
            names = list(path)
            return names[names.index(node) :]
        elif node not in done:
            path[node] = None
            stack.append(iter(sorted(children[node])))
    return None


def topological(parents: Mapping[N, Iterable[N]], key: Callable[[N], str]) -> tuple[N, ...]:
    """Return the keys of `parents`, every node after its parents, the smallest `key` first among those free.

    Parents that are not keys themselves don't count. In a cycle the node with the smallest key goes first.
    """
    waits = {node: {p for p in of if p in parents and p != node} for node, of in parents.items()}
    children = children_of(waits)
    by_rank = sorted(waits, key=key)
    rank = {node: place for place, node in enumerate(by_rank)}
    open_parents = {node: len(of) for node, of in waits.items()}
    free = [rank[node] for node, count in open_parents.items() if count == 0]
    heapify(free)
    fallback = iter(by_rank)
    ordered: dict[N, None] = {}
    while len(ordered) < len(waits):
        if not free:  # only cycles are left
            free.append(next(rank[node] for node in fallback if node not in ordered))
        node = by_rank[heappop(free)]
        if node in ordered:
            continue
        ordered[node] = None
        for child in children.get(node, ()):
            open_parents[child] -= 1
            if open_parents[child] == 0 and child not in ordered:
                heappush(free, rank[child])
    return tuple(ordered)


def children_of(parents: Mapping[N, Iterable[N]]) -> dict[N, list[N]]:
    """Return the same graph with its edges the other way round."""
    children: dict[N, list[N]] = {}
    for node, of in parents.items():
        for parent in of:
            children.setdefault(parent, []).append(node)
    return children


def reachable(starts: Iterable[N], neighbours: Callable[[N], Iterable[N]]) -> set[N]:
    """Return the nodes that one or more steps lead to; a start is among them only if a cycle leads back."""
    found: set[N] = set()
    stack = list(starts)
    while stack:
        for node in neighbours(stack.pop()):
            if node not in found:
                found.add(node)
                stack.append(node)
    return found


def strict_parents(flow: FlowFacts | None) -> tuple[FlowId, ...]:
    """Return the upstream flows of the strict edges, each once; of an unknown flow none are known."""
    if flow is None:
        return ()
    return tuple(dict.fromkeys(edge.upstream for edge in flow.edges if edge.strict))


def strict_closure(world: World, starts: Iterable[FlowId]) -> set[FlowId]:
    """Return all flows that strict edges lead up to from `starts`, also those that are not in `world`."""
    return reachable(starts, lambda flow_id: strict_parents(world.get(flow_id)))


def downstream_of(flow_ids: Collection[FlowId], parents: Mapping[FlowId, Iterable[FlowId]]) -> set[FlowId]:
    """Return the keys of `parents` that have one of `flow_ids` among their ancestors."""
    children = children_of(parents)
    return reachable(flow_ids, lambda flow_id: children.get(flow_id, ()))
