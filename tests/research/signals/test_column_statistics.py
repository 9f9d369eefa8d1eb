"""Statistics of values, and the picture of their distribution over time."""

import datetime as dt
import math
from io import BytesIO

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.image import imread

from research.errors import ResearchError
from research.signals.column_statistics import POINTS, Statistics, distribution, statistics


def frame(values: list[float | None], *, entities: int = 2) -> pl.DataFrame:
    """Return rows of that many entities a day."""
    days = [dt.date(2024, 1, 1) + dt.timedelta(n // entities) for n in range(len(values))]
    names = [f"E{n % entities}" for n in range(len(values))]
    return pl.DataFrame({"date": days, "entity": names, "value": pl.Series(values, dtype=pl.Float64)})


def test_statistics_equal_those_of_pandas() -> None:
    values = np.random.default_rng(7).lognormal(size=500)
    expected = pd.Series(values)

    found = statistics(frame([*values, None, math.nan, math.inf, None]))

    assert (found.rows, found.dates, found.entities) == (504, 252, 2)
    assert found.nulls == pytest.approx(4 / 504)
    for name, value in {
        "mean": expected.mean(),
        "std": expected.std(),
        "min": expected.min(),
        "max": expected.max(),
        "skew": expected.skew(),
        "kurtosis": expected.kurt(),
    }.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9), name


def test_what_too_few_or_equal_values_do_not_have_is_none() -> None:
    assert statistics(frame([])) == Statistics(0, 0, 0, None, None, None, None, None, None, None)
    assert statistics(frame([None])) == Statistics(1, 1, 1, 1.0, None, None, None, None, None, None)
    assert statistics(frame([2.0])) == Statistics(1, 1, 1, 0.0, 2.0, None, 2.0, 2.0, None, None)
    equal = statistics(frame([0.1] * 6))
    assert (equal.min, equal.max, equal.skew, equal.kurtosis) == (0.1, 0.1, None, None)
    assert statistics(frame([2.0])).known == {
        "rows": 1.0, "dates": 1.0, "entities": 1.0, "nulls": 0.0, "mean": 2.0, "min": 2.0, "max": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize("days", [1, 2, 40, 3 * POINTS + 1])
def test_the_distribution_is_drawn(days: int) -> None:
    values = np.random.default_rng(7).normal(size=days * 4)

    picture = distribution(frame([*values], entities=4))

    assert picture is not None
    assert picture.title == "Distribution of value"
    pixels = imread(BytesIO(picture.png))
    assert 300 < pixels.shape[0] < 500
    assert 700 < pixels.shape[1] < 1000
    assert len(picture.png) < 150_000
    blue = (pixels[..., 2] - pixels[..., 0]) > 0.1
    assert blue.mean() > 0.1  # the bands are seen


def test_values_that_are_all_missing_have_no_picture() -> None:
    assert distribution(frame([None, math.nan])) is None
    assert distribution(frame([])) is None


def test_a_column_that_can_not_be_previewed_is_named() -> None:
    rows = frame([1.0]).with_columns(text=pl.lit("a"))
    with pytest.raises(ResearchError, match="there is no column 'close' to preview; there are: date, entity, value"):
        statistics(rows, "close")
    with pytest.raises(ResearchError, match="column 'text' holds String, not numbers: preview a numeric column"):
        distribution(rows, "text")
