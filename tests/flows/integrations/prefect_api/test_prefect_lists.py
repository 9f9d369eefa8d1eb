"""Whole lists: nothing that was there all the time is left out, whatever happens between two pages."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.integrations.prefect_api import Json
from flows.integrations.prefect_api.prefect_lists import Page, TooManyAlike, UnsteadyList, whole_list, with_values

AT_ONCE, LAP = 5, 2


class ChangingList:
    """A sorted list of names that is read by offset, and changed before each further page."""

    def __init__(self, names: set[str], changes: Sequence[Callable[[set[str]], None]]) -> None:
        self.names = names
        self.changes = list(changes)
        self.pages = 0

    async def ask(self, offset: int) -> Page:
        if self.pages and self.changes:
            self.changes.pop(0)(self.names)
        self.pages += 1
        await asyncio.sleep(0)
        page = sorted(self.names)[offset : offset + AT_ONCE]
        return Page(tuple({"name": name} for name in page), full=len(page) == AT_ONCE)

    def read(self) -> list[str]:
        found = asyncio.run(whole_list(self.ask, key=lambda each: each["name"], at_once=AT_ONCE, overlap=LAP))
        return [each["name"] for each in found]


names = st.integers(0, 999).map("{:03}".format)
ranks = st.sets(st.integers(0, 19), max_size=12)  # of the names that go, so that those of the first pages do
steps = st.lists(st.tuples(ranks, st.sets(names, max_size=12)), max_size=8)


@settings(deadline=None)  # how long it takes says nothing
@given(before=st.sets(names, max_size=60), steps=steps)
def test_what_was_there_all_the_time_is_read_and_nothing_twice(
    before: set[str], steps: list[tuple[set[int], set[str]]]
) -> None:
    ever, gone = set(before), set[str]()

    def change(ranks: set[int], new: set[str], there: set[str]) -> None:
        going = {name for rank, name in enumerate(sorted(there)) if rank in ranks}
        gone.update(going)
        ever.update(new)
        there -= going
        there |= new

    found = ChangingList(set(before), [partial(change, *step) for step in steps]).read()
    assert len(found) == len(set(found))
    assert before - gone <= set(found) <= ever


def test_a_quiet_list_costs_no_page_twice() -> None:
    quiet = ChangingList({f"{number:02}" for number in range(13)}, [])
    assert quiet.read() == [f"{number:02}" for number in range(13)]
    assert quiet.pages == 4  # at 0, 3, 6 and 9, each of which begins within the one before


def test_a_list_that_shrinks_for_ever_is_an_error_at_last() -> None:
    def shrinks(there: set[str]) -> None:
        for name in sorted(there)[:AT_ONCE]:
            there.remove(name)
        last = max(there)
        there |= {f"{last}{number}" for number in range(AT_ONCE)}

    unsteady = ChangingList({f"{number:03}" for number in range(100)}, [shrinks] * 1000)
    with pytest.raises(UnsteadyList, match="shrinks faster than it can be read"):
        unsteady.read()


class Alike:
    """A list in which many entries have the same value; it gives three of them at once."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.entries = [{"name": name, "id": number} for name, count in counts.items() for number in range(count)]
        self.asked: list[list[str]] = []

    async def ask(self, few: list[str]) -> Page:
        self.asked.append(few)
        await asyncio.sleep(0)
        page = [each for each in self.entries if each["name"] in few][:3]
        return Page(tuple(page), full=len(page) == 3)


def test_values_are_asked_for_by_so_few_that_no_answer_is_cut_off() -> None:
    alike = Alike({"a": 2, "b": 1, "c": 2, "d": 0})
    found: list[Json] = asyncio.run(with_values(alike.ask, ["d", "b", "a", "c", "a"], at_once=3))
    assert sorted((each["name"], each["id"]) for each in found) == [("a", 0), ("a", 1), ("b", 0), ("c", 0), ("c", 1)]
    assert all(len(few) <= 3 for few in alike.asked)
    assert asyncio.run(with_values(alike.ask, [])) == []


def test_more_of_one_value_than_an_answer_holds_is_an_error() -> None:
    with pytest.raises(TooManyAlike, match="more entries called 'b' than it gives at once"):
        asyncio.run(with_values(Alike({"a": 1, "b": 3}).ask, ["a", "b"]))
