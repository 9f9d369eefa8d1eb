import datetime as dt
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from definitions.contract import Input
from definitions.errors import ModuleError
from definitions.joining import joined
from definitions.work.models.features import feature_table
from tests.definitions.work.models.training_samples import features_of, real_prices

DAY = dt.date(2024, 1, 1)


def day(n: int) -> dt.date:
    return DAY + dt.timedelta(n)


def one(instance: str, rows: dict[tuple[int, str], float | None], column: str = "value") -> Input:
    schema = {"date": pl.Date, "entity": pl.String, column: pl.Float64}
    table = [(day(number), entity, value) for (number, entity), value in rows.items()]
    return Input(instance, "features", pl.DataFrame(table, schema=schema, orient="row"))


keys = st.tuples(st.integers(0, 12), st.sampled_from("AB"))
frames = st.dictionaries(keys, st.one_of(st.none(), st.just(math.nan), st.floats(-9, 9)), max_size=20)


@given(first=frames, second=frames, on=st.sets(keys, max_size=12), carry=st.integers(0, 5))
def test_each_row_has_the_newest_values_of_its_past(
    first: dict[tuple[int, str], float | None],
    second: dict[tuple[int, str], float | None],
    on: set[tuple[int, str]],
    carry: int,
) -> None:
    def newest(rows: dict[tuple[int, str], float | None], number: int, entity: str) -> float | None:
        dates = [n for n, of in rows if of == entity and number - carry <= n <= number]
        value = rows[max(dates), entity] if dates else None
        return None if value is None or math.isnan(value) else value

    expected = [
        (day(number), entity, newest(first, number, entity), newest(second, number, entity))
        for number, entity in sorted(on)
    ]
    table = pl.DataFrame(
        [(day(number), entity) for number, entity in on], schema={"date": pl.Date, "entity": pl.String}, orient="row"
    )

    made = feature_table([one("a-b", first), one("2c", second)], on=table, carry_days=carry)

    assert made.rows() == [row for row in expected if row[2:] != (None, None)]
    assert made.columns == ["date", "entity", "a_b_value", "_2c_value"]


def test_daily_features_are_what_an_expression_reads() -> None:
    features = features_of(real_prices())
    names = joined(features).columns
    assert feature_table(features, carry_days=0).equals(joined(features).select(names).sort("date", "entity"))


def test_the_inputs_that_come_most_often_say_which_rows_there_are() -> None:
    daily = one("daily", {(n, "A"): 1.0 for n in (0, 1, 2, 3, 4, 7)})
    other = one("other", {(n, "B"): 2.0 for n in (0, 1, 2)})
    reports = one("reports", {(-60, "A"): 5.0, (5, "A"): 6.0, (95, "A"): 7.0})

    made = feature_table([reports, daily, other])

    assert made.filter(entity="A").rows() == [
        *((day(n), "A", 5.0, 1.0, None) for n in (0, 1, 2, 3, 4)),
        (day(7), "A", 6.0, 1.0, None),
    ]
    assert made.filter(entity="B")["date"].to_list() == [day(0), day(1), day(2)]
    assert feature_table([reports])["date"].to_list() == [day(-60), day(5), day(95)]


def test_one_feature_keeps_its_name_unless_another_is_missing() -> None:
    champion_lock = one("mood", {(0, "A"): 1.0})
    assert feature_table([champion_lock]).columns == ["date", "entity", "value"]
    assert feature_table([champion_lock], missing=["late"]).columns == ["date", "entity", "mood_value"]


def test_errors_say_what_and_the_remedy() -> None:
    text = Input("sectors", "features", pl.DataFrame({"date": [DAY], "entity": ["A"], "sector": ["tech"]}))
    with pytest.raises(ModuleError, match="there is no feature: name an instance with a value column"):
        feature_table([])
    with pytest.raises(ModuleError, match="two features have the name 'a_value': use each instance once"):
        feature_table([one("a", {}), one("a", {})])
    with pytest.raises(ModuleError) as not_numeric:
        feature_table([text])

    assert str(not_numeric.value) == (
        "the feature 'sector' of 'sectors' holds String, not numbers: "
        "make numbers of it with an expression, or read that instance without it"
    )
