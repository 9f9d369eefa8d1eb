"""Walk-forward validation: a model is tested, again and again, on the days after those that it learned from.

A label looks ahead: that of day t, with a horizon of h, covers days t+1 to t+h. Training rows whose label
reaches into the test window are purged, and an embargo widens the gap before it. Source: M. López de Prado,
Advances in Financial Machine Learning, Wiley 2018, chapter 7.4. There the embargo stands after a test window,
since his folds also train on what came later; a walk forward never does, so here it stands before the window.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from research.errors import ResearchError

if TYPE_CHECKING:  # it is the settings of models that are looked at most often, without any rows
    import polars as pl


class TooFewDates(ResearchError):
    """There are not enough dates for one split."""


@dataclass(frozen=True)
class Validation:
    """How much is trained on and tested, in trading days.

    The training window has `train_days` days: as many in every split, or with `expanding` that many in the
    first one, and in later ones all days before. Between the last day of its labels and the test window of
    `test_days` lie `embargo_days`. Raises `ResearchError` for windows without days.
    """

    train_days: int
    test_days: int
    embargo_days: int
    expanding: bool

    def __post_init__(self) -> None:
        for name, least in (("train_days", 1), ("test_days", 1), ("embargo_days", 0)):
            if (value := getattr(self, name)) < least:
                raise ResearchError(f"{name} is {value}: it must be {least} or more")


@dataclass(frozen=True)
class Split:
    """The two windows of one fold, first and last day inclusive, and the day before which labels must end."""

    train_first: dt.date
    train_last: dt.date
    test_first: dt.date
    test_last: dt.date
    labels_before: dt.date

    @property
    def train_rows(self) -> "pl.Expr":
        """Which rows are trained on, by their `date` and the day on which their label ends, `label_end`.

        An entity that did not trade on each day has labels that end later than the window allows for.
        """
        import polars as pl

        within = pl.col("date").is_between(self.train_first, self.train_last)
        return within & (pl.col("label_end") < self.labels_before)

    @property
    def test_rows(self) -> "pl.Expr":
        """Which rows are tested on, by their `date`."""
        import polars as pl

        return pl.col("date").is_between(self.test_first, self.test_last)


def walk_forward(dates: Sequence[dt.date], validation: Validation, *, horizon: int) -> tuple[Split, ...]:
    """Return the splits of trading days, which are in order and each there once; `horizon` is in days too.

    The test windows follow each other without gap or overlap; the last one may be shorter. More days at the
    end change no split but that one. Raises `TooFewDates` where there is not one test day, `ResearchError`
    for dates out of order.
    """
    if horizon < 1:
        raise ResearchError(f"horizon is {horizon}: a label covers 1 day or more")
    for before, after in pairwise(dates):
        if before >= after:
            raise ResearchError(f"{after} comes after {before}: sort the dates, and keep each once")
    gap = horizon + validation.embargo_days
    start = validation.train_days + gap
    if len(dates) <= start:
        raise TooFewDates(
            f"{len(dates)} dates are too few to train on {validation.train_days}, wait for {gap} "
            f"(horizon {horizon}, embargo_days {validation.embargo_days}) and test on one: "
            f"it takes {start + 1}. Lower train_days, embargo_days or the horizon, or bring more history."
        )
    return tuple(_split(dates, first, validation, gap=gap) for first in range(start, len(dates), validation.test_days))


def _split(dates: Sequence[dt.date], first: int, validation: Validation, *, gap: int) -> Split:
    end = first - gap  # the first day that is not trained on
    return Split(
        train_first=dates[0 if validation.expanding else end - validation.train_days],
        train_last=dates[end - 1],
        test_first=dates[first],
        test_last=dates[min(first + validation.test_days, len(dates)) - 1],
        labels_before=dates[first - validation.embargo_days],
    )
