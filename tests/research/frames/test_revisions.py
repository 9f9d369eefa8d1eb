import datetime as dt

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from research.frames.revisions import as_known, point_in_time

DAY = dt.date(2024, 1, 1)
days = st.integers(0, 6).map(lambda n: DAY + dt.timedelta(n))
keys = st.tuples(days, st.sampled_from("AB"), days)
SCHEMA = {"date": pl.Date, "entity": pl.String, "knowledge_date": pl.Date, "value": pl.Float64}


def table(rows: dict[tuple[dt.date, str, dt.date], float | None]) -> pl.DataFrame:
    return pl.DataFrame([(*key, value) for key, value in rows.items()], schema=SCHEMA, orient="row")


@given(
    rows=st.dictionaries(keys, st.one_of(st.none(), st.floats(allow_nan=False)), max_size=40),
    as_of=st.one_of(st.none(), days),
)
def test_equals_brute_force_and_never_looks_ahead(
    rows: dict[tuple[dt.date, str, dt.date], float | None], as_of: dt.date | None
) -> None:
    newest: dict[tuple[dt.date, str], tuple[dt.date, float | None]] = {}
    for (date, entity, known), value in sorted(rows.items(), key=lambda row: row[0]):
        if as_of is None or known <= as_of:
            newest[date, entity] = (known, value)

    read = point_in_time(table(rows).lazy(), as_of=as_of).collect()

    assert as_of is None or read.filter(pl.col("knowledge_date") > as_of).is_empty()
    assert {(row[0], row[1]): (row[2], row[3]) for row in read.rows()} == newest
    assert read.height == len(newest)
    assert read.schema == pl.Schema(SCHEMA)


def test_a_later_revision_hides_the_earlier_row_with_its_nulls_too() -> None:
    rows = table({(DAY, "A", DAY): 1.0, (DAY, "A", DAY + dt.timedelta(2)): None})

    read = [point_in_time(rows.lazy(), as_of=DAY + dt.timedelta(n)).collect()["value"].to_list() for n in (-1, 1, 2)]

    assert read == [[], [1.0], [None]]


@given(
    rows=st.dictionaries(keys, st.one_of(st.none(), st.floats(allow_nan=False)), max_size=40),
    as_of=st.one_of(st.none(), days),
)
def test_as_known_equals_looking_at_each_day(
    rows: dict[tuple[dt.date, str, dt.date], float | None], as_of: dt.date | None
) -> None:
    expected: dict[tuple[dt.date, str], float | None] = {}
    for entity in "AB":
        before = None
        for day in (DAY + dt.timedelta(n) for n in range(7)):
            if as_of is None or day <= as_of:
                known = [key for key in rows if key[1] == entity and key[0] <= day and key[2] <= day]
                newest = max(known, default=None)
                if newest is not None and newest != before:
                    expected[day, entity] = rows[newest]
                before = newest

    read = as_known(table(rows).lazy(), as_of=as_of).collect()

    assert {(row[0], row[1]): row[2] for row in read.rows()} == expected
    assert read.height == len(expected)
    assert read.schema == pl.Schema({"date": pl.Date, "entity": pl.String, "value": pl.Float64})


@given(rows=st.dictionaries(keys, st.floats(allow_nan=False), max_size=40), day=days)
def test_what_becomes_known_later_changes_no_row_before(
    rows: dict[tuple[dt.date, str, dt.date], float], day: dt.date
) -> None:
    def until(rows: pl.DataFrame) -> pl.DataFrame:
        return as_known(rows.lazy()).filter(pl.col("date") <= day).sort("date", "entity").collect()

    later = pl.max_horizontal("date", "knowledge_date") > day
    altered = table(dict(rows)).with_columns(pl.when(later).then(pl.col("value") * 2 + 1).otherwise("value"))

    assert until(table(dict(rows))).equals(until(altered))
    assert until(table(dict(rows))).equals(until(table(dict(rows)).filter(~later)))


def test_a_correction_of_an_older_record_gives_no_row() -> None:
    first, second, later = DAY, DAY + dt.timedelta(1), DAY + dt.timedelta(5)
    rows = table({(first, "A", first): 1.0, (second, "A", second): 2.0, (first, "A", later): 9.0})

    assert sorted(as_known(rows.lazy()).collect().rows()) == [(first, "A", 1.0), (second, "A", 2.0)]


def test_a_record_known_before_its_date_counts_on_its_date() -> None:
    tomorrow = DAY + dt.timedelta(1)

    assert as_known(table({(tomorrow, "A", DAY): 1.0}).lazy()).collect().rows() == [(tomorrow, "A", 1.0)]
