import datetime as dt
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from definitions.contract import ExtractRequest, Kind, Pipeline, Watermark
from definitions.errors import InvalidConfig, MissingSecret, SourceError
from definitions.stores.delta import DeltaStore
from definitions.work.refresh import refresh
from tests.definitions.resources import FakeCredentials, make, number, resources

RESOURCE_KINDS = "SELECT date, entity, close FROM prices"


@pytest.fixture
def url(tmp_path: Path) -> str:
    path = tmp_path / "source.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE prices (date TEXT, entity TEXT, close REAL, seen TEXT)")
        rows = [("2024-01-01", "A", 1.0, "2024-01-01"), ("2024-01-02", "A", 2.0, "2024-01-05")]
        database.executemany("INSERT INTO prices VALUES (?, ?, ?, ?)", rows)
    database.close()
    return f"sqlite:///{path}"


def pipeline(config: Mapping[str, Any], credentials: FakeCredentials | None = None) -> Pipeline:
    made: Pipeline = make(Kind.PIPELINE, "sql", config, resources(credentials=credentials))
    return made


def read(pipeline: Pipeline, since: Watermark | None = None) -> list[tuple[object, ...]]:
    return pipeline.extract(ExtractRequest(since=since)).rows()


def test_reads_the_whole_query(url: str) -> None:
    given = pipeline({"url": url, "query": RESOURCE_KINDS})

    given.check()

    assert read(given, Watermark(dt.date(2024, 1, 1))) == [
        (dt.date(2024, 1, 1), "A", 1.0),
        (dt.date(2024, 1, 2), "A", 2.0),
    ]


def test_since_reads_new_dates_and_a_full_read_all(url: str) -> None:
    given = pipeline({"url": url, "query": f"{RESOURCE_KINDS} WHERE date > :since"})

    assert read(given, Watermark(dt.date(2024, 1, 1))) == [(dt.date(2024, 1, 2), "A", 2.0)]
    assert len(read(given)) == 2


def test_known_since_reads_new_revisions(url: str) -> None:
    query = "SELECT date, entity, close, seen FROM prices WHERE seen > :known_since"
    given = pipeline({"url": url, "query": query, "knowledge_date": "seen"})

    read_since = read(given, Watermark(dt.date(2024, 1, 2), dt.date(2024, 1, 1)))

    assert read_since == [(dt.date(2024, 1, 2), "A", dt.date(2024, 1, 5), 2.0)]


def test_refreshes_a_store_step_by_step(url: str, tmp_path: Path) -> None:
    store = DeltaStore(str(tmp_path / "prices"))
    given = pipeline({"url": url, "query": f"{RESOURCE_KINDS} WHERE date > :since"})
    refresh(given, store)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute("INSERT INTO prices VALUES ('2024-01-03', 'A', 3.0, NULL)")
    database.close()

    outcome = refresh(given, store)

    assert outcome.metrics == {
        "rows_read": 1.0, "bytes_processed": 4.0 + 1.0 + 8.0,  # a date, a letter, a number
         "rows": 3.0,
        "rows_inserted": 1.0, "rows_updated": 0.0, "rows_deleted": 0.0,
    }  # fmt: skip
    assert (number(outcome.version), outcome.watermark) == ("1", dt.date(2024, 1, 3))
    assert not refresh(given, store).found_new


def test_the_database_is_named_by_a_connector_block(url: str) -> None:
    config = {"connector": "warehouse", "query": RESOURCE_KINDS}

    assert len(read(pipeline(config, FakeCredentials(urls={"warehouse": url})))) == 2
    with pytest.raises(MissingSecret, match="there is no SqlAlchemyConnector block named 'warehouse'"):
        pipeline(config).check()


def test_the_password_comes_from_a_secret_block_and_is_never_shown() -> None:
    url = "postgresql+psycopg://me@127.0.0.1:1/db"
    config = {"url": url, "password_secret": "db-password", "query": RESOURCE_KINDS}
    given = pipeline(config, FakeCredentials(secrets={"db-password": "hunter2"}))

    given.check()
    with pytest.raises(SourceError) as caught:
        given.extract(ExtractRequest())

    assert str(caught.value).startswith("the query on postgresql+psycopg://me:***@127.0.0.1:1/db failed: ")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(MissingSecret, match="there is no Secret block named 'db-password'"):
        pipeline(config).check()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host/db",
        "postgresql://host/db?password=hunter2",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3Dhunter2",
    ],
)
def test_a_password_in_the_config_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        pipeline({"url": url, "query": RESOURCE_KINDS})

    assert str(caught.value) == (
        "the config does not fit pipeline sql@1: config.url: the URL holds a password, which a config must not: "
        "take it out, keep it in a Secret block, and name that block in password_secret. Its parameters are: "
        "date, entity, knowledge_date, values, query, connector, url, password_secret."
    )


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "name the database: set one of connector and url, and not both"),
        ({"connector": "a", "url": "sqlite://"}, "name the database: set one of connector and url, and not both"),
        ({"connector": "a", "password_secret": "b"}, "password_secret goes with url"),
        ({"url": "warehouse"}, "this is no SQLAlchemy URL: write one like postgresql"),
        (
            {"url": "sqlite://", "query": "SELECT :until"},
            "the query has the parameter :until, but is given only :since",
        ),
    ],
)
def test_a_config_without_sense_is_refused(config: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidConfig, match=problem):
        pipeline({"query": RESOURCE_KINDS, **config})


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELECT * FROM nowhere", r"^the query on sqlite:///.*source.db failed: no such table: nowhere$"),
        ("SELECT date, date, entity FROM prices", "gives two columns of one name"),
        ("SELECT date, close FROM prices", "has no column 'entity'"),
        ("SELECT 'soon' AS date, entity FROM prices", "row 1, column 'date': 'soon' is not a date like 2024-01-31"),
    ],
)
def test_a_query_that_fails_is_named(url: str, query: str, problem: str) -> None:
    with pytest.raises(SourceError, match=problem):
        pipeline({"url": url, "query": query}).extract(ExtractRequest())


def test_a_query_changes_nothing(url: str) -> None:
    with pytest.raises(SourceError):
        pipeline({"url": url, "query": "DELETE FROM prices"}).extract(ExtractRequest())

    assert len(read(pipeline({"url": url, "query": RESOURCE_KINDS}))) == 2


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(SourceError, match="the database driver is not installed: No module named 'MySQLdb'"):
        pipeline({"url": "mysql://host/db", "query": RESOURCE_KINDS}).check()
