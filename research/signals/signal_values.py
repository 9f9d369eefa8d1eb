"""The check that a signal's values are what its spec allows."""

from collections.abc import Sequence

import polars as pl

from research.errors import ResearchError

EXAMPLES = 3
PERIODS = {"weekly": ("week", "1w"), "monthly": ("month", "1mo"), "quarterly": ("quarter", "1q")}


class SignalValuesError(ResearchError):
    """A signal's rows that its spec does not allow."""


def check_signal(
    frame: pl.DataFrame,
    *,
    value_column: str = "value",
    min: float | None = None,
    max: float | None = None,
    allow_nan: bool = False,
    index_columns: Sequence[str] = ("date", "entity"),
) -> None:
    """Raise `SignalValuesError` unless every row of `frame` satisfies the spec.

    `frame` holds the index columns, none of them null and at most one row for each combination, and the
    numeric `value_column`, within `min` and `max` (inclusive). A value may be missing (null or NaN) only
    with `allow_nan`; an infinite one never is allowed. All problems are reported together, each with the
    number of rows and the first three.
    """
    missing = [name for name in (*index_columns, value_column) if name not in frame.columns]
    if missing:
        raise SignalValuesError(
            f"the signal has no column {', '.join(map(repr, missing))}; it has: {', '.join(frame.columns)}. "
            "Correct value_column or index_columns in its signal_spec."
        )
    if not (frame.schema[value_column].is_numeric() or frame.schema[value_column] == pl.Null):
        raise SignalValuesError(
            f"the signal's column {value_column!r} holds {frame.schema[value_column]}, not numbers: "
            "choose another value_column in its signal_spec"
        )
    rows = frame.select(*index_columns, pl.col(value_column).cast(pl.Float64).alias(value_column))
    problems = [
        f"{count:,} of {rows.height:,} rows {what}, first {shown}: {remedy}"
        for what, remedy, bad in _rules(rows, value_column, min, max, allow_nan, index_columns)
        if (count := bad.height) and (shown := _shown(bad))
    ]
    if problems:
        raise SignalValuesError("the signal is not as its signal_spec demands:\n" + "\n".join(problems))


def check_date_frequency(
    frame: pl.DataFrame,
    date_frequency: str,
    *,
    index_columns: Sequence[str] = ("date", "entity"),
    known: pl.DataFrame | None = None,
) -> None:
    """Raise `SignalValuesError` where two dates of one entity lie in the same week, month or quarter.

    `frame` holds the index columns, `date` among them, and with `known` rows that are there already and stay.
    `date_frequency` is `weekly`, `monthly` or `quarterly`. A week is one from Monday to Sunday.
    """
    period, length = PERIODS[date_frequency]
    rows = frame.select(index_columns) if known is None else pl.concat([known, frame], how="diagonal_relaxed")
    rows = rows.select(index_columns).unique()
    others = [name for name in index_columns if name != "date"]
    start = pl.col("date").dt.truncate(length).alias("period")
    bad = rows.filter(pl.struct(start, *others).is_duplicated()).sort(*others, "date")
    if bad.height:
        raise SignalValuesError(
            f"the signal is not {date_frequency}: {bad.height:,} rows share their {period} with another date of the "
            f"same {', '.join(others) or 'signal'}, first {_shown(bad)}: keep one date of each {period}, or correct "
            "date_frequency in its signal_spec"
        )


def _rules(
    rows: pl.DataFrame,
    value_column: str,
    least: float | None,
    greatest: float | None,
    allow_nan: bool,
    index_columns: Sequence[str],
) -> list[tuple[str, str, pl.DataFrame]]:
    """Return, for each rule, what is wrong with the rows that break it, the remedy, and those rows."""
    value = pl.col(value_column)
    finite = value.is_finite()
    rules = [
        (
            f"have no {' or '.join(index_columns)}",
            "fill it in or drop them",
            rows.filter(pl.any_horizontal(pl.col(index_columns).is_null())),
        ),
        (
            f"share their {', '.join(index_columns)}",
            "keep one row for each",
            rows.filter(pl.struct(index_columns).is_duplicated()),
        ),
        ("are infinite", "correct the computation", rows.filter(value.is_infinite())),
    ]
    if not allow_nan:
        remedy = "drop them or set allow_nan"
        rules.append(("have no value", remedy, rows.filter(value.is_null() | value.is_nan())))
    if least is not None:
        rules.append(
            (f"are below the minimum {least}", "clip the values or lower min", rows.filter(finite & (value < least)))
        )
    if greatest is not None:
        rules.append(
            (
                f"are above the maximum {greatest}",
                "clip the values or raise max",
                rows.filter(finite & (value > greatest)),
            )
        )
    return rules


def _shown(rows: pl.DataFrame) -> str:
    return "; ".join("(" + ", ".join(_cell(cell) for cell in row) + ")" for row in rows.head(EXAMPLES).rows())


def _cell(cell: object) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
