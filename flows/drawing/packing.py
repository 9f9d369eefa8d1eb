"""Packing: boxes placed on a sheet, none over another, so that the sheet is about as wide as a page.

In shelves: the highest and then the widest boxes first, each shelf as high as its first box; lower ones stand
in columns under one another. The same boxes always give the same sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, sqrt

ASPECT = 1.6  # of the sheet: 16:10
_FACTORS = [0.5 + step / 20 for step in range(41)]  # of the width that would do if nothing were lost


@dataclass(frozen=True)
class Box:
    """The size of one box."""

    width: float
    height: float


@dataclass(frozen=True)
class Sheet:
    """Where each box is, by its upper left corner, in the order in which they were given."""

    places: tuple[tuple[float, float], ...]
    width: float
    height: float

    @property
    def distance(self) -> float:
        """How far it is from the page that it should be, 0 at best."""
        return abs(log(self.width / self.height / ASPECT)) if self.width and self.height else inf


def packed(boxes: Sequence[Box], gap: float) -> Sheet:
    """Return the boxes on a sheet, `gap` apart."""
    widest = max((box.width for box in boxes), default=0.0)
    area = sum((box.width + gap) * (box.height + gap) for box in boxes)
    widths = sorted({max(widest, factor * sqrt(area * ASPECT)) for factor in _FACTORS})
    return min((_shelves(boxes, width, gap) for width in widths), key=lambda sheet: sheet.distance)


def _shelves(boxes: Sequence[Box], width: float, gap: float) -> Sheet:
    places: dict[int, tuple[float, float]] = {}
    top, shelf = 0.0, 0.0  # of the shelf; its height
    left, column, filled = 0.0, 0.0, 0.0  # of the column: where it is, its width, how far down it is filled
    for number in sorted(range(len(boxes)), key=lambda n: (-boxes[n].height, -boxes[n].width, n)):
        box = boxes[number]
        if column and box.width <= column and filled + gap + box.height <= shelf:
            filled += gap
        else:
            left, column, filled = (left + column + gap if column else 0.0), box.width, 0.0
            if left and left + box.width > width:
                top, shelf, left = top + shelf + gap, 0.0, 0.0
            shelf = shelf or box.height
        places[number] = (left, top + filled)
        filled += box.height
    ordered = tuple(places[number] for number in range(len(boxes)))
    right = max((x + box.width for (x, _), box in zip(ordered, boxes, strict=True)), default=0.0)
    return Sheet(ordered, right, top + shelf)
