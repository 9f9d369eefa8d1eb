import datetime as dt
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from definitions.contract import Accessor, Kind, ReadRequest
from definitions.errors import StoreError
from definitions.stores.delta import DeltaStore
from tests.definitions.resources import make, newest


def day(n: int) -> dt.date:
    return dt.date(2024, 1, n)


@pytest.fixture
def plain(tmp_path: Path) -> DeltaStore:
    store = DeltaStore(str(tmp_path / "plain"))
    dates = [day(2), day(1), day(3), day(1)]
    store.write(pl.DataFrame({"date": dates, "entity": list("BBAA"), "close": [1, 2, 3, 4], "volume": [5, 6, 7, 8]}))
    return store


@pytest.fixture
def revised(tmp_path: Path) -> DeltaStore:
    store = DeltaStore(str(tmp_path / "revised"))
    dates = [day(1), day(1), day(2)]
    store.write(
        pl.DataFrame({"date": dates, "entity": "A", "knowledge_date": [day(1), day(9), day(3)], "gdp": [1.0, 2.0, 3.0]})
    )
    return store


SIMPLE: Accessor = make(Kind.ACCESSOR, "simple", {})
POINT_IN_TIME: Accessor = make(Kind.ACCESSOR, "point-in-time", {})


def test_simple_reads_all_rows_sorted_by_entity_and_date(plain: DeltaStore) -> None:
    assert SIMPLE.read(plain, ReadRequest(newest(plain))).rows() == [
        (day(1), "A", 4, 8),
        (day(3), "A", 3, 7),
        (day(1), "B", 2, 6),
        (day(2), "B", 1, 5),
    ]


def test_dates_are_inclusive_and_columns_chosen(plain: DeltaStore) -> None:
    read = SIMPLE.read(plain, ReadRequest(newest(plain), start=day(2), end=day(3), columns=("volume",)))

    assert read.columns == ["date", "entity", "volume"]
    assert read.rows() == [(day(3), "A", 7), (day(2), "B", 5)]


def test_simple_hides_what_is_dated_after_as_of(plain: DeltaStore) -> None:
    assert SIMPLE.read(plain, ReadRequest(newest(plain), as_of=day(1)))["date"].unique().to_list() == [day(1)]


def test_point_in_time_reads_what_was_known(revised: DeltaStore) -> None:
    def read(request: ReadRequest) -> list[tuple[object, ...]]:
        return POINT_IN_TIME.read(revised, request).rows()

    assert read(ReadRequest(newest(revised))) == [(day(1), "A", day(9), 2.0), (day(2), "A", day(3), 3.0)]
    assert read(ReadRequest(newest(revised), as_of=day(8))) == [(day(1), "A", day(1), 1.0), (day(2), "A", day(3), 3.0)]
    assert read(ReadRequest(newest(revised), as_of=day(2), columns=("gdp",))) == [(day(1), "A", day(1), 1.0)]
    assert read(ReadRequest(newest(revised), start=day(2))) == [(day(2), "A", day(3), 3.0)]


def test_as_known_dates_rows_by_when_they_were_known(revised: DeltaStore) -> None:
    def read(request: ReadRequest) -> list[tuple[object, ...]]:
        return POINT_IN_TIME.read(revised, request).rows()

    assert read(ReadRequest(newest(revised), as_known=True)) == [(day(1), "A", 1.0), (day(3), "A", 3.0)]
    assert read(ReadRequest(newest(revised), as_known=True, as_of=day(2))) == [(day(1), "A", 1.0)]
    assert read(ReadRequest(newest(revised), as_known=True, start=day(3))) == [(day(3), "A", 3.0)]
    assert read(ReadRequest(newest(revised), as_known=True, end=day(2))) == [(day(1), "A", 1.0)]


def test_simple_rows_are_known_on_their_dates(plain: DeltaStore) -> None:
    request = ReadRequest(newest(plain), as_of=day(2))
    assert SIMPLE.read(plain, replace(request, as_known=True)).equals(SIMPLE.read(plain, request))


def test_each_accessor_refuses_the_table_of_the_other(plain: DeltaStore, revised: DeltaStore) -> None:
    with pytest.raises(StoreError) as simple:
        SIMPLE.read(revised, ReadRequest(newest(revised)))
    with pytest.raises(StoreError) as point_in_time:
        POINT_IN_TIME.read(plain, ReadRequest(newest(plain)))

    assert str(simple.value) == (
        "the rows have a knowledge_date, so they may be revised, and the accessor 'simple' can't say "
        "which revision to read: use the accessor 'point-in-time'"
    )
    assert str(point_in_time.value) == (
        "the rows have no knowledge_date, which the accessor 'point-in-time' reads by: "
        "use the accessor 'simple', or give the pipeline the column that says when a row became known"
    )


def test_an_unknown_column_is_named(plain: DeltaStore) -> None:
    with pytest.raises(StoreError) as caught:
        SIMPLE.read(plain, ReadRequest(newest(plain), columns=("clsoe",)))

    assert str(caught.value) == (
        "the table has no column 'clsoe'. Did you mean 'close'? Its columns are: close, volume."
    )
