"""What a refresh says of a signal: how its values are distributed, what they cover, and what has changed."""

import polars as pl

from definitions.frames import key_columns
from definitions.markdown_table import frame_table

QUANTILES = {"minimum": 0.0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "maximum": 1.0}
DATES = 10  # whose coverage is shown


def signal_description(before: pl.DataFrame | None, now: pl.DataFrame | None, *, value_column: str) -> list[str]:
    """Return as Markdown what the rows of a signal hold `now`, beside those of the version `before`."""
    if now is None or now.is_empty():
        return ["There are no rows."]
    value = pl.col(value_column).cast(pl.Float64)
    rows = now.with_columns(pl.when(value.is_finite()).then(value).alias(value_column))
    return [
        *_changes(before, now, value_column),
        "",
        *_distribution(rows, value_column),
        "",
        *_coverage(rows, value_column),
    ]


def _distribution(rows: pl.DataFrame, value_column: str) -> list[str]:
    newest_rows = rows.filter(pl.col("date") == pl.col("date").max())
    values, newest = (each[value_column].drop_nulls() for each in (rows, newest_rows))
    table = pl.DataFrame(
        {
            "distribution": [*QUANTILES, "mean", "without a value"],
            "all dates": [*_of(values), f"{rows.height - values.len():,}"],
            f"{rows['date'].max()!s}": [*_of(newest), f"{newest_rows.height - newest.len():,}"],
        }
    )
    return frame_table(table)


def _of(values: pl.Series) -> list[str]:
    found = [values.quantile(share, "linear") for share in QUANTILES.values()]
    return [_number(value) for value in (*found, values.mean())]


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else "–"


def _coverage(rows: pl.DataFrame, value_column: str) -> list[str]:
    """Return of how many entities there is a value, date by date: of the newest dates, and the least of all."""
    by_date = rows.group_by("date").agg(entities=pl.col(value_column).is_not_null().sum()).sort("date")
    least = by_date.sort("entities", "date").row(0)
    usual = by_date["entities"].median()
    table = by_date.tail(DATES).reverse().with_columns(pl.col("date").cast(pl.String))
    fewest = f"the fewest, {least[1]}, on {least[0]}"
    return [
        f"{by_date.height:,} dates, usually with values of {_number(usual)} entities; {fewest}.",
        "",
        *frame_table(table.rename({"entities": "entities with a value"})),
    ]


def _changes(before: pl.DataFrame | None, now: pl.DataFrame, value_column: str) -> list[str]:
    if before is None:
        return ["It is the first version."]
    keys = key_columns(now.columns)
    if value_column not in before.columns or keys != key_columns(before.columns):
        return ["The version before had other columns."]
    was = before.select(*keys, was=value_column)
    both = now.join(was, on=keys, how="inner")
    other = both.filter(~pl.col(value_column).eq_missing(pl.col("was")))
    new, gone = now.height - both.height, before.height - both.height
    since = f", the earliest on {other['date'].min()!s}" if other.height else ""
    counted = f"{new:,} rows are new, {gone:,} are gone, {other.height:,} have another value{since}"
    return [f"Beside the version before: {counted}."]
