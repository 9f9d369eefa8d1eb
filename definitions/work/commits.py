"""Commits: what is done again where another run has committed to the same store meanwhile."""

from collections.abc import Callable
from typing import TypeVar

from definitions.errors import StoreConflict

T = TypeVar("T")
ATTEMPTS = 10


def until_committed(attempt: Callable[[], T]) -> T:
    """Return what an attempt to read and commit returns, made again as long as another writer is quicker.

    Each looks at the store anew: then it confirms what the other one left, or commits on top of it. Raises
    `StoreConflict` where ever new ones are, and what the attempt raises.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except StoreConflict:
            continue
    return attempt()
