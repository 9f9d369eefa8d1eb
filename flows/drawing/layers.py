"""Layers: a graph without cycles drawn in layers, with few crossings and no overlap.

After Sugiyama: layers by the longest path, a dummy vertex where an edge passes a layer, an order within each layer by
barycentres, and then the coordinates nearest to those of the neighbours (isotonic regression). All edges of one node
share its dummy vertices: what most flows read passes a layer once. The same graph always gives the same drawing.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)
_ROUNDS = 8  # of ordering and of moving; more change little


def assign_layers(parents: Mapping[N, Iterable[N]]) -> dict[N, int]:
    """Return the layer of each node: one more than the greatest of its parents'; `parents` has them upstream first."""
    layers: dict[N, int] = {}
    for node, of in parents.items():
        layers[node] = 1 + max((layers[parent] for parent in of if parent in layers), default=-1)
    return layers


class LayeredGraph(Generic[N]):
    """The vertices of each layer in their order: (node, layer), a dummy where it is not the node's own layer."""

    def __init__(self, parents: Mapping[N, Iterable[N]]) -> None:
        self.layer_of = assign_layers(parents)
        self.before: dict[tuple[N, int], list[tuple[N, int]]] = {}
        self.after: dict[tuple[N, int], list[tuple[N, int]]] = {}
        self.layers: list[list[tuple[N, int]]] = [[] for _ in range(1 + max(self.layer_of.values(), default=-1))]
        for node, layer in self.layer_of.items():
            self._add_vertex((node, layer))
        for node, of in parents.items():
            for parent in of:
                self._add_edge(parent, node)

    def is_dummy(self, vertex: tuple[N, int]) -> bool:
        """Return whether only edges pass here."""
        return self.layer_of[vertex[0]] != vertex[1]

    def _add_vertex(self, vertex: tuple[N, int]) -> None:
        self.layers[vertex[1]].append(vertex)
        self.before[vertex], self.after[vertex] = [], []

    def _add_edge(self, parent: N, node: N) -> None:
        """Join two nodes, by dummy vertices in the layers between them."""
        for layer in range(self.layer_of[parent] + 1, self.layer_of[node] + 1):
            start = (parent, layer - 1)
            end = (node if layer == self.layer_of[node] else parent, layer)
            if end not in self.before:
                self._add_vertex(end)
            if end not in self.after[start]:
                self.after[start].append(end)
                self.before[end].append(start)

    def reduce_crossings(self) -> None:
        """Order the vertices of each layer by where their neighbours are; of all orders seen the best one stays."""
        best, fewest = [list(layer) for layer in self.layers], self.count_crossings()
        for _ in range(_ROUNDS):
            for neighbours, layers in ((self.before, self.layers), (self.after, self.layers[::-1])):
                for fixed, layer in pairwise(layers):
                    _sort_by_barycentre(layer, fixed, neighbours)
            if (count := self.count_crossings()) < fewest:
                best, fewest = [list(layer) for layer in self.layers], count
        self.layers = best

    def count_crossings(self) -> int:
        """Return how many pairs of edges cross between neighbouring layers."""
        return sum(_count_crossings(first, second, self.after) for first, second in pairwise(self.layers))

    def assign_coordinates(self, size: Callable[[tuple[N, int]], float], gap: float) -> dict[tuple[N, int], float]:
        """Return the middle of each vertex along its layer: near its neighbours', in order, `gap` apart."""
        middle: dict[tuple[N, int], float] = {}
        offsets = [_stack([size(vertex) for vertex in layer], gap) for layer in self.layers]
        order = list(zip(self.layers, offsets, strict=True))
        for layer, steps in order:
            middle |= {vertex: step - steps[-1] / 2 for vertex, step in zip(layer, steps, strict=True)}
        for neighbours, layers in [(self.before, order), (self.after, order[::-1])] * _ROUNDS:
            for layer, steps in layers:
                wishes = [_average([middle[near] for near in neighbours[vertex]], middle[vertex]) for vertex in layer]
                free = _fit_rising([wish - step for wish, step in zip(wishes, steps, strict=True)])
                middle |= {vertex: at + step for vertex, at, step in zip(layer, free, steps, strict=True)}
        return middle


def _sort_by_barycentre(
    layer: list[tuple[N, int]],
    fixed: Sequence[tuple[N, int]],
    neighbours: Mapping[tuple[N, int], Iterable[tuple[N, int]]],
) -> None:
    place = {vertex: (index + 0.5) / len(fixed) for index, vertex in enumerate(fixed)}
    own = {vertex: (index + 0.5) / len(layer) for index, vertex in enumerate(layer)}
    layer.sort(key=lambda vertex: _average([place[near] for near in neighbours[vertex]], own[vertex]))


def _count_crossings(
    first: Sequence[tuple[N, int]],
    second: Sequence[tuple[N, int]],
    after: Mapping[tuple[N, int], Iterable[tuple[N, int]]],
) -> int:
    place = {vertex: index for index, vertex in enumerate(second)}
    seen: list[int] = []
    count = 0
    for vertex in first:
        ends = sorted(place[near] for near in after[vertex])
        count += sum(len(seen) - bisect_right(seen, end) for end in ends)
        for end in ends:
            insort(seen, end)
    return count


def _stack(sizes: Sequence[float], gap: float) -> list[float]:
    """Return how far each middle is from the first one when all stand as close as may be."""
    return list(accumulate((a / 2 + gap + b / 2 for a, b in pairwise(sizes)), initial=0.0))


def _average(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _fit_rising(wishes: Sequence[float]) -> list[float]:
    """Return the sequence that never falls and is nearest to `wishes` in squares: pool adjacent violators."""
    pools: list[tuple[float, int]] = []
    for wish in wishes:
        mean, count = wish, 1
        while pools and pools[-1][0] > mean:
            other, more = pools.pop()
            mean, count = (other * more + mean * count) / (more + count), more + count
        pools.append((mean, count))
    return [mean for mean, count in pools for _ in range(count)]
