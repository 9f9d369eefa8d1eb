"""Joining: the rows of several inputs side by side, with names of columns that tell them apart."""

from collections.abc import Sequence

import polars as pl

from definitions.contract import Input
from definitions.errors import SourceError
from definitions.frames import long_form
from research.frames.panels import KEYS


def joined(inputs: Sequence[Input], *, missing: Sequence[str] = ()) -> pl.DataFrame:
    """Return the inputs' rows side by side: `date`, `entity` and their value columns.

    The value columns of a single input keep their names. With several inputs, those that are `missing`
    counted in, the name of the instance comes first, with underscores for dashes (and before a leading
    digit), like `prices_us_close`; of one that was renamed its first name. There is a row for each (date, entity) of
    any input, with nulls for the inputs that lack it; the order of the inputs makes no difference. An input's
    knowledge_date is left out.
    Raises `SourceError` when two columns would have one name, or an input has two rows for one (date, entity).
    """
    frames = [_values(one, alone=len(inputs) + len(missing) == 1) for one in inputs]
    table = frames[0]
    for frame, one in zip(frames[1:], inputs[1:], strict=True):
        if shared := (set(table.columns) & set(frame.columns)) - set(KEYS):
            raise SourceError(
                f"input {one.instance!r} brings the column {min(shared)!r}, which another input has too: "
                "use each instance once, and rename one of the two"
            )
        table = table.join(frame, on=["date", "entity"], how="full", coalesce=True)
    return table


def _values(one: Input, *, alone: bool) -> pl.DataFrame:
    rows = long_form(one.frame.drop("knowledge_date", strict=False), source=f"input {one.instance!r}")
    if alone:
        return rows
    return rows.rename(
        {name: f"{prefix(one.known_as or one.instance)}_{name}" for name in rows.columns if name not in KEYS}
    )


def prefix(instance: str) -> str:
    """Return how the columns of an instance begin beside those of others."""
    name = instance.replace("-", "_")
    return f"_{name}" if name[:1].isdigit() else name
