"""Calendars: which session of an exchange was the last to close.

Holidays and half days are those of `exchange_calendars`.
"""

import datetime as dt
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from instances.errors import OptaicError
from instances.world.moments import plain_moment


class CalendarError(OptaicError):
    """An exchange calendar that cannot be read for the wanted date."""


@dataclass(frozen=True)
class Session:
    """One trading session: its date, and the moment of its close in UTC."""

    date: dt.date
    close: dt.datetime


def last_session(exchange: str, before: dt.datetime, after_close: dt.timedelta) -> Session:
    """Return the newest session with `close + after_close <= before`.

    Raises `CalendarError` on an unknown exchange, and on a date that its calendar does not cover.
    """
    closed = plain_moment("before", before) - after_close
    sessions, last_date = _sessions(exchange, closed.year)
    place = bisect_right([session.close for session in sessions], closed)
    if place == 0 or closed.date() > last_date:
        raise CalendarError(
            f"the calendar {exchange!r} does not cover {closed.date()}. Upgrade exchange-calendars, "
            "or take the calendar out of the freshness policy."
        )
    return sessions[place - 1]


def next_session(exchange: str, after: dt.datetime, after_close: dt.timedelta) -> Session:
    """Return the first session with `close + after_close > after`. Raises `CalendarError`."""
    closed = plain_moment("after", after) - after_close
    for year in (closed.year, closed.year + 1):
        sessions, _ = _sessions(exchange, year)
        place = bisect_right([session.close for session in sessions], closed)
        if place < len(sessions):
            return sessions[place]
    raise CalendarError(
        f"the calendar {exchange!r} has no session after {closed.date()} yet. Upgrade exchange-calendars."
    )


def session_after(exchange: str, date: dt.date) -> Session:
    """Return the first session of a later date. Raises `CalendarError`."""
    for year in (date.year, date.year + 1):
        sessions, _ = _sessions(exchange, year)
        place = bisect_right([session.date for session in sessions], date)
        if place < len(sessions):
            return sessions[place]
    raise CalendarError(f"the calendar {exchange!r} has no session after {date} yet. Upgrade exchange-calendars.")


@lru_cache(maxsize=256)
def _sessions(exchange: str, year: int) -> tuple[tuple[Session, ...], dt.date]:
    """Return the sessions of a year and the year before, and the last date that they speak for.

    The years are asked for one by one, since the library's default range moves with the day it is called.
    """
    try:
        calendar, end = _load(exchange, dt.date(year - 1, 1, 1), dt.date(year, 12, 31))
        sessions = tuple(Session(label.date(), close.to_pydatetime()) for label, close in calendar.closes.items())
    except Exception as error:  # the library raises errors of many kinds, its own and pandas'
        raise CalendarError(
            f"the calendar {exchange!r} cannot be read for {year}: {error} Use a code that "
            "exchange_calendars knows, like XNYS or XLON, or upgrade exchange-calendars."
        ) from error
    return sessions, end


def _load(exchange: str, start: dt.date, end: dt.date) -> tuple[Any, dt.date]:
    from exchange_calendars import get_calendar

    try:
        return get_calendar(exchange, start=start, end=end), end
    except ValueError:  # some exchanges publish their holidays for a few years only
        bounds = get_calendar(exchange)
        lowest, highest = bounds.bound_min(), bounds.bound_max()
        start = max(start, lowest.date()) if lowest is not None else start
        end = min(end, highest.date()) if highest is not None else end
        return get_calendar(exchange, start=start, end=end), end
