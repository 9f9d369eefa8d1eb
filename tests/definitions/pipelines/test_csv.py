import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from definitions.contract import ExtractRequest, Kind, Pipeline
from definitions.errors import InvalidConfig, SourceError
from tests.definitions.resources import make


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prices.csv"


def pipeline(path: Path, **config: Any) -> Pipeline:
    made: Pipeline = make(Kind.PIPELINE, "csv", {"path": str(path), **config})
    return made


def read(path: Path, cells: str, **config: Any) -> list[tuple[object, ...]]:
    path.write_text(cells)
    return pipeline(path, **config).extract(ExtractRequest()).rows()


def refusal(path: Path, cells: str, **config: Any) -> str:
    with pytest.raises(SourceError) as caught:
        read(path, cells, **config)
    return str(caught.value).removeprefix(str(path))


def test_reads_dates_entities_and_numbers(path: Path) -> None:
    cells = "date,entity,close,volume\n2024-01-01,0005,1.5,10\n\n2024-01-02T00:00:00,0005,NA, 20 \n"

    assert read(path, cells) == [
        (dt.date(2024, 1, 1), "0005", 1.5, 10.0),
        (dt.date(2024, 1, 2), "0005", None, 20.0),
    ]


def test_columns_and_formats_are_chosen(path: Path) -> None:
    cells = "Day;Ticker;Adj Close;Sector;Seen;Note\n01.02.2024;A;1,5;tech;03.02.2024;x\n"
    config = {
        "date": "Day",
        "entity": "Ticker",
        "knowledge_date": "Seen",
        "values": {"Adj Close": "close", "Sector": "sector"},
        "separator": ";",
        "decimal_comma": True,
        "date_format": "%d.%m.%Y",
        "text": ["Sector"],
    }

    assert read(path, cells, **config) == [(dt.date(2024, 2, 1), "A", dt.date(2024, 2, 3), 1.5, "tech")]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            "2024-01-01,A,1\n\n2024-13-02,A,2",
            ", line 4, column 'date': '2024-13-02' is not a date like 2024-01-31. Correct the source.",
        ),
        (
            "2024-01-01,A,1\n2024-01-02,A,high",
            ", line 3, column 'close': 'high' is not a number. "
            "Correct the file, or list the column under 'text' in the config.",
        ),
        ("2024-01-01,A,1\n2024-01-02,,2", ", line 3, column 'entity': the cell is empty. Correct the file."),
        ("2024-01-01,A,1\n2024-01-02,A,2,3", ", line 3: more cells than the header has. Correct the file."),
        (
            "2024-01-01,A,1\n2024-01-01,A,2",
            ": 1 key more than once (date, entity), first 2024-01-01, A: "
            "keep one row for each, or add a knowledge_date column if these are revisions",
        ),
    ],
)
def test_a_bad_row_is_shown(path: Path, lines: str, problem: str) -> None:
    assert refusal(path, f"date,entity,close\n{lines}\n") == problem


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            {"entity": "tikcer"},
            " has no column 'tikcer', did you mean 'ticker'? Its columns are: date, ticker, close. "
            "Correct the config's column names.",
        ),
        (
            {"entity": "ticker", "values": ["volume"]},
            " has no column 'volume'. Its columns are: date, ticker, close. Correct the config's column names.",
        ),
        (
            {"entity": "ticker", "values": {"close": "date"}},
            ": two columns would have one name (date as date, ticker as entity, close as date): "
            "give each a name of its own",
        ),
        (
            {"entity": "ticker", "text": ["sector"]},
            ": the text column 'sector' is not among the columns read: date, ticker, close",
        ),
    ],
)
def test_a_config_that_does_not_fit_the_file(path: Path, config: dict[str, Any], problem: str) -> None:
    assert refusal(path, "date,ticker,close\n2024-01-01,A,1\n", **config) == problem


def test_an_empty_or_foreign_file(path: Path) -> None:
    assert refusal(path, "") == " is empty: it needs a header line and rows"
    assert read(path, "date,entity,close\n") == []
    path.write_bytes("date,entity,close\n2024-01-01,é,1\n".encode("latin1"))
    with pytest.raises(SourceError, match=r"prices.csv can't be read: invalid utf-8 sequence"):
        pipeline(path).extract(ExtractRequest())


def test_check_says_when_the_path_is_not_there(path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        pipeline(path).check()
    assert str(caught.value) == f"there is no file {path}: correct the path, or put the file there"
    with pytest.raises(SourceError, match=r"there is no file /.+/nowhere\.csv: correct the path"):
        pipeline(Path("nowhere.csv")).check()

    path.write_text("")
    pipeline(path).check()
    make(Kind.PIPELINE, "csv", {"path": "s3://bucket/prices.csv"}).check()


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(
        InvalidConfig, match=r"config\.seperator: is not a field that there is; did you mean 'separator'"
    ):
        pipeline(Path("x"), seperator=";")
