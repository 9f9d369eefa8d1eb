"""Frames in long form: one check, for whatever makes rows and whatever keeps them."""

import datetime as dt
from collections.abc import Sequence

import polars as pl
import polars.selectors as cs

from definitions.errors import DefinitionError, SourceError
from research.errors import first_line
from research.frames.panels import KEYS

EXAMPLES = 3


def key_columns(columns: Sequence[str]) -> list[str]:
    """Return the columns that key the rows of a frame with these columns: knowledge_date if it is there."""
    return [name for name in KEYS if name != "knowledge_date" or name in columns]


def long_form(frame: pl.DataFrame, *, source: str, error: type[DefinitionError] = SourceError) -> pl.DataFrame:
    """Return `frame` in long form: `date` (Date), `entity` (String), maybe `knowledge_date` (Date), then values.

    Datetimes at midnight become dates, integer and categorical entities strings; value columns become one
    of Float64, Int64, Boolean, String, Date and Datetime (microseconds). Raises `error`, which names
    `source`, when a key column is missing, of another type or has nulls, when two rows have the same key,
    and for value columns that can't be kept, like lists.
    """
    keys = key_columns(frame.columns)
    for name in keys:
        if name not in frame.columns:
            raise error(f"{source} has no column {name!r}; it has: {', '.join(frame.columns) or 'none'}. {_RULE}")
    typed = frame.with_columns(
        *(_as_date(frame[name], source, error) for name in keys if name != "entity"),
        _as_entity(frame["entity"], source, error),
    )
    typed = _storable(typed, keys, source, error)
    _refuse_nulls(typed, keys, source, error)
    _refuse_duplicates(typed, keys, source, error)
    return typed.select(*keys, pl.exclude(keys))


_RULE = "Rows need a date, an entity, and at most one row for each."


def _as_date(column: pl.Series, source: str, error: type[DefinitionError]) -> pl.Series:
    if column.dtype in (pl.Date, pl.Null):
        return column.cast(pl.Date)
    if isinstance(column.dtype, pl.Datetime):
        late = column.filter(column.dt.time() != dt.time(0))
        if late.len():
            raise error(
                f"{source}: column {column.name!r} holds times of day, first {late[0]}: "
                "rows are dated by day, so cut the time off at the source"
            )
        return column.dt.date()
    raise error(f"{source}: column {column.name!r} holds {column.dtype}, not dates: convert it at the source")


def _as_entity(column: pl.Series, source: str, error: type[DefinitionError]) -> pl.Series:
    if column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return column.cast(pl.String).replace("", None)
    raise error(f"{source}: column 'entity' holds {column.dtype}, not names: convert it to text at the source")


def _storable(frame: pl.DataFrame, keys: list[str], source: str, error: type[DefinitionError]) -> pl.DataFrame:
    values = cs.all() - cs.by_name(keys)
    kept = (pl.Float64, pl.Int64, pl.Boolean, pl.String, pl.Date, pl.Datetime)
    try:
        typed = frame.with_columns(
            (values & (cs.float() | cs.decimal() | cs.by_dtype(pl.Null))).cast(pl.Float64),
            (values & cs.integer()).cast(pl.Int64),
            (values & (cs.categorical() | cs.enum())).cast(pl.String),
            (values & cs.datetime()).dt.cast_time_unit("us"),
        )
    except pl.exceptions.InvalidOperationError as problem:
        raise error(f"{source}: an integer does not fit 64 bits: {first_line(problem)}") from problem
    for name, dtype in typed.schema.items():
        if dtype not in kept:
            raise error(f"{source}: column {name!r} holds {dtype}, which can't be kept: leave it out or convert it")
    return typed


def _refuse_nulls(frame: pl.DataFrame, keys: list[str], source: str, error: type[DefinitionError]) -> None:
    for name in keys:
        if count := frame[name].null_count():
            row = frame.row(int(frame[name].is_null().arg_max() or 0), named=True)
            shown = ", ".join(f"{key} {row[key]}" for key in keys if key != name)
            raise error(
                f"{source}: {_rows(count)} without {name!r}, the first at {shown}: fill it in or drop it at the source"
            )


def _refuse_duplicates(frame: pl.DataFrame, keys: list[str], source: str, error: type[DefinitionError]) -> None:
    if not frame.select(keys).is_duplicated().any():
        return
    repeated = frame.group_by(keys).len().filter(pl.col("len") > 1).sort(keys)
    shown = "; ".join(", ".join(str(part) for part in row) for row in repeated.select(keys).head(EXAMPLES).rows())
    remedy = "" if "knowledge_date" in keys else ", or add a knowledge_date column if these are revisions"
    raise error(
        f"{source}: {_rows(repeated.height, 'key')} more than once ({', '.join(keys)}), first {shown}: "
        f"keep one row for each{remedy}"
    )


def _rows(count: int, noun: str = "row") -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
