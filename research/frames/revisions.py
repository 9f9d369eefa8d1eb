"""Point-in-time reading: what was known at a date, and nothing that became known later."""

import datetime as dt

import polars as pl

_KNOWN = "(known)"  # no value column has this name


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


def as_known(rows: pl.LazyFrame, *, as_of: dt.date | None = None) -> pl.LazyFrame:
    """Return rows dated by when they were known: what the newest record of each entity was, day by day.

    `rows` is as for `point_in_time`. On each day on which the newest record known of an entity changes
    there is one row: that day as its `date`, `entity`, and the record's value columns. The newest record is
    the one with the greatest date and, of that date, the greatest `knowledge_date`; a record is known from
    its `knowledge_date` on, but never before its own date. So the correction of an older record gives no
    row, nor does a record that comes in later than a newer one. With `as_of` nothing is returned that
    became known after it. One row per (date, entity), in no particular order.
    """
    record = ("date", "knowledge_date")
    known = pl.max_horizontal(*record).alias(_KNOWN)
    seen = rows.with_columns(known)
    if as_of is not None:
        seen = seen.filter(pl.col(_KNOWN) <= as_of)
    in_order = seen.sort("entity", _KNOWN, *record)
    of_each_day = in_order.unique(["entity", _KNOWN], keep="last", maintain_order=True)
    newest = pl.col("date") == pl.col("date").cum_max().over("entity")
    return of_each_day.filter(newest).drop(record).select(pl.col(_KNOWN).alias("date"), pl.exclude(_KNOWN))
