import datetime as dt
import math
from collections.abc import Sequence

import polars as pl
import pytest

from research.expressions.evaluation import evaluate
from research.expressions.operators import OPERATORS
from research.expressions.parser import ExpressionError, parse

NAN, INF = math.nan, math.inf


def values(text: str, x: Sequence[float | None], y: Sequence[float | None] | None = None) -> list[float | None]:
    """Evaluate on one entity, a row a day."""
    days = [dt.date(2024, 1, 1) + dt.timedelta(n) for n in range(len(x))]
    columns = {"x": pl.Series(x, dtype=pl.Float64), "y": pl.Series(y or x, dtype=pl.Float64)}
    frame = pl.DataFrame({"date": days, "entity": ["A"] * len(x), **columns})
    return evaluate(parse(text, OPERATORS), frame)["value"].to_list()


def on_one_date(text: str, x: list[float | None]) -> list[float | None]:
    """Evaluate on one date, a row for each entity."""
    entities = [f"E{n}" for n in range(len(x))]
    frame = pl.DataFrame({"date": [dt.date(2024, 1, 1)] * len(x), "entity": entities, "x": x}, strict=False)
    return evaluate(parse(text, OPERATORS), frame)["value"].to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + 1", [3.0, 5.0]),
        ("1 - x", [-1.0, -3.0]),
        ("x * y", [20.0, 80.0]),
        ("y / x", [5.0, 5.0]),
        ("-x ** 2", [-4.0, -16.0]),
        ("+x", [2.0, 4.0]),
        ("2 ** (x - 1) / 2", [1.0, 4.0]),
        ("x > 2", [0.0, 1.0]),
        ("x >= 2", [1.0, 1.0]),
        ("x < y", [1.0, 1.0]),
        ("x <= 2", [1.0, 0.0]),
        ("x == 4", [0.0, 1.0]),
        ("x != 4", [1.0, 0.0]),
        ("(x > 2) * (y > 10)", [0.0, 1.0]),
        ("x * LOG(1)", [0.0, 0.0]),
    ],
)
def test_arithmetic_and_comparisons(text: str, expected: list[float]) -> None:
    assert values(text, [2.0, 4.0], [10.0, 20.0]) == expected


@pytest.mark.parametrize(
    "text", ["1 / x", "x / x", "LOG(x)", "x ** -1", "LOG(-1) + x", "1 / (1 / x)", "x + 10 ** 300 * 10 ** 300"]
)
def test_what_is_not_finite_is_missing(text: str) -> None:
    assert values(text, [0.0]) == [None]


def test_nan_and_infinite_inputs_are_missing() -> None:
    assert values("x", [NAN, INF, -INF, None, 1.0]) == [None, None, None, None, 1.0]
    assert values("x > 0", [NAN, INF, None, 1.0]) == [None, None, None, 1.0]


def test_a_window_is_null_until_full_and_where_a_value_is_missing() -> None:
    assert values("SUM(x, 2)", [1.0, 2.0, None, 4.0, NAN, 6.0, 7.0]) == [None, 3.0, None, None, None, None, 13.0]


def test_windows_count_rows_in_the_order_of_dates() -> None:
    friday, monday, tuesday = dt.date(2024, 1, 5), dt.date(2024, 1, 8), dt.date(2024, 1, 9)
    frame = pl.DataFrame({"date": [tuesday, friday, monday], "entity": ["A"] * 3, "x": [3, 1, 2]})

    computed = evaluate(parse("REF(x, 1)", OPERATORS), frame, value_column="before")

    assert computed.rows() == [(friday, "A", None), (monday, "A", 1.0), (tuesday, "A", 2.0)]
    assert computed.schema == pl.Schema({"date": pl.Date, "entity": pl.String, "before": pl.Float64})


def test_entities_do_not_see_each_other_through_time() -> None:
    days = [dt.date(2024, 1, 1), dt.date(2024, 1, 2)]
    frame = pl.DataFrame({"date": [*days, *days], "entity": ["A", "A", "B", "B"], "x": [1.0, 2.0, 3.0, 4.0]})

    assert evaluate(parse("DELTA(x, 1)", OPERATORS), frame)["value"].to_list() == [None, 1.0, None, 1.0]


def test_constant_windows_have_no_deviation_whatever_came_before() -> None:
    x = [1e9, 0.1, 0.1, 0.1]

    assert values("STD(x, 3)", x)[3] == 0.0
    assert values("ZSCORE(x, 3)", x)[3] is None


def test_rank_runs_from_0_to_1_with_mean_ranks_for_ties() -> None:
    assert on_one_date("RANK(x)", [5.0, 1.0, None, 3.0, 3.0, NAN]) == [1.0, 0.0, None, 0.5, 0.5, None]
    assert on_one_date("RANK(x)", [None, 7.0]) == [None, 0.5]
    assert on_one_date("RANK(x)", [None, None]) == [None, None]


def test_cross_sectional_zscore_of_equal_values_is_missing() -> None:
    assert on_one_date("ZSCORE(x)", [0.1, 0.1, 0.1]) == [None, None, None]
    assert on_one_date("ZSCORE(x)", [2.0]) == [None]
    assert on_one_date("ZSCORE(x)", [1.0, 2.0, 3.0, None]) == [-1.0, 0.0, 1.0, None]


def test_deep_expressions_stay_quick() -> None:
    assert values(" + ".join(["x / REF(x, 1)"] * 60), [1.0, 2.0]) == [None, 120.0]


def test_an_empty_frame_gives_an_empty_frame() -> None:
    assert values("RANK(MEAN(x, 5))", []) == []


def test_an_unknown_column_is_shown() -> None:
    with pytest.raises(ExpressionError) as caught:
        values("MEAN(x, 5) / REF(yy, 2)", [1.0])

    assert str(caught.value) == (
        "in the expression, at column 18:\n"
        "  MEAN(x, 5) / REF(yy, 2)\n"
        "                   ^^\n"
        "there is no column 'yy'. Did you mean 'y'? The columns are: x, y."
    )


def test_a_column_of_text_is_shown() -> None:
    frame = pl.DataFrame({"date": [dt.date(2024, 1, 1)], "entity": ["A"], "sector": ["tech"]})

    with pytest.raises(ExpressionError) as caught:
        evaluate(parse("RANK(sector)", OPERATORS), frame)

    assert str(caught.value) == (
        "in the expression, at column 6:\n"
        "  RANK(sector)\n"
        "       ^^^^^^\n"
        "column 'sector' holds String, not numbers: name a numeric column"
    )
