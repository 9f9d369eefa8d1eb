import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from definitions.contract import ExtractRequest, Kind
from definitions.errors import SourceError
from tests.definitions.resources import make

ROWS = pl.DataFrame(
    {"day": ["2024-01-01", "2024-01-02"], "permno": [10107, 10107], "prc": [1, 2], "sector": ["x", "y"]}
)
COLUMNS = {"date": "day", "entity": "permno", "values": {"prc": "close"}}


def test_reads_a_file_or_a_pattern_of_files(tmp_path: Path) -> None:
    ROWS.head(1).write_parquet(tmp_path / "1.parquet")
    ROWS.tail(1).write_parquet(tmp_path / "2.parquet")

    for name, rows in (("1.parquet", 1), ("*.parquet", 2), ("", 2)):
        pipeline = make(Kind.PIPELINE, "parquet", {"path": str(tmp_path / name), **COLUMNS})
        pipeline.check()
        read = pipeline.extract(ExtractRequest())
        assert read.rows() == [(dt.date(2024, 1, n), "10107", n) for n in range(1, rows + 1)]


def test_a_bad_date_or_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.parquet"
    ROWS.with_columns(day=pl.Series(["2024-01-01", "1/2/24"])).write_parquet(path)

    with pytest.raises(SourceError) as bad_date:
        make(Kind.PIPELINE, "parquet", {"path": str(path), **COLUMNS}).extract(ExtractRequest())
    with pytest.raises(SourceError, match=r"prices.parquet has no column 'date'\. Its columns are: day, permno"):
        make(Kind.PIPELINE, "parquet", {"path": str(path)}).extract(ExtractRequest())

    assert (
        str(bad_date.value)
        == f"{path}, row 2, column 'date': '1/2/24' is not a date like 2024-01-31. Correct the source."
    )


def test_a_file_that_is_not_there_or_not_parquet(tmp_path: Path) -> None:
    pipeline = make(Kind.PIPELINE, "parquet", {"path": str(tmp_path / "*.parquet")})

    with pytest.raises(SourceError, match=r"there is no file .*\*.parquet: correct the path"):
        pipeline.check()
    (tmp_path / "1.parquet").write_text("date,entity")
    with pytest.raises(SourceError, match=r"\*.parquet can't be read: "):
        pipeline.extract(ExtractRequest())
