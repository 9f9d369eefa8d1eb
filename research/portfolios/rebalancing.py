"""Rebalance dates: the days on which a portfolio is decided anew."""

import calendar
import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby


class Frequency(StrEnum):
    """How often a portfolio is decided anew, or looked at."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"


class Weekday(StrEnum):
    """A day of the week, from Monday."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


RebalanceDay = Weekday | int
"""The day of a week, or of a month from 1 to 31."""


def rebalance_dates(dates: Sequence[dt.date], frequency: Frequency, day: RebalanceDay | None = None) -> list[dt.date]:
    """Return one of `dates`, which ascend, in each day, week (from Monday), month or quarter.

    It is the last one of the period at or before the `day` of it, and the first one after it where there is none:
    of a week whose Monday is a holiday, Tuesday. Without a day it is the last one of the period. The 31st of a shorter
    month is its last day. A weekday goes with weeks, a number with months.

    A date counts once a date at or after that day is there, or when no day is left up to it on whose weekday
    `dates` ever fall: a Friday ends the week of stocks, a Sunday that of currencies. So the last date of a
    period counts on the day itself, unless a holiday ends the period: then it counts on the next date.
    What dates come later can only add dates to the result: none that it has ever held goes away.
    """
    weekdays = {date.weekday() for date in dates}
    chosen = []
    for _, group in groupby(dates, key=lambda date: _period(date, frequency)):
        period = list(group)
        due = _due(period[0], frequency, day)
        date = max((each for each in period if each <= due), default=period[0])
        if dates[-1] >= due or not _left(dates[-1], due, weekdays):
            chosen.append(date)
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


def _due(date: dt.date, frequency: Frequency, day: RebalanceDay | None) -> dt.date:
    """Return the day of a date's period on which is decided, whether it is traded or not."""
    match frequency:
        case Frequency.DAILY:
            return date
        case Frequency.WEEKLY:
            place = 6 if day is None else list(Weekday).index(Weekday(str(day)))
            return date + dt.timedelta(days=place - date.weekday())
        case Frequency.MONTHLY:
            return _in_month(date.year, date.month, 31 if day is None else int(day))
        case Frequency.QUARTERLY:
            return _in_month(date.year, (date.month + 2) // 3 * 3, 31)


def _in_month(year: int, month: int, day: int) -> dt.date:
    return dt.date(year, month, min(day, calendar.monthrange(year, month)[1]))


def _left(last: dt.date, due: dt.date, weekdays: set[int]) -> bool:
    """Say whether a day on one of the weekdays is left after `last`, up to `due`."""
    days = (due - last).days
    return any((last.weekday() + 1 + ahead) % 7 in weekdays for ahead in range(days))
