"""Whole lists from Prefect, of which it gives a page at a time: no way of paging here can lose an entry.

What stays in Prefect for as long as the list is read is in what is read of it, whatever is deleted and made
meanwhile. There are two ways to a whole list, and a page by itself.

**By values** (`with_values`), where we know which ids or names we want: for so few of them at once that the
answer is no full page. Each answer is of one moment, and as it isn't full, nothing was cut off from it.

**From one end to the other** (`whole_list`), where we don't: the routes of Prefect page by offset only, and a
deletion before the offset moves what follows to the left, past it. So each page begins within the one before:
its first entry must be one that was read already. Why that is enough: the list is sorted by a key that no two
entries share and none changes. Say that everything up to the key K was read, and a later page begins with an
entry whose key is at most K. What that page holds is without gaps, so everything from K up to its own last key
is in it; now everything up to that is read. The first page begins at the beginning. A page that begins with
anything else says that much was deleted: then we step back, at the utmost to the beginning.
"""

from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass

from flows.integrations.prefect_api.prefect_http import Json, PrefectError

FULL = 200  # entries that the Prefect server gives in one answer
OVERLAP = 20  # so many deletions between two pages cost no step back
_STEPS_BACK = 50


@dataclass(frozen=True)
class Page:
    """One answer: the entries that it holds, and whether there may be more of them."""

    entries: tuple[Json, ...]
    full: bool


class UnsteadyList(PrefectError):
    """A list that shrinks faster than it can be read."""

    def __init__(self) -> None:
        super().__init__(
            "a list of the Prefect server shrinks faster than it can be read. "
            "Wait until whoever deletes there is done, and try again."
        )


class TooManyAlike(PrefectError):
    """More entries than one answer holds have the same value in a field that is asked for."""

    def __init__(self, value: str) -> None:
        super().__init__(
            f"the Prefect server has more entries called {value!r} than it gives at once. "
            "Delete those that nobody needs there, and try again."
        )


async def with_values(
    ask: Callable[[list[str]], Awaitable[Page]], values: Iterable[object], *, at_once: int = FULL - 1
) -> list[Json]:
    """Return all entries that have one of these values in a field; `ask` asks for those of a few values.

    Raises `TooManyAlike`.
    """
    found: list[Json] = []
    ordered = sorted({str(value) for value in values})
    waiting = [ordered[start : start + at_once] for start in range(0, len(ordered), at_once)]
    while waiting:
        few = waiting.pop()
        page = await ask(few)
        if not page.full:
            found.extend(page.entries)
        elif len(few) > 1:
            middle = len(few) // 2
            waiting += [few[:middle], few[middle:]]
        else:
            raise TooManyAlike(few[0])
    return found


async def whole_list(
    ask: Callable[[int], Awaitable[Page]],
    *,
    key: Callable[[Json], Hashable],
    at_once: int = FULL,
    overlap: int = OVERLAP,
) -> list[Json]:
    """Return all entries of a list; `ask` asks for the page of `at_once` that begins at an offset.

    `key` returns what gives an entry its place in the list, and to no other entry the same one. Raises `UnsteadyList`.
    """
    found: dict[Hashable, Json] = {}
    offset = steps_back = 0
    while True:
        page = await ask(offset)
        begins_in_what_was_read = bool(page.entries) and key(page.entries[0]) in found
        if offset and not begins_in_what_was_read:
            steps_back += 1
            if steps_back > _STEPS_BACK:
                raise UnsteadyList
            offset = max(0, offset - at_once)
            continue
        found |= {key(entry): entry for entry in page.entries}
        if not page.full:
            return list(found.values())
        offset += len(page.entries) - overlap
