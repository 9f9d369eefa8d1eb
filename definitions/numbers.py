"""Numbers as they can be kept: what JSON and Postgres give back is what was put in.

Postgres writes a float like 1e30 out in full, which then reads as a whole number.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

LARGEST = 2**63 - 1  # Prefect answers nothing at all where a block holds a greater whole number


def can_be_kept(number: int | float) -> bool:
    """Say whether a number comes back as it was: none that is infinite or no number, nor a greater whole one."""
    if isinstance(number, float):
        return math.isfinite(number)
    return -LARGEST <= number <= LARGEST or _written_out(number) is not None


def as_kept(value: Any) -> Any:
    """Return JSON content with the floats that Postgres has written out in full as the floats that they are."""
    if isinstance(value, Mapping):
        return {name: as_kept(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_kept(each) for each in value]
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        number = _written_out(value)
        return value if number is None else number
    return value


def same(one: Any, other: Any) -> bool:
    """Say whether two pieces of JSON are the same, one of which may have been kept and have come back."""
    if one == other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, int):
        return _written_out(other) == one
    return isinstance(other, float) and isinstance(one, int) and _written_out(one) == other


def _written_out(number: int) -> float | None:
    """Return the float that is `number` when it is written out in full; None when there is none."""
    try:
        found = float(number)
    except OverflowError:
        return None
    return found if int(Decimal(repr(found))) == number else None
