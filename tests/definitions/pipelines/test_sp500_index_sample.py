import datetime as dt
from pathlib import Path

from definitions.contract import ExtractRequest, Kind, ReadRequest, Watermark
from definitions.stores.delta import DeltaStore
from definitions.work.refresh import refresh
from tests.definitions.resources import make

SAMPLE = "sp500-index-sample"


def test_every_value_of_the_package_is_in_the_store(tmp_path: Path) -> None:
    from skfolio.datasets import load_sp500_index

    store = DeltaStore(str(tmp_path / "index"))
    pipeline = make(Kind.PIPELINE, SAMPLE, {})
    pipeline.check()
    outcome = refresh(pipeline, store)

    closes = load_sp500_index()["SP500"].dropna()
    rows = make(Kind.ACCESSOR, "simple", {}).read(store, ReadRequest(str(outcome.version)))
    assert rows.columns == ["date", "entity", "close"]
    assert rows.rows() == [(date.date(), "SPX", close) for date, close in closes.items()]
    assert outcome.watermark == dt.date(2022, 12, 28)


def test_dates_are_chosen() -> None:
    pipeline = make(Kind.PIPELINE, SAMPLE, {"start": "2022-12-01", "end": "2022-12-27"})

    rows = pipeline.extract(ExtractRequest(since=Watermark(dt.date(2022, 12, 23))))

    assert rows.rows() == [(dt.date(2022, 12, 27), "SPX", 3829.25)]
