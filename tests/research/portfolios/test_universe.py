"""Who was a member of a universe, day by day, from lists and from changes."""

import datetime as dt

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.errors import ResearchError
from research.portfolios.universe import membership

LISTS = [(1, "A"), (1, "B"), (10, "B"), (10, "C")]


def rows(entries: list[tuple[int, str]], member: list[object] | None = None) -> pl.DataFrame:
    frame = pl.DataFrame(
        {"date": [dt.date(2024, 1, day) for day, _ in entries], "entity": [name for _, name in entries]},
        schema={"date": pl.Date, "entity": pl.String},
    )
    return frame if member is None else frame.with_columns(pl.Series("member", member))


def days(*numbers: int) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([f"2024-01-{day:02}" for day in numbers])


def held(frame: pl.DataFrame, *numbers: int) -> list[str]:
    found = membership(frame, days(*numbers), what="sp500")
    return ["".join(found.columns[found.loc[day]]) for day in found.index]


def test_the_newest_list_counts_as_a_whole() -> None:
    assert held(rows(LISTS), 1, 9, 10, 31) == ["AB", "AB", "BC", "BC"]


def test_of_changes_the_newest_row_of_each_entity_counts() -> None:
    changes = rows([(1, "A"), (1, "B"), (10, "A"), (10, "C"), (20, "A")], [True, True, False, True, True])
    assert held(changes, 1, 9, 10, 19, 20) == ["AB", "AB", "BC", "BC", "ABC"]
    assert held(changes.with_columns(pl.col("member").cast(pl.Int64)), 10) == ["BC"]


def test_a_list_of_flags_means_the_same_as_a_list_of_members() -> None:
    flags = rows([(1, "A"), (1, "B"), (1, "C"), (10, "A"), (10, "B"), (10, "C")], [1, 1, 0, 0, 1, 1])
    assert held(flags, 1, 9, 10, 31) == held(rows(LISTS), 1, 9, 10, 31)


def test_days_before_the_first_row_are_left_out() -> None:
    found = membership(rows([(5, "A")]), days(1, 4, 5, 6), what="sp500")
    assert list(found.index.day) == [5, 6]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (
            rows([(5, "A")]),
            "sp500 has no members at or before 2024-01-04, the last day of decision; they begin on 2024-01-05: "
            "bring earlier ones, or a later date_range",
        ),
        (rows([]), "sp500 has no members at or before 2024-01-04, the last day of decision; there are none at all"),
        (
            rows([(1, "A")], ["yes"]),
            "the column 'member' of sp500 holds String, not true or false, or 1 or 0: write these",
        ),
        (rows([(1, "A")], [0.5]), "must be true or false, or 1 or 0; on 2024-01-01 it is 0.5 of A"),
        (rows([(1, "A"), (2, "B")], [1, None]), "on 2024-01-02 it is empty of B"),
    ],
)
def test_what_is_no_universe_is_refused(frame: pl.DataFrame, told: str) -> None:
    with pytest.raises(ResearchError) as caught:
        membership(frame, days(1, 4), what="sp500")
    assert told in str(caught.value)


@given(
    st.dictionaries(st.tuples(st.integers(1, 28), st.sampled_from("ABCD")), st.booleans(), min_size=1),
    st.integers(1, 28),
    st.booleans(),
)
def test_no_later_row_changes_who_was_a_member(entries: dict[tuple[int, str], bool], until: int, changes: bool) -> None:
    keys = sorted(entries)
    frame = rows(keys, [entries[key] for key in keys] if changes else None)
    known = frame.filter(pl.col("date") <= dt.date(2024, 1, until))
    asked = [day for day in range(1, until + 1) if day >= keys[0][0]]
    if asked and not known.is_empty():
        assert held(known, *asked) == held(frame, *asked)
