"""Layers: a graph without cycles drawn in columns, with few crossings and no overlap.

After Sugiyama: longest-path layering, waypoints where an edge passes a column, ordering by barycentres, and then the
heights nearest to those of the neighbours (isotonic regression). The same graph always gives the same drawing.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)
_ROUNDS = 8  # of ordering and of moving; more change little


def longest_path(parents: Mapping[N, Iterable[N]]) -> dict[N, int]:
    """Return the layer of each node: one more than the greatest of its parents'; `parents` has them upstream first."""
    layers: dict[N, int] = {}
    for node, of in parents.items():
        layers[node] = 1 + max((layers[parent] for parent in of if parent in layers), default=-1)
    return layers


class Columns(Generic[N]):
    """The slots of each column from top to bottom: (node, column), a waypoint where it is not the node's own column.

    All edges of one parent share its waypoints.
    """

    def __init__(self, parents: Mapping[N, Iterable[N]]) -> None:
        self.layer = longest_path(parents)
        self.left: dict[tuple[N, int], list[tuple[N, int]]] = {}
        self.right: dict[tuple[N, int], list[tuple[N, int]]] = {}
        self.slots: list[list[tuple[N, int]]] = [[] for _ in range(1 + max(self.layer.values(), default=-1))]
        for node, column in self.layer.items():
            self._add((node, column))
        for node, of in parents.items():
            for parent in of:
                self._lead(parent, node)

    def _add(self, slot: tuple[N, int]) -> None:
        self.slots[slot[1]].append(slot)
        self.left[slot], self.right[slot] = [], []

    def _lead(self, parent: N, node: N) -> None:
        """Join two nodes, by waypoints in the columns between them."""
        for column in range(self.layer[parent] + 1, self.layer[node] + 1):
            before = (parent, column - 1)
            after = (node if column == self.layer[node] else parent, column)
            if after not in self.left:
                self._add(after)
            if after not in self.right[before]:
                self.right[before].append(after)
                self.left[after].append(before)

    def untangle(self) -> None:
        """Order the slots of each column by where their neighbours are; of all orders seen the best one stays."""
        best, fewest = [list(column) for column in self.slots], self.crossings()
        for _ in range(_ROUNDS):
            for towards, columns in ((self.left, self.slots), (self.right, self.slots[::-1])):
                for fixed, column in pairwise(columns):
                    _sort(column, fixed, towards)
            if (count := self.crossings()) < fewest:
                best, fewest = [list(column) for column in self.slots], count
        self.slots = best

    def crossings(self) -> int:
        """Count the pairs of edges that cross between neighbouring columns."""
        return sum(_crossings(before, after, self.right) for before, after in pairwise(self.slots))

    def heights(self, size: Callable[[tuple[N, int]], float], gap: float) -> dict[tuple[N, int], float]:
        """Return the middle of each slot: near those of its neighbours, in order, `gap` apart; the least is any."""
        middle: dict[tuple[N, int], float] = {}
        offsets = [_offsets([size(slot) for slot in column], gap) for column in self.slots]
        for column, steps in zip(self.slots, offsets, strict=True):
            middle |= {slot: step - steps[-1] / 2 for slot, step in zip(column, steps, strict=True)}
        order = list(zip(self.slots, offsets, strict=True))
        for towards, columns in [(self.left, order), (self.right, order[::-1])] * _ROUNDS:
            for column, steps in columns:
                wishes = [_mean([middle[near] for near in towards[slot]], middle[slot]) for slot in column]
                free = _rising([wish - step for wish, step in zip(wishes, steps, strict=True)])
                middle |= {slot: at + step for slot, at, step in zip(column, free, steps, strict=True)}
        return middle


def _sort(
    column: list[tuple[N, int]],
    fixed: Sequence[tuple[N, int]],
    towards: Mapping[tuple[N, int], Iterable[tuple[N, int]]],
) -> None:
    place = {slot: (index + 0.5) / len(fixed) for index, slot in enumerate(fixed)}
    own = {slot: (index + 0.5) / len(column) for index, slot in enumerate(column)}
    column.sort(key=lambda slot: _mean([place[near] for near in towards[slot]], own[slot]))


def _crossings(
    before: Sequence[tuple[N, int]],
    after: Sequence[tuple[N, int]],
    right: Mapping[tuple[N, int], Iterable[tuple[N, int]]],
) -> int:
    place = {slot: index for index, slot in enumerate(after)}
    seen: list[int] = []
    count = 0
    for slot in before:
        ends = sorted(place[near] for near in right[slot])
        count += sum(len(seen) - bisect_right(seen, end) for end in ends)
        for end in ends:
            insort(seen, end)
    return count


def _offsets(sizes: Sequence[float], gap: float) -> list[float]:
    """Return how far each middle is from the first one when all stand as close as may be."""
    return list(accumulate((a / 2 + gap + b / 2 for a, b in pairwise(sizes)), initial=0.0))


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _rising(wishes: Sequence[float]) -> list[float]:
    """Return the sequence that never falls and is nearest to `wishes` in squares: pool adjacent violators."""
    pools: list[tuple[float, int]] = []
    for wish in wishes:
        mean, count = wish, 1
        while pools and pools[-1][0] > mean:
            other, more = pools.pop()
            mean, count = (other * more + mean * count) / (more + count), more + count
        pools.append((mean, count))
    return [mean for mean, count in pools for _ in range(count)]
