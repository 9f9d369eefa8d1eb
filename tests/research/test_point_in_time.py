import datetime as dt

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from research.point_in_time import point_in_time

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
