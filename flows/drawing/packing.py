"""Packing: rectangles placed on a page, none over another, by rectangle-packer.

The page is the smallest one of its shape that they were found to fit on. The same rectangles always give the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import rpack

ASPECT = 1.6  # of the page: 16:10
_GRID = 12  # a place is a multiple of it: with few sizes that differ the packer is quick, and what it places is in line
_GROWTH = 1.05  # of a page that was too small


@dataclass(frozen=True)
class Rectangle:
    """The size of one rectangle."""

    width: float
    height: float


@dataclass(frozen=True)
class Packing:
    """The upper left corner of each rectangle, in the order in which they were given, and the size of all together."""

    corners: tuple[tuple[float, float], ...]
    width: float
    height: float


def pack(rectangles: Sequence[Rectangle], gap: float) -> Packing:
    """Return a packing of the rectangles, at least `gap` apart."""
    sizes = [(ceil((each.width + gap) / _GRID), ceil((each.height + gap) / _GRID)) for each in rectangles]
    corners = [(float(x * _GRID), float(y * _GRID)) for x, y in _place(sizes)]
    right = max((x + each.width for (x, _), each in zip(corners, rectangles, strict=True)), default=0.0)
    bottom = max((y + each.height for (_, y), each in zip(corners, rectangles, strict=True)), default=0.0)
    return Packing(tuple(corners), right, bottom)


def _place(sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    area = sum(width * height for width, height in sizes)
    least = max((max(width / ASPECT, height) for width, height in sizes), default=0.0)
    page = max(sqrt(area / ASPECT), least)  # its height
    while True:
        try:
            corners: list[tuple[int, int]] = rpack.pack(sizes, max_width=ceil(page * ASPECT), max_height=ceil(page))
            return corners
        except rpack.PackingImpossibleError:
            page *= _GROWTH
