"""The `sql` pipeline: reads the result of a query, from any database that SQLAlchemy knows."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import polars as pl
from pydantic import ConfigDict, Field, field_validator, model_validator

from definitions.addresses import redacted
from definitions.contract import Definition, ExtractRequest, FlowKind, Kind, Resources
from definitions.errors import SourceError
from definitions.pipelines.columns import ColumnParameters, known_columns, typed_rows
from research.errors import first_line

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine, TextClause

EARLIEST = dt.date(1, 1, 1)  # what a full read asks for: later than it is every row
BINDS = ("since", "known_since")


class SqlParameters(ColumnParameters):
    model_config = ConfigDict(hide_input_in_errors=True)  # a refused URL may hold a password

    query: str = Field(
        description="The query. :since is the last date in the store, :known_since the last knowledge_date: use "
        "them to read new rows only. A full read gives 0001-01-01 for both.",
    )
    connector: str | None = Field(default=None, description="Name of the SqlAlchemyConnector block of the database.")
    url: str | None = Field(
        default=None, description="SQLAlchemy URL of the database, without a password, in place of a connector."
    )
    password_secret: str | None = Field(
        default=None, description="Name of the Secret block that holds the password for the URL."
    )

    @field_validator("url")
    @classmethod
    def _without_password(cls, value: str | None) -> str | None:
        if value is None:
            return None
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError("this is no SQLAlchemy URL: write one like postgresql+psycopg://user@host/db") from None
        if url.password is not None or any(redacted(option) != option for option in _options(url)):
            raise ValueError(
                "the URL holds a password, which a config must not: take it out, keep it in a Secret block, "
                "and name that block in password_secret"
            )
        return value

    @field_validator("query")
    @classmethod
    def _known_binds(cls, value: str) -> str:
        for name in bind_names(value):
            if name not in BINDS:
                raise ValueError(
                    f"the query has the parameter :{name}, but is given only :since and :known_since; "
                    f"for a colon that begins no parameter write \\:{name}"
                )
        return value

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if (self.connector is None) == (self.url is None):
            raise ValueError("name the database: set one of connector and url, and not both")
        if self.password_secret is not None and self.url is None:
            raise ValueError("password_secret goes with url: a connector holds its own password")
        return self


def _options(url: "URL") -> list[str]:
    query = url.query.items()
    return [f"?{key}={part}" for key, value in query for part in ([value] if isinstance(value, str) else value)]


def bind_names(query: str) -> list[str]:
    """Return the names of the parameters in a query."""
    from sqlalchemy import text

    return list(text(query).compile().params)


class SqlPipeline:
    """Runs the query, in a transaction that is rolled back, and returns its rows.

    A query without parameters reads everything on every refresh. One that reads what is newer than `:since`
    misses revisions of older dates: read data with a knowledge_date by `:known_since`.
    """

    def __init__(self, parameters: SqlParameters, resources: Resources) -> None:
        self.parameters = parameters
        self.resources = resources

    def check(self) -> None:
        self._engine().dispose()

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        engine = self._engine()
        source = self._source(engine.url)
        try:
            with _translated(source), engine.connect() as connection:
                result = connection.execute(self._query(request))
                names, rows = list(result.keys()), [tuple(row) for row in result]
        finally:
            engine.dispose()
        return typed_rows(_frame(names, rows, source), self.parameters, source)

    def _query(self, request: ExtractRequest) -> "TextClause":
        from sqlalchemy import Date, bindparam, text

        since = request.since
        given = {
            "since": since.date if since else EARLIEST,
            "known_since": (since.knowledge_date if since else None) or EARLIEST,
        }
        query = self.parameters.query
        return text(query).bindparams(*(bindparam(name, given[name], Date) for name in bind_names(query)))

    def _engine(self) -> "Engine":
        from sqlalchemy import create_engine

        url = self._url()
        try:
            return create_engine(url)
        except ImportError as error:
            raise SourceError(f"{self._source(url)}: the database driver is not installed: {error}") from error

    def _url(self) -> "URL":
        from sqlalchemy import make_url

        parameters, credentials = self.parameters, self.resources.credentials
        if parameters.connector is not None:
            return make_url(credentials.database_url(parameters.connector))
        assert parameters.url is not None
        url = make_url(parameters.url)
        if parameters.password_secret is None:
            return url
        return url.set(password=credentials.secret(parameters.password_secret))

    def _source(self, url: "URL") -> str:
        if self.parameters.connector is not None:
            return f"the query on connector {self.parameters.connector!r}"
        return f"the query on {redacted(url.render_as_string(hide_password=False))}"


@contextmanager
def _translated(source: str) -> Iterator[None]:
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        said = (isinstance(error, DBAPIError) and error.orig) or error
        raise SourceError(f"{source} failed: {first_line(said)}") from error


def _frame(names: list[str], rows: list[tuple[Any, ...]], source: str) -> pl.DataFrame:
    if len(set(names)) < len(names):
        raise SourceError(f"{source} gives two columns of one name ({', '.join(names)}): name each with AS")
    try:
        return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        raise SourceError(f"{source} gives a column of mixed types: {error}. Cast it in the query.") from error


def _pipeline(parameters: SqlParameters, resources: Resources) -> SqlPipeline:
    return SqlPipeline(parameters, resources)


SQL = Definition(
    kind=Kind.PIPELINE,
    name="sql",
    version=1,
    summary="Reads the result of a query, from any database that SQLAlchemy knows.",
    parameters=SqlParameters,
    factory=_pipeline,
    columns=known_columns,
    flows=(FlowKind.REFRESH,),
)
