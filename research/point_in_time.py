"""Point-in-time reading: what was known at a date, and nothing that became known later."""

import datetime as dt

import polars as pl


def point_in_time(rows: pl.LazyFrame, *, as_of: dt.date | None = None) -> pl.LazyFrame:
    """Return, for each (date, entity), the row with the greatest `knowledge_date` not after `as_of`.

    `rows` holds `date` (Date), `entity` (String), `knowledge_date` (Date) and value columns, one row per
    (date, entity, knowledge_date). The result has the same columns and one row per (date, entity), in no
    particular order; a (date, entity) that nothing was known of at `as_of` is absent. Without `as_of` the
    newest revision of all is returned. A later revision hides an earlier one as a whole row, its nulls too.
    """
    known = rows if as_of is None else rows.filter(pl.col("knowledge_date") <= as_of)
    newest = pl.col("knowledge_date").max().over("date", "entity")
    return known.filter(pl.col("knowledge_date") == newest)
