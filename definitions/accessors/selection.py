"""What every accessor does alike: the columns and dates that the reader asks for, and the order of rows."""

import polars as pl

from definitions.contract import ReadRequest, Store
from definitions.errors import StoreError
from definitions.frames import key_columns
from research.errors import did_you_mean


def selected(store: Store, request: ReadRequest) -> pl.LazyFrame:
    """Return the version's rows, with the keys and the columns asked for.

    Raises `StoreError` for an unknown version or column.
    """
    rows = store.scan(request.version)
    names = rows.collect_schema().names()
    keys = key_columns(names)
    values = [name for name in names if name not in keys]
    if request.columns is not None:
        for name in request.columns:
            if name not in names:
                hint = did_you_mean(name, values)
                raise StoreError(f"the table has no column {name!r}.{hint} Its columns are: {', '.join(values)}.")
        values = [name for name in request.columns if name not in keys]
    return rows.select(*keys, *dict.fromkeys(values))


def between(rows: pl.LazyFrame, request: ReadRequest) -> pl.LazyFrame:
    """Return the rows between the dates asked for."""
    if request.start is not None:
        rows = rows.filter(pl.col("date") >= request.start)
    if request.end is not None:
        rows = rows.filter(pl.col("date") <= request.end)
    return rows


def ordered(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return the rows, sorted by entity and date."""
    return rows.sort("entity", "date").collect()
