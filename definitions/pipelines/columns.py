"""Which columns of a source are the keys and the values of the rows."""

import re
from collections.abc import Callable, Sequence

import polars as pl
from pydantic import Field

from definitions.errors import SourceError
from definitions.frames import long_form
from definitions.parameters import Parameters
from research.errors import nearest

_TIMED = re.compile(r"\d[ T]+\d{1,2}:\d{2}")
_NUMBERED = re.compile(r"^(?!\d{4}-)\d{1,4}([/. -])\d{1,2}\1\d{2,4}$|^\d{8}$")


class ColumnParameters(Parameters):
    """The parameters that every source of tables has."""

    date: str = Field(default="date", description="Column with the dates.")
    entity: str = Field(default="entity", description="Column with the entities: tickers, countries, ...")
    knowledge_date: str | None = Field(
        default=None,
        description="Column that says when a row became known; none: the column knowledge_date, if there is one.",
    )
    values: tuple[str, ...] | dict[str, str] | None = Field(
        default=None,
        description="Value columns: a list of names, or an object from the name in the source to the name in the "
        "dataset; none: all columns that are not keys.",
    )

    def renaming(self, available: Sequence[str], source: str) -> dict[str, str]:
        """Return, for each column to read, its name in the dataset. Raises `SourceError` for one not there."""
        known = self.knowledge_date or ("knowledge_date" if "knowledge_date" in available else None)
        keys = {self.date: "date", self.entity: "entity"} | ({known: "knowledge_date"} if known else {})
        values = self.values
        if values is None:
            values = tuple(name for name in available if name not in keys)
        renaming = keys | (values if isinstance(values, dict) else {name: name for name in values})
        for name in renaming:
            if name not in available:
                raise SourceError(f"{source} has no column {name!r}{_hint(name, available)}")
        if len(keys) < 2 + bool(known) or len(set(renaming.values())) < len(renaming) or set(keys) & set(values):
            shown = ", ".join(f"{name} as {target}" for name, target in renaming.items())
            raise SourceError(f"{source}: two columns would have one name ({shown}): give each a name of its own")
        return renaming


def known_columns(parameters: ColumnParameters) -> tuple[str, ...] | None:
    """Return the columns of the rows, as far as they matter before the source is read; None where that decides.

    A source may have a column knowledge_date, and it counts then, whether the parameters name one or not.
    """
    if parameters.knowledge_date is None:
        return None
    values = parameters.values or ()
    return ("date", "entity", "knowledge_date", *(values.values() if isinstance(values, dict) else values))


def _hint(name: str, available: Sequence[str]) -> str:
    near = nearest(name, available)
    mean = f", did you mean {near!r}?" if near is not None else "."
    return f"{mean} Its columns are: {', '.join(available) or 'none'}. Correct the config's column names."


def typed_rows(frame: pl.DataFrame, parameters: ColumnParameters, source: str) -> pl.DataFrame:
    """Return the chosen columns of `frame` in long form; keys that are text are read as ISO dates.

    Raises `SourceError`.
    """
    rows = frame.select(
        pl.col(name).alias(target) for name, target in parameters.renaming(frame.columns, source).items()
    )
    for name in ("date", "knowledge_date"):
        if name in rows.columns and rows[name].dtype == pl.String:
            rows = rows.with_columns(parsed_dates(rows[name], None, lambda row: f"{source}, row {row + 1}"))
    return long_form(rows, source=source)


def parsed_dates(
    texts: pl.Series, date_format: str | None, place: Callable[[int], str], *, has_format: bool = False
) -> pl.Series:
    """Return dates read from texts, with nulls kept; without a format they are ISO dates, at midnight if timed.

    Raises `SourceError` at the first text that is no such date; `place` says where a row stands, `has_format`
    whether the config can say how dates are written.
    """
    dates = texts.str.to_date(date_format or "%Y-%m-%d", strict=False)
    if date_format is None and dates.null_count() > texts.null_count():
        midnight = texts.str.replace(r"[ T]00:00(:00(\.0+)?)?$", "")
        dates = midnight.str.to_date("%Y-%m-%d", strict=False)
    bad = (dates.is_null() & texts.is_not_null()).arg_true()
    if bad.len():
        row = int(bad[0])
        wanted = f"in the format {date_format}" if date_format else "like 2024-01-31"
        remedy = _remedy(str(texts[row]), has_format=has_format and date_format is None)
        raise SourceError(f"{place(row)}, column {texts.name!r}: {texts[row]!r} is not a date {wanted}. {remedy}")
    return dates


def _remedy(text: str, *, has_format: bool) -> str:
    """Return what to do about a text that is no date as it is expected."""
    if _TIMED.search(text):
        return "It has a time of day, and rows are dated by day (daily data only): cut the time off at the source."
    if has_format and _NUMBERED.match(text):
        return "Say how dates are written with date_format in the config, like %m/%d/%Y or %d.%m.%Y."
    return "Correct the source."
