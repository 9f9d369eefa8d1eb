import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import polars as pl
import pytest

from definitions.contract import ExtractRequest, Input, Kind
from definitions.errors import StoreConflict
from definitions.stores.delta import DeltaStore
from definitions.work.commits import ATTEMPTS, until_committed
from definitions.work.outcome import Outcome
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
        refresh(pipeline, store, inputs=inputs, check=lambda rows, kept: check_signal(rows, max=1))

    assert store.head() is None


# Two at once


class Source:
    """A source that lets another refresh of the same store happen while it is read, as often as is said."""

    def __init__(self, closes: list[float], store: DeltaStore, others: int = 0) -> None:
        self.closes, self.store, self.others = closes, store, others
        self.asked: list[object] = []

    def check(self) -> None: ...

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        self.asked.append(request.since.date if request.since else None)
        read = prices(*self.closes)
        if self.others:
            self.others -= 1
            self.closes = [*self.closes, float(len(self.closes))]  # which the other one sees, and this one has not
            refresh(Source(self.closes, self.store), self.store)
        return read


def closes(store: DeltaStore) -> list[float]:
    found: list[float] = store.scan(newest(store)).sort("date").collect()["close"].to_list()
    return found


def test_a_refresh_that_another_one_has_outrun_asks_its_source_again(store: DeltaStore) -> None:
    """What it has read is older, and would take the place of what the other one has read."""
    refresh(Source([0.0], store), store)
    source = Source([0.0, 1.0], store, others=1)
    outcome = refresh(source, store)
    assert source.asked == [dt.date(2024, 1, 1), dt.date(2024, 1, 3)]
    assert not outcome.found_new  # it confirms what the other one has left
    assert (number(outcome.version), closes(store)) == ("1", [0.0, 1.0, 2.0])
    assert refresh(Source([5.0], store, others=1), store, everything=True).found_new  # on top of the other one
    assert closes(store) == [5.0, 1.0]


def test_the_first_two_refreshes_of_a_store_may_come_at_once(store: DeltaStore) -> None:
    outcome = refresh(Source([0.0], store, others=1), store)
    assert (number(outcome.version), closes(store)) == ("0", [0.0, 1.0])


def test_many_at_once_all_come_through(store: DeltaStore) -> None:
    """Each on its own, as in processes of their own: whatever happens between their looking and their committing."""

    start = Barrier(4)

    def one(count: int) -> Outcome:
        start.wait()
        return refresh(Source([float(n) for n in range(count)], store), DeltaStore(store.location))

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(one, [3, 1, 4, 2]))
    assert closes(store) == [0.0, 1.0, 2.0, 3.0]
    newest_first = sorted((int(number(outcome.version)) for outcome in outcomes), reverse=True)
    assert newest_first[0] == int(number(newest(store)))


def test_it_gives_up_where_others_are_quicker_for_ever() -> None:
    tried = 0

    def attempt() -> None:
        nonlocal tried
        tried += 1
        raise StoreConflict("another one was quicker")

    with pytest.raises(StoreConflict):
        until_committed(attempt)
    assert tried == ATTEMPTS
