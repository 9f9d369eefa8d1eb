"""Pictures of a model out of sample: how well it ranks over time, and what its predictions were worth."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from research.frames.pictures import Picture, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#3b6ea5", "#d9822b", "#8a8a8a"
GROUPS = 10
FEWEST_GROUPS = 3


def coefficients_picture(coefficients: pl.DataFrame, *, windows: Sequence[tuple[dt.date, dt.date]]) -> Picture | None:
    """Return the information coefficients, summed up over the dates, and their mean in each test window.

    `coefficients` holds `date`, sorted, and `ic` (Float64); `windows` have a first and a last day, both
    inclusive. None where there is no coefficient.
    """
    from matplotlib.figure import Figure

    average = coefficients["ic"].mean()
    if not isinstance(average, float):
        return None
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.plot(coefficients["date"].to_numpy(), coefficients["ic"].cum_sum().to_numpy(), color=BLUE, linewidth=1.5)
    above.set_ylabel("sum since the first day")
    above.set_title(f"Information coefficient out of sample, on average {average:.4f}", loc="left")
    for first, last in windows:
        mean = coefficients.filter(pl.col("date").is_between(first, last))["ic"].mean()
        if isinstance(mean, float):
            days = (last - first).days + 1
            colour = BLUE if mean > 0 else ORANGE
            below.bar([first], [mean], width=[days], align="edge", color=colour, edgecolor="white")
    below.set_ylabel("mean of the window")
    for axes in (above, below):
        _plain(axes)
    return drawn("Information coefficient", figure)


def grouped(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the mean prediction and target of the entities that were ranked alike, each less its day's mean.

    `rows` holds `date`, `entity`, `prediction` and `target` (Float64). On each date the entities are ranked
    by their prediction and cut into groups of equal size: 10 of them, or as many as half the dates have
    entities, if fewer. Dates with fewer entities than groups do not count. The result holds `group` (Int64,
    1 for the lowest predictions), `prediction` and `target` (Float64, means over dates of the means of the
    date's group), sorted by group; no row where there would be fewer than 3 groups.
    """
    complete = rows.filter(pl.col("prediction").is_finite() & pl.col("target").is_finite())
    counts = complete.group_by("date").len()["len"].median()
    groups = min(GROUPS, int(counts)) if isinstance(counts, float) else 0
    if groups < FEWEST_GROUPS:
        groups, complete = FEWEST_GROUPS, complete.clear()
    place = pl.col("prediction").rank("ordinal").over("date").cast(pl.Int64) - 1
    count = pl.len().over("date").cast(pl.Int64)
    values = pl.col("prediction", "target")
    return (
        complete.sort("date", "entity")
        .filter(count >= groups)
        .with_columns(group=place * groups // count + 1)
        .with_columns(values - values.mean().over("date"))
        .group_by("group", "date")
        .agg(values.mean())
        .group_by("group")
        .agg(values.mean())
        .sort("group")
    )


def groups_picture(rows: pl.DataFrame) -> Picture | None:
    """Return what was predicted and what came, by groups of equal size; `rows` as for `grouped`.

    None where there are too few entities on a date for groups.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    table = grouped(rows)
    if table.is_empty():
        return None
    group = table["group"].to_numpy()
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.bar(group, table["target"].to_numpy(), color=BLUE, width=0.7, label="realised")
    axes.plot(group, table["prediction"].to_numpy(), color=ORANGE, marker="o", linewidth=1.5, label="predicted")
    axes.set_title("Predicted and realised return, less the mean of the day", loc="left")
    axes.set_xlabel(f"entities of a day by their prediction, 1 the lowest of {table.height} groups")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.legend(frameon=False)
    _plain(axes)
    return drawn("Predicted and realised", figure)


def _plain(axes: "Axes") -> None:
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
