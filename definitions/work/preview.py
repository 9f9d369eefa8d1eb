"""Previewing what a pipeline computes, without keeping it."""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import polars as pl

from definitions.contract import ExtractRequest, Input, Pipeline
from definitions.errors import SourceError
from definitions.markdown_table import frame_table
from definitions.work.outcome import Outcome
from research.frames.panels import KEYS
from research.signals.column_statistics import Statistics, distribution, statistics

HEAD = 10
NAMES = {
    "rows": "rows",
    "dates": "dates",
    "entities": "entities",
    "nulls": "without a value",
    "mean": "mean",
    "std": "standard deviation",
    "min": "minimum",
    "max": "maximum",
    "skew": "skewness",
    "kurtosis": "excess kurtosis",
}


@runtime_checkable
class ExpressionPreview(Protocol):
    """A pipeline that can also show the rows that it would leave out."""

    def computed(self, request: ExtractRequest) -> pl.DataFrame:
        """Return all rows, those without a value too. Raises `SourceError`."""
        ...


def preview(
    pipeline: Pipeline,
    *,
    inputs: Sequence[Input] = (),
    missing: Sequence[str] = (),
    start: dt.date | None = None,
    end: dt.date | None = None,
    universe: Sequence[str] = (),
) -> Outcome:
    """Describe the values that a pipeline gives from `start` to `end` (inclusive), and keep nothing.

    With a `universe` only those of its entities are shown; they are computed beside all others.

    The inputs are read in whole, so that windows have their history. Rows without a value count too, also
    where a refresh would leave them out. The metrics are those of `research.signals.column_statistics.Statistics`;
    with several columns of numbers each is described, and its name comes first, like `close_mean`.
    Raises `SourceError`, also where no column holds numbers.
    """
    request = ExtractRequest(inputs=tuple(inputs), missing=tuple(missing))
    rows = pipeline.computed(request) if isinstance(pipeline, ExpressionPreview) else pipeline.extract(request)
    columns = _number_columns(rows)
    if universe:
        rows = _of(rows, universe)
    shown = rows.filter(*_within(start, end)).sort("date", "entity")
    found = {name: statistics(shown, name) for name in columns}
    pictures = (distribution(shown, name) for name in columns)
    summary = _summary(rows, shown, found, start, end)
    return Outcome(
        version=None,
        row_count=shown.height,
        metrics={
            name if len(found) == 1 else f"{column}_{name}": value
            for column, described in found.items()
            for name, value in described.known.items()
        },
        message=summary[0],
        summary="\n".join(summary),
        pictures=tuple(picture for picture in pictures if picture is not None),
    )


def _of(rows: pl.DataFrame, universe: Sequence[str]) -> pl.DataFrame:
    """Return the rows of some entities. Raises `SourceError` for one that has none."""
    there = set(rows["entity"].unique())
    if unknown := [name for name in universe if name not in there]:
        raise SourceError(
            f"there are no rows of {', '.join(unknown)}, which the universe names: correct its entities, or leave "
            "it out"
        )
    return rows.filter(pl.col("entity").is_in(universe))


def _number_columns(rows: pl.DataFrame) -> list[str]:
    columns = [name for name, dtype in rows.schema.items() if name not in KEYS and dtype.is_numeric()]
    if not columns:
        raise SourceError(f"there is no column of numbers to preview; there are: {', '.join(rows.columns)}")
    return columns


def _within(start: dt.date | None, end: dt.date | None) -> list[pl.Expr]:
    date = pl.col("date")
    after = [] if start is None else [date >= start]
    return after if end is None else [*after, date <= end]


def _summary(
    rows: pl.DataFrame,
    shown: pl.DataFrame,
    found: dict[str, Statistics],
    start: dt.date | None,
    end: dt.date | None,
) -> list[str]:
    if shown.is_empty():
        reach = "there are none at all" if rows.is_empty() else f"they go from {_reach(rows)}"
        return [f"No rows from {start or 'the first date'} to {end or 'the last one'}: {reach}."]
    described = pl.DataFrame({"statistic": list(NAMES.values())}).with_columns(
        pl.Series(name, [_shown(key, getattr(one, key)) for key in NAMES]) for name, one in found.items()
    )
    head = shown.filter(pl.any_horizontal(pl.col(*found).is_not_null())).head(HEAD)
    head = head.with_columns(pl.col(name).map_elements(_number, pl.String, skip_nulls=False) for name in found)
    return [
        f"{shown.height:,} rows from {_reach(shown)}.",
        "",
        *frame_table(described),
        "",
        "First rows with a value:",
        "",
        *frame_table(head),
    ]


def _reach(rows: pl.DataFrame) -> str:
    first, last = rows.select(first=pl.col("date").min(), last=pl.col("date").max()).row(0)
    return f"{first} to {last}"


def _shown(key: str, value: float | None) -> str:
    if value is not None and key == "nulls":
        return f"{value:.2%}"
    return _number(value)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
