"""What every accessor does alike: the columns and dates that the reader asks for, and the order of rows."""

from difflib import get_close_matches

import polars as pl

from definitions.contract import ReadRequest, Store
from definitions.errors import StoreError
from definitions.frames import key_columns


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
                near = get_close_matches(name, values, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
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
