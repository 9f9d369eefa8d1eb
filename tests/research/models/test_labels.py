import datetime as dt
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.errors import ResearchError
from research.models.labels import TargetSpec, forward_returns

DAY = dt.date(2024, 1, 1)
SCHEMA = {"date": pl.Date, "entity": pl.String, "close": pl.Float64}
keys = st.tuples(st.integers(0, 9).map(lambda n: DAY + dt.timedelta(n)), st.sampled_from("AB"))
closes = st.one_of(st.none(), st.just(math.nan), st.just(0.0), st.floats(0.01, 1000))


def table(rows: dict[tuple[dt.date, str], float | None]) -> pl.DataFrame:
    return pl.DataFrame([(*key, close) for key, close in rows.items()], schema=SCHEMA, orient="row")


@given(rows=st.dictionaries(keys, closes, max_size=20), horizon=st.integers(1, 4))
def test_equals_counting_the_rows_of_each_entity(rows: dict[tuple[dt.date, str], float | None], horizon: int) -> None:
    priced = {key: close for key, close in rows.items() if close is not None and math.isfinite(close)}
    expected: dict[tuple[dt.date, str], tuple[object, dt.date | None]] = {}
    for entity in "AB":
        days = sorted(date for date, of in priced if of == entity)
        for place, day in enumerate(days):
            expected[day, entity] = (None, None)
            if place + horizon < len(days) and priced[day, entity]:
                end = days[place + horizon]
                expected[day, entity] = (pytest.approx(priced[end, entity] / priced[day, entity] - 1), end)

    made = forward_returns(table(rows), TargetSpec(horizon=horizon, column="close"))

    assert {(row[0], row[1]): (row[2], row[3]) for row in made.rows()} == expected
    assert made.equals(made.sort("date", "entity"))
    assert made.schema == {"date": pl.Date, "entity": pl.String, "target": pl.Float64, "label_end": pl.Date}


def test_errors_say_what_and_the_remedy() -> None:
    with pytest.raises(ResearchError) as missing:
        forward_returns(table({}), TargetSpec(horizon=5, column="last"))
    with pytest.raises(ResearchError, match="'close' holds String, not numbers: choose another one for the target"):
        forward_returns(table({}).with_columns(pl.col("close").cast(pl.String)), TargetSpec(horizon=5, column="close"))
    with pytest.raises(ResearchError, match="the target's horizon is 0: a return takes 1 row or more"):
        TargetSpec(horizon=0, column="close")

    assert str(missing.value) == (
        "the prices have no column 'last'; they have: date, entity, close. Correct the target's column."
    )
