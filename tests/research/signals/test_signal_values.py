import datetime as dt
import math

import polars as pl
import pytest

from research.signals.signal_values import SignalValuesError, check_date_frequency, check_signal

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(n) for n in range(6)]


def signal(values: list[float | None]) -> pl.DataFrame:
    column = pl.Series(values, dtype=pl.Float64)
    return pl.DataFrame({"date": DAYS[: len(values)], "entity": ["A"] * len(values), "value": column})


def test_values_within_bounds_pass_and_the_bounds_are_inclusive() -> None:
    check_signal(signal([-1.0, 0.0, 1.0]), min=-1, max=1)
    check_signal(signal([]))


def test_missing_values_pass_only_when_allowed() -> None:
    check_signal(signal([None, math.nan, 1.0]), max=1, allow_nan=True)

    with pytest.raises(SignalValuesError) as caught:
        check_signal(signal([None, math.nan, 1.0]))

    assert str(caught.value) == (
        "the signal is not as its signal_spec demands:\n"
        "2 of 3 rows have no value, first (2024-01-01, A, None); (2024-01-02, A, nan): drop them or set allow_nan"
    )


def test_rows_out_of_bounds_are_counted_and_the_first_three_shown() -> None:
    with pytest.raises(SignalValuesError) as caught:
        check_signal(signal([2.0, -3.0, 4.0, 5.0, 6.0, math.inf]), min=0, max=1, allow_nan=True)

    assert str(caught.value) == (
        "the signal is not as its signal_spec demands:\n"
        "1 of 6 rows are infinite, first (2024-01-06, A, inf): correct the computation\n"
        "1 of 6 rows are below the minimum 0, first (2024-01-02, A, -3): clip the values or lower min\n"
        "4 of 6 rows are above the maximum 1, first (2024-01-01, A, 2); (2024-01-03, A, 4); "
        "(2024-01-04, A, 5): clip the values or raise max"
    )


def test_index_columns_identify_each_row() -> None:
    rows = signal([1.0, 1.0]).with_columns(date=pl.lit(DAYS[0]))

    with pytest.raises(SignalValuesError, match=r"2 of 2 rows share their date, entity, first \(2024-01-01, A, 1\)"):
        check_signal(rows)
    with pytest.raises(SignalValuesError, match="2 of 2 rows have no entity"):
        check_signal(signal([1.0, 1.0]).with_columns(entity=pl.lit(None, pl.String)), index_columns=["entity", "date"])


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SignalValuesError) as caught:
        check_signal(signal([1.0]), value_column="score")

    assert str(caught.value) == (
        "the signal has no column 'score'; it has: date, entity, value. "
        "Correct value_column or index_columns in its signal_spec."
    )


def test_a_column_of_text_is_refused() -> None:
    with pytest.raises(SignalValuesError, match="the signal's column 'entity' holds String, not numbers"):
        check_signal(signal([1.0]), value_column="entity", index_columns=["date"])


def test_no_two_dates_of_an_entity_lie_in_one_period() -> None:
    fridays = [dt.date(2024, 1, 5), dt.date(2024, 1, 12), dt.date(2024, 1, 19)]
    rows = pl.DataFrame({"date": fridays, "entity": ["A"] * 3})
    check_date_frequency(rows, "weekly")
    check_date_frequency(pl.concat([rows, rows.with_columns(entity=pl.lit("B"))]), "weekly")
    check_date_frequency(rows.head(1), "monthly")
    told = (
        r"^the signal is not monthly: 3 rows share their month with another date of the same entity, first "
        r"\(2024-01-05, A\); \(2024-01-12, A\); \(2024-01-19, A\): keep one date of each month, or correct"
    )
    with pytest.raises(SignalValuesError, match=told):
        check_date_frequency(rows, "monthly")


def test_rows_that_are_there_count_and_those_that_come_again_count_once() -> None:
    there = pl.DataFrame({"date": [dt.date(2024, 1, 5)], "entity": ["A"], "value": [1.0]})
    check_date_frequency(there.with_columns(value=pl.lit(2.0)), "weekly", known=there)
    with pytest.raises(SignalValuesError, match="2 rows share their week"):
        check_date_frequency(there.with_columns(date=pl.lit(dt.date(2024, 1, 4))), "weekly", known=there)
