import datetime as dt
from typing import Any

import polars as pl
import pytest

from definitions.errors import SourceError, StoreError
from definitions.frames import long_form

DAY = dt.date(2024, 1, 2)
MIDNIGHT = dt.datetime.combine(DAY, dt.time())


def frame(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"close": [1.0], "entity": ["A"], "date": [DAY], **columns}, strict=False)


def test_keys_come_first_and_values_have_few_types() -> None:
    rows = frame(
        date=[MIDNIGHT],
        entity=[10107],
        knowledge_date=[DAY],
        small=pl.Series([1], dtype=pl.UInt8),
        single=pl.Series([1.5], dtype=pl.Float32),
        decimal=pl.Series(["2.5"]).str.to_decimal(scale=2),
        nothing=[None],
        sector=pl.Series(["tech"], dtype=pl.Categorical),
    )

    assert long_form(rows, source="x").schema == pl.Schema(
        {
            "date": pl.Date,
            "entity": pl.String,
            "knowledge_date": pl.Date,
            "close": pl.Float64,
            "small": pl.Int64,
            "single": pl.Float64,
            "decimal": pl.Float64,
            "nothing": pl.Float64,
            "sector": pl.String,
        }
    )
    assert long_form(rows, source="x").row(0) == (DAY, "10107", DAY, 1.0, 1, 1.5, 2.5, None, "tech")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (
            frame().drop("entity"),
            "x has no column 'entity'; it has: close, date. Rows need a date, an entity, and at most one row for each.",
        ),
        (
            frame(date=[MIDNIGHT + dt.timedelta(hours=15, minutes=30)]),
            "x: column 'date' holds times of day, first 2024-01-02 15:30:00: "
            "rows are dated by day, so cut the time off at the source",
        ),
        (frame(date=["2024-01-02"]), "x: column 'date' holds String, not dates: convert it at the source"),
        (frame(entity=[1.5]), "x: column 'entity' holds Float64, not names: convert it to text at the source"),
        (
            frame(close=[[1.0]]),
            "x: column 'close' holds List(Float64), which can't be kept: leave it out or convert it",
        ),
        (
            frame(close=pl.Series([2**63], dtype=pl.UInt64)),
            "x: an integer does not fit 64 bits: conversion from `u64` to `i64` failed in column 'close' "
            "for 1 out of 1 values: [9223372036854775808]",
        ),
        (
            frame(close=[1.0, 2.0], entity=["A", None], date=[DAY, DAY]),
            "x: 1 row without 'entity', the first at date 2024-01-02: fill it in or drop it at the source",
        ),
        (
            frame(entity=[""]),
            "x: 1 row without 'entity', the first at date 2024-01-02: fill it in or drop it at the source",
        ),
        (
            frame(date=[None]),
            "x: 1 row without 'date', the first at entity A: fill it in or drop it at the source",
        ),
        (
            frame(close=[1.0] * 3, entity=["A", "A", "B"], date=[DAY] * 3),
            "x: 1 key more than once (date, entity), first 2024-01-02, A: "
            "keep one row for each, or add a knowledge_date column if these are revisions",
        ),
        (
            frame(close=[1.0] * 2, entity=["A"] * 2, date=[DAY] * 2, knowledge_date=[DAY] * 2),
            "x: 1 key more than once (date, entity, knowledge_date), first 2024-01-02, A, 2024-01-02: "
            "keep one row for each",
        ),
    ],
)
def test_what_is_not_in_long_form_is_refused(rows: pl.DataFrame, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        long_form(rows, source="x")

    assert str(caught.value) == problem


def test_the_caller_chooses_the_error() -> None:
    with pytest.raises(StoreError):
        long_form(frame(date=[None]), source="x", error=StoreError)
