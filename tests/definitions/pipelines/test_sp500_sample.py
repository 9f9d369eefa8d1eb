import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from definitions.contract import ExtractRequest, Input, Kind, ReadRequest, Watermark
from definitions.errors import SourceError
from definitions.stores.delta import DeltaStore
from definitions.work.refresh import refresh
from tests.definitions.resources import make, number

SAMPLE = "sp500-sample"


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    return DeltaStore(str(tmp_path / "prices"))


def test_every_value_of_the_package_is_in_the_store(store: DeltaStore) -> None:
    from skfolio.datasets import load_sp500_dataset

    outcome = refresh(make(Kind.PIPELINE, SAMPLE, {}), store)

    package = load_sp500_dataset()
    assert package.shape == (8313, 20)
    expected = {
        (date.date(), ticker, close) for ticker in package for date, close in package[ticker].dropna().to_dict().items()
    }
    rows = make(Kind.ACCESSOR, "simple", {}).read(store, ReadRequest(str(outcome.version)))
    assert rows.columns == ["date", "entity", "close"]
    assert rows.height == len(expected) == outcome.row_count
    assert set(rows.rows()) == expected
    assert outcome.watermark == dt.date(2022, 12, 28)


def test_a_second_refresh_reads_nothing_and_commits_nothing(store: DeltaStore) -> None:
    pipeline = make(Kind.PIPELINE, SAMPLE, {"tickers": ["AAPL", "XOM"]})
    first = refresh(pipeline, store)

    second = refresh(pipeline, store)

    assert (number(first.version), first.found_new, first.row_count) == ("0", True, 16626)
    assert (number(second.version), second.found_new, second.row_count) == ("0", False, 16626)
    assert second.metrics["rows_read"] == 0
    assert second.watermark == dt.date(2022, 12, 28)


def test_only_new_days_are_read(store: DeltaStore) -> None:
    refresh(make(Kind.PIPELINE, SAMPLE, {"end": "2022-12-23"}), store)

    outcome = refresh(make(Kind.PIPELINE, SAMPLE, {"end": "2022-12-27"}), store)

    assert outcome.metrics["rows_read"] == 20
    assert (number(outcome.version), outcome.watermark) == ("1", dt.date(2022, 12, 27))


def test_tickers_and_dates_are_chosen() -> None:
    pipeline = make(Kind.PIPELINE, SAMPLE, {"tickers": ["XOM"], "start": "2022-12-27"})

    rows = pipeline.extract(ExtractRequest(since=Watermark(dt.date(2020, 1, 1))))

    assert rows.rows() == [(dt.date(2022, 12, 27), "XOM", 108.408), (dt.date(2022, 12, 28), "XOM", 106.627)]


def test_an_unknown_ticker_is_named() -> None:
    pipeline = make(Kind.PIPELINE, SAMPLE, {"tickers": ["AAPL", "TSLA"]})

    with pytest.raises(SourceError, match="skfolio's S&P 500 sample has no TSLA; its tickers are: AAPL, AMD, BAC"):
        pipeline.check()
    with pytest.raises(SourceError, match="has no TSLA"):
        pipeline.extract(ExtractRequest())


def test_momentum_equals_a_computation_by_hand() -> None:
    prices = make(Kind.PIPELINE, SAMPLE, {}).extract(ExtractRequest())
    momentum = make(Kind.PIPELINE, "expression", {"expression": "REF(close, 21) / REF(close, 252) - 1"})

    rows = momentum.extract(ExtractRequest(inputs=(Input("prices", "input", prices),)))

    def close(ticker: str, date: dt.date) -> float:
        return float(prices.row(by_predicate=(pl.col("entity") == ticker) & (pl.col("date") == date))[2])

    # The stock, the date, the dates 21 and 252 rows earlier with their closes, and their ratio less one.
    by_hand = [
        ("AAPL", dt.date(1998, 4, 23), (dt.date(1998, 3, 24), 0.212), (dt.date(1997, 4, 23), 0.138), 0.5362318841),
        ("JPM", dt.date(2009, 10, 30), (dt.date(2009, 10, 1), 28.964), (dt.date(2008, 10, 30), 25.937), 0.1167058642),
        ("XOM", dt.date(2022, 12, 28), (dt.date(2022, 11, 28), 108.034), (dt.date(2021, 12, 28), 58.376), 0.8506578046),
    ]
    for ticker, date, recent, old, expected in by_hand:
        assert close(ticker, recent[0]) == recent[1]
        assert close(ticker, old[0]) == old[1]
        value = rows.row(by_predicate=(pl.col("entity") == ticker) & (pl.col("date") == date))[2]
        assert value == pytest.approx(expected, abs=1e-10)
    assert rows.height == 20 * (8313 - 252)
    assert rows["date"].min() == dt.date(1990, 12, 31)
