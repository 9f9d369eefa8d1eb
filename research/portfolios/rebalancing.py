"""Rebalance dates: the days on which a portfolio is decided anew."""

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise


class Frequency(StrEnum):
    """How often a portfolio is decided anew."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"


def rebalance_dates(dates: Sequence[dt.date], frequency: Frequency) -> list[dt.date]:
    """Return the last of `dates`, which ascend, in each day, week (from Monday), month or quarter that is over.

    A period is over once a date of a later one is there, or when no day is left in it on whose weekday
    `dates` ever fall: a Friday ends the week of stocks, a Sunday that of currencies. So the last date of a
    period counts on the day itself, unless a holiday ends the period: then it counts on the next date.
    What dates come later can only add dates to the result: none that it has ever held goes away.
    """
    chosen = [day for day, after in pairwise(dates) if _period(day, frequency) != _period(after, frequency)]
    if dates and _over(dates[-1], frequency, weekdays={day.weekday() for day in dates}):
        chosen.append(dates[-1])
    return chosen


def _period(day: dt.date, frequency: Frequency) -> tuple[int, ...]:
    match frequency:
        case Frequency.DAILY:
            return (day.toordinal(),)
        case Frequency.WEEKLY:
            return day.isocalendar()[:2]
        case Frequency.MONTHLY:
            return (day.year, day.month)
        case Frequency.QUARTERLY:
            return (day.year, (day.month - 1) // 3)


def _over(day: dt.date, frequency: Frequency, *, weekdays: set[int]) -> bool:
    following = day + dt.timedelta(days=1)
    while _period(following, frequency) == _period(day, frequency):
        if following.weekday() in weekdays:
            return False
        following += dt.timedelta(days=1)
    return True
