"""Expected dates: which date the data of a source must reach by now, by an exchange's sessions or by a frequency."""

import datetime as dt
from calendar import monthrange
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from instances.world.calendars import CalendarError, Session, last_session, next_session, session_after
from instances.world.facts import Calendar, SourceFrequency, UpdateDates
from instances.world.moments import plain_moment

_DAY = dt.timedelta(days=1)
_SATURDAY = 5  # as `date.weekday` counts


@dataclass(frozen=True)
class ExpectedDate:
    """A date that data must reach, what it is called, and the moment in UTC from which it is due."""

    date: dt.date
    name: str
    due: dt.datetime


def last_expected(source: Calendar | UpdateDates, now: dt.datetime) -> ExpectedDate | None:
    """Return the newest date that is due; None where any data will do. Raises `CalendarError`."""
    if isinstance(source, Calendar):
        return _of_session(source, last_session(source.exchange, now, source.after_close))
    if source.frequency is SourceFrequency.IRREGULAR:
        return None
    return _of_date(source, _on_or_before(source, _newest_over(source, now)))


def next_expected(source: Calendar | UpdateDates, after: dt.datetime) -> ExpectedDate | None:
    """Return the first date that is due after a moment; None where none ever is. Raises `CalendarError`."""
    if isinstance(source, Calendar):
        return _of_session(source, next_session(source.exchange, after, source.after_close))
    if source.frequency is SourceFrequency.IRREGULAR:
        return None
    return _of_date(source, _after(source, _newest_over(source, after)))


def expected_after(source: Calendar | UpdateDates, date: dt.date) -> ExpectedDate | None:
    """Return the first date that is expected after one; None where none ever is. Raises `CalendarError`."""
    if isinstance(source, Calendar):
        return _of_session(source, session_after(source.exchange, date))
    if source.frequency is SourceFrequency.IRREGULAR:
        return None
    try:
        return _of_date(source, _after(source, date))
    except (OverflowError, ValueError) as error:
        raise CalendarError(f"no date is expected after {date}: no calendar reaches as far") from error


def _of_session(calendar: Calendar, session: Session) -> ExpectedDate:
    name = f"the {calendar.exchange} session of {session.date}"
    return ExpectedDate(session.date, name, session.close + calendar.after_close)


def _of_date(source: UpdateDates, date: dt.date) -> ExpectedDate:
    over = dt.datetime.combine(date + _DAY * (1 + source.grace_days), dt.time(), tzinfo=_zone(source))
    return ExpectedDate(date, f"the {source.frequency} date {date}", over.astimezone(dt.UTC))


def _newest_over(source: UpdateDates, now: dt.datetime) -> dt.date:
    """Return the newest date that is over, and has been for as long as the days of grace."""
    return plain_moment("now", now).astimezone(_zone(source)).date() - _DAY * (1 + source.grace_days)


def _on_or_before(source: UpdateDates, date: dt.date) -> dt.date:
    period = _period_of(source, date) + 1
    while (expected := _date_of(source, period)) > date:
        period -= 1
    return expected


def _after(source: UpdateDates, date: dt.date) -> dt.date:
    period = _period_of(source, date) - 1
    while (expected := _date_of(source, period)) <= date:
        period += 1
    return expected


def _period_of(source: UpdateDates, date: dt.date) -> int:
    """Return the number of the day, week, month or quarter that a date lies in."""
    match source.frequency:
        case SourceFrequency.DAILY:
            return date.toordinal()
        case SourceFrequency.WEEKLY:
            return (date.toordinal() - 1) // 7  # from a Monday to a Sunday
        case SourceFrequency.MONTHLY:
            return date.year * 12 + date.month - 1
        case _:
            return date.year * 4 + (date.month - 1) // 3


def _date_of(source: UpdateDates, period: int) -> dt.date:
    """Return the date that is expected in a period, moved to the business day before where only those count."""
    match source.frequency:
        case SourceFrequency.DAILY:
            date = dt.date.fromordinal(period)
        case SourceFrequency.WEEKLY:
            date = dt.date.fromordinal(period * 7 + 1 + (source.day or 0))
        case SourceFrequency.MONTHLY:
            date = _day_of_month(period // 12, period % 12 + 1, source.day)
        case _:
            date = _day_of_month(period // 4, period % 4 * 3 + 3, None)
    if source.business_days:
        date -= _DAY * max(date.weekday() - _SATURDAY + 1, 0)
    return date


def _day_of_month(year: int, month: int, day: int | None) -> dt.date:
    last = monthrange(year, month)[1]
    return dt.date(year, month, min(day or last, last))


def _zone(source: UpdateDates) -> ZoneInfo:
    try:
        return ZoneInfo(source.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise CalendarError(f"unknown timezone {source.timezone!r}: use an IANA name like Europe/London") from error
