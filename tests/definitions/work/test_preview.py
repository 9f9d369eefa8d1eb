"""Previews of expressions and other pipelines."""

import datetime as dt

import polars as pl
import pytest

from definitions.contract import ExtractRequest, Input, Kind
from definitions.errors import SourceError
from definitions.work.preview import preview
from tests.definitions.resources import make


def day(n: int) -> dt.date:
    return dt.date(2024, 1, n)


PRICES = pl.DataFrame(
    {
        "date": [day(n) for n in range(1, 7)] * 2,
        "entity": ["A"] * 6 + ["B"] * 6,
        "close": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0],
    }
)
INPUTS = (Input("prices", "input", PRICES),)


def test_the_range_cuts_the_result_and_not_the_history() -> None:
    mean = make(Kind.PIPELINE, "expression", {"expression": "MEAN(close, 3)"})

    outcome = preview(mean, inputs=INPUTS, start=day(3), end=day(4))

    assert outcome.version is None
    assert outcome.metrics == {
        "rows": 4.0, "dates": 2.0, "entities": 2.0, "nulls": 0.0, "mean": 3.75,
        "std": pytest.approx(1.707825), "min": 2.0, "max": 6.0, "skew": pytest.approx(0.752837),
        "kurtosis": pytest.approx(0.342857),
    }  # fmt: skip
    assert (
        outcome.summary
        == """\
4 rows from 2024-01-03 to 2024-01-04.

| statistic | value |
| --- | --- |
| rows | 4 |
| dates | 2 |
| entities | 2 |
| without a value | 0.00% |
| mean | 3.75 |
| standard deviation | 1.70783 |
| minimum | 2 |
| maximum | 6 |
| skewness | 0.752837 |
| excess kurtosis | 0.342857 |

First rows with a value:

| date | entity | value |
| --- | --- | --- |
| 2024-01-03 | A | 2 |
| 2024-01-03 | B | 4 |
| 2024-01-04 | A | 3 |
| 2024-01-04 | B | 6 |"""
    )
    assert [picture.title for picture in outcome.pictures] == ["Distribution of value"]


def test_rows_without_a_value_count_whether_a_refresh_keeps_them_or_not() -> None:
    for drop in (True, False):
        mean = make(Kind.PIPELINE, "expression", {"expression": "MEAN(close, 4)", "drop_nulls": drop})

        outcome = preview(mean, inputs=INPUTS)

        assert outcome.metrics["nulls"] == 0.5
        assert "| without a value | 50.00% |" in outcome.summary
        assert "| 2024-01-04 | A | 2.5 |" in outcome.summary
        assert "| 2024-01-03 | A |" not in outcome.summary


def test_a_universe_shows_its_entities_alone() -> None:
    close = make(Kind.PIPELINE, "expression", {"expression": "RANK(close)"})
    entity = PRICES["entity"][0]
    whole, outcome = preview(close, inputs=INPUTS), preview(close, inputs=INPUTS, universe=[entity])
    assert outcome.row_count == PRICES.filter(entity=entity).height < (whole.row_count or 0)
    with pytest.raises(SourceError, match="there are no rows of Z, which the universe names: correct its entities"):
        preview(close, inputs=INPUTS, universe=["Z"])


def test_an_empty_range_says_where_rows_are() -> None:
    close = make(Kind.PIPELINE, "expression", {"expression": "close"})

    outcome = preview(close, inputs=INPUTS, start=dt.date(2030, 1, 1))

    assert outcome.summary == "No rows from 2030-01-01 to the last one: they go from 2024-01-01 to 2024-01-06."
    assert (outcome.metrics, outcome.pictures) == ({"rows": 0.0, "dates": 0.0, "entities": 0.0}, ())


class Given:
    """A pipeline that gives the rows that it was made with."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def check(self) -> None:
        """Nothing can be wrong."""

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        return self.frame


def test_several_columns_are_described_side_by_side() -> None:
    outcome = preview(Given(PRICES.with_columns(volume=pl.col("close").cast(pl.Int64) * 1000, sector=pl.lit("x"))))

    assert (outcome.metrics["close_max"], outcome.metrics["volume_max"]) == (12.0, 12000.0)
    assert "| statistic | close | volume |" in outcome.summary
    assert "| maximum | 12 | 12000 |" in outcome.summary
    assert "| 2024-01-01 | A | 1 | 1,000 | x |" in outcome.summary
    assert len(outcome.pictures) == 2


def test_errors_of_the_expression_come_through() -> None:
    with pytest.raises(SourceError, match="there is no column 'open'"):
        preview(make(Kind.PIPELINE, "expression", {"expression": "open"}), inputs=INPUTS)
    with pytest.raises(SourceError, match="there is no column of numbers to preview; there are: date, entity, sector"):
        preview(Given(PRICES.select("date", "entity", sector=pl.lit("x"))))
