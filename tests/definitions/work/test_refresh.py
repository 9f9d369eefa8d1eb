import datetime as dt
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from definitions.contract import Input, Kind
from definitions.stores.delta import DeltaStore
from definitions.work.refresh import refresh
from research.signals.signal_values import SignalValuesError, check_signal
from tests.definitions.resources import make, newest, number


def prices(*closes: float) -> pl.DataFrame:
    days = [dt.date(2024, 1, 1 + n) for n in range(len(closes))]
    return pl.DataFrame({"date": days, "entity": ["A"] * len(closes), "close": closes})


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    return DeltaStore(str(tmp_path / "signal"))


def test_a_revised_input_changes_and_removes_rows(store: DeltaStore) -> None:
    pipeline = make(Kind.PIPELINE, "expression", {"expression": "close * 2"})
    refresh(pipeline, store, inputs=[Input("prices", "input", prices(1.0, 2.0, 3.0))])

    outcome = refresh(pipeline, store, inputs=[Input("prices", "input", prices(1.0, 5.0))])

    assert (number(outcome.version), outcome.row_count, outcome.watermark) == ("1", 2, dt.date(2024, 1, 2))
    assert sorted(store.scan(newest(store)).collect()["value"]) == [2.0, 10.0]
    assert not refresh(pipeline, store, inputs=[Input("prices", "input", prices(1.0, 5.0))]).found_new


def test_everything_drops_what_the_source_no_longer_gives(store: DeltaStore) -> None:
    refresh(make(Kind.PIPELINE, "sp500-sample", {"tickers": ["AAPL", "XOM"], "start": "2022-12-01"}), store)
    one = make(Kind.PIPELINE, "sp500-sample", {"tickers": ["AAPL"], "start": "2022-12-01"})

    assert refresh(one, store).row_count == 38
    assert refresh(one, store, everything=True).row_count == 19


def test_a_signal_out_of_bounds_commits_nothing(store: DeltaStore) -> None:
    pipeline = make(Kind.PIPELINE, "expression", {"expression": "close"})
    inputs = [Input("prices", "input", prices(0.5, 2.0))]

    with pytest.raises(SignalValuesError, match="1 of 2 rows are above the maximum 1"):
        refresh(pipeline, store, inputs=inputs, check=partial(check_signal, max=1))

    assert store.head() is None
