"""The universe: who was a member of it on a day, as was known then."""

from typing import TYPE_CHECKING

import polars as pl

from research.errors import ResearchError
from research.frames.panels import panel
from research.portfolios.score_weights import weights_in_force

if TYPE_CHECKING:
    import pandas as pd

MEMBER = "member"


def membership(rows: pl.DataFrame, days: "pd.DatetimeIndex", *, what: str) -> "pd.DataFrame":
    """Return who was a member at the close of each of `days`: true or false, a column for each entity ever named.

    `rows` holds `date` and `entity`, one row for each:
    - Without a column `member`, the rows of a date are the list of all members from that date on, until the next list.
    - With a column `member` (true or false, 1 or 0), a row says whether its entity is a member from that date on; the
      newest row of each entity counts, so changes alone will do. Before its first row an entity is none.

    Only rows dated at or before a day count on it. Days before the first row are left out. Raises `ResearchError` for
    another value of `member`, and where no row lies at or before the last of the days; `what` names the rows in it.
    """
    if MEMBER in rows.columns:
        _check(rows, what)
        lists = panel(rows, MEMBER).ffill()
    else:
        lists = panel(rows.with_columns(pl.lit(1.0).alias(MEMBER)), MEMBER)
    found = weights_in_force(lists, days)
    if found.empty:
        since = f"they begin on {lists.index[0]:%Y-%m-%d}" if len(lists) else "there are none at all"
        raise ResearchError(
            f"{what} has no members at or before {days[-1]:%Y-%m-%d}, the last day of decision; {since}: "
            "bring earlier ones, or a later date_range"
        )
    return found > 0


def _check(rows: pl.DataFrame, what: str) -> None:
    dtype = rows.schema[MEMBER]
    if not (dtype.is_numeric() or dtype == pl.Boolean):
        raise ResearchError(f"the column 'member' of {what} holds {dtype}, not true or false, or 1 or 0: write these")
    odd = rows.filter(~pl.col(MEMBER).cast(pl.Float64).is_in([0.0, 1.0]).fill_null(False))
    if not odd.is_empty():
        date, entity, value = odd.select("date", "entity", MEMBER).row(0)
        raise ResearchError(
            f"the column 'member' of {what} must be true or false, or 1 or 0; on {date} it is "
            f"{'empty' if value is None else value} of {entity}"
        )
