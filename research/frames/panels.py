"""Panels: frames with a row for each date and a column for each entity."""

from typing import TYPE_CHECKING

import polars as pl

from research.errors import ResearchError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("date", "entity", "knowledge_date")
LONGEST_GAP = 5


def value_column(frame: pl.DataFrame, name: str, *, what: str) -> str:
    """Return `name` if `frame` has that column, else its only value column; `what` names the frame in errors."""
    values = [column for column in frame.columns if column not in KEYS]
    if name in values:
        return name
    if len(values) == 1:
        return values[0]
    raise ResearchError(f"{what} has no column {name!r} among its values: {', '.join(values) or 'none'}. Rename one.")


def panel(frame: pl.DataFrame, column: str) -> "pd.DataFrame":
    """Return a column of a frame in long form as a pandas panel of Float64, both axes sorted; NaN for no value.

    The index holds dates (datetime64), the columns entities. Infinite values are NaN too.
    """
    import numpy as np
    import pandas as pd

    wide = frame.select("date", "entity", pl.col(column).cast(pl.Float64)).pivot(
        "entity", index="date", values=column, sort_columns=True
    )
    wide = wide.sort("date")
    values = wide.drop("date").to_numpy().astype(float)
    values[~np.isfinite(values)] = np.nan
    index = pd.DatetimeIndex(wide["date"].to_numpy().astype("datetime64[ns]"), name="date")
    return pd.DataFrame(values, index=index, columns=wide.columns[1:])


def carried(prices: "pd.DataFrame") -> "pd.DataFrame":
    """Return prices of which gaps of up to 5 rows, like an exchange's holidays, have the last one known.

    An entity without a price after that has left the market.
    """
    return prices.ffill(limit=LONGEST_GAP)


def panel_rows(wide: "pd.DataFrame", column: str) -> pl.DataFrame:
    """Return a panel as `date`, `entity` and `column`, sorted so, without the missing values."""
    dates = pl.Series("date", wide.index.to_numpy().astype("datetime64[us]")).cast(pl.Date)
    frame = pl.DataFrame({str(name): wide[name].to_numpy().astype(float) for name in wide.columns})
    rows = frame.with_columns(dates).unpivot(index="date", variable_name="entity", value_name=column)
    return rows.filter(pl.col(column).is_not_nan()).sort("date", "entity")
