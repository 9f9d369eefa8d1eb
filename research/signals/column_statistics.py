"""Preview: what the values of a column look like, in statistics, in a few rows and in a picture."""

import datetime as dt
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import polars as pl

from research.errors import ResearchError
from research.frames.pictures import Picture, drawn, over_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 300  # more dates are not seen in a picture
FEW = 5
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COLOUR = "#1f5fa8"
OUTER, INNER = 0.16, 0.32  # how opaque the bands are


@dataclass(frozen=True)
class Statistics:
    """Statistics of a column of values.

    `nulls` is the share of rows without a value (null, NaN or infinite), from 0 to 1. The others are of the
    values that are there, and None where these are too few, or for `skew` and `kurtosis` all equal: `std` with
    count - 1 degrees of freedom, `skew` and `kurtosis` (excess) corrected for bias, as in the operators.
    """

    rows: int
    dates: int
    entities: int
    nulls: float | None
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    skew: float | None
    kurtosis: float | None

    @property
    def known(self) -> dict[str, float]:
        """The statistics that are there, by name."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: float(value) for name, value in every.items() if value is not None}


def statistics(frame: pl.DataFrame, value_column: str = "value") -> Statistics:
    """Return the statistics of a column of `frame`, which has `date` and `entity`, one row for each.

    Raises `ResearchError` when the column is not there or not numeric.
    """
    values = _values(frame, value_column)
    value = values["value"].drop_nulls()
    spread = value.len() > 1 and value.max() != value.min()
    return Statistics(
        rows=values.height,
        dates=values["date"].n_unique(),
        entities=values["entity"].n_unique(),
        nulls=values["value"].null_count() / values.height if values.height else None,
        mean=_number(value.mean()),
        std=_number(value.std(ddof=1)),
        min=_number(value.min()),
        max=_number(value.max()),
        skew=_number(value.skew(bias=False)) if spread and value.len() > 2 else None,
        kurtosis=_number(value.kurtosis(bias=False)) if spread and value.len() > 3 else None,
    )


def distribution(frame: pl.DataFrame, value_column: str = "value") -> Picture | None:
    """Draw the distribution of the values on each date: the median, and the bands that hold 50 % and 90 %.

    Of many dates some hundred are drawn, evenly chosen, the last one among them. None without a value.
    Raises `ResearchError` as `statistics` does.
    """
    values = _values(frame, value_column).drop_nulls("value")
    dates = values["date"].unique().sort()
    if dates.is_empty():
        return None
    shown = dates.reverse().gather_every(-(-len(dates) // POINTS))
    bands = (
        values.filter(pl.col("date").is_in(shown.implode()))
        .group_by("date")
        .agg(pl.col("value").quantile(q, "linear").alias(str(q)) for q in QUANTILES)
        .sort("date")
    )
    figure, axes = over_time()
    _draw(axes, bands)
    axes.set_ylabel(value_column)
    if len(shown) < len(dates):
        axes.set_title(f"{len(shown):,} of {len(dates):,} dates", loc="right", fontsize=8, color="#6b7079")
    return drawn(f"Distribution of {value_column}", figure)


def _draw(axes: "Axes", bands: pl.DataFrame) -> None:
    from matplotlib.patches import Patch

    dates, low, lower, middle, upper, high = (column.to_list() for column in bands.get_columns())
    if len(dates) <= FEW:  # the axis would show hours
        axes.set_xticks(dates, [date.isoformat() for date in dates])
    if len(dates) == 1:  # without a width nothing would be seen
        dates = [dates[0], dates[0] + dt.timedelta(days=1)]
        low, lower, middle, upper, high = (part * 2 for part in (low, lower, middle, upper, high))
    axes.fill_between(dates, low, high, color=COLOUR, alpha=OUTER, linewidth=0)
    axes.fill_between(dates, lower, upper, color=COLOUR, alpha=INNER, linewidth=0)
    (median,) = axes.plot(dates, middle, color=COLOUR, linewidth=1.4, label="median")
    both = 1 - (1 - OUTER) * (1 - INNER)
    inner, outer = (Patch(color=COLOUR, alpha=alpha, linewidth=0) for alpha in (both, OUTER))
    axes.legend(
        [median, inner, outer],
        ["median", "25 to 75 %", "5 to 95 %"],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        ncols=3,
        frameon=False,
        fontsize=9,
    )


def _values(frame: pl.DataFrame, value_column: str) -> pl.DataFrame:
    if value_column not in frame.columns:
        raise ResearchError(f"there is no column {value_column!r} to preview; there are: {', '.join(frame.columns)}")
    dtype = frame.schema[value_column]
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        raise ResearchError(f"column {value_column!r} holds {dtype}, not numbers: preview a numeric column")
    value = pl.col(value_column).cast(pl.Float64)
    return frame.select("date", "entity", pl.when(value.is_finite()).then(value).alias("value"))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
