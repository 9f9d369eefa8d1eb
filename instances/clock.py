"""Clock: the ticks of a flow's own schedule.

Cron follows Debian's rules through `cronsim`: a time that the spring change leaves out fires at the first
moment after the gap, and one that the autumn change repeats fires once, the first time. Changes of less than
an hour (Australia/Lord_Howe) can cost cronsim a tick on their day.
"""

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from instances.errors import OptaicError
from instances.facts import Clock

ORIGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)  # interval ticks count from here


class NaiveMoment(OptaicError):
    """A datetime without a time zone, which names no moment."""

    def __init__(self, name: str, value: dt.datetime) -> None:
        super().__init__(
            f"{name} has no time zone: {value.isoformat()}. Pass an aware datetime, like datetime.now(datetime.UTC)."
        )


class ClockError(OptaicError):
    """A clock that cannot be read."""


def require_aware(name: str, value: dt.datetime) -> dt.datetime:
    """Return `value`; `NaiveMoment` when it has no time zone."""
    if value.utcoffset() is None:
        raise NaiveMoment(name, value)
    return value


def last_tick(clock: Clock, before: dt.datetime) -> dt.datetime | None:
    """Return the newest tick at or before `before`, in UTC; None when there is none.

    Raises `ClockError` on a clock that cannot be read, `NaiveMoment` on a naive datetime.
    """
    moment = require_aware("before", before)
    if clock.interval is not None:
        return _interval_tick(clock, (moment - ORIGIN) // _interval(clock))
    # A microsecond makes cronsim, which looks for ticks strictly before, count `before` itself.
    start = moment.astimezone(_zone(clock)).replace(microsecond=1)
    tick = next((t for t in _ticks(clock, start, reverse=True) if t <= moment), None)
    if tick is None:
        return None
    # In the repeated hour of autumn the way back skips ticks that the way forward has.
    while (later := next_tick(clock, tick)) is not None and later <= moment:
        tick = later
    return tick


def next_tick(clock: Clock, after: dt.datetime) -> dt.datetime | None:
    """Return the first tick after `after`, in UTC; None when there is none.

    Raises `ClockError` on a clock that cannot be read, `NaiveMoment` on a naive datetime.
    """
    moment = require_aware("after", after)
    if clock.interval is not None:
        return _interval_tick(clock, max((moment - ORIGIN) // _interval(clock) + 1, 0))
    start = moment.astimezone(_zone(clock))
    return next((t for t in _ticks(clock, start, reverse=False) if t > moment), None)


def _interval(clock: Clock) -> dt.timedelta:
    if clock.interval is None or clock.interval <= dt.timedelta(0) or clock.cron is not None:
        raise ClockError(f"{clock} is not a clock: set either a cron expression or an interval above 0")
    return clock.interval


def _interval_tick(clock: Clock, count: int) -> dt.datetime | None:
    return None if count < 0 else ORIGIN + count * _interval(clock)


def _zone(clock: Clock) -> dt.tzinfo:
    if clock.timezone == "UTC":
        return dt.UTC  # cronsim knows that it needs no care for this one
    try:
        return ZoneInfo(clock.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ClockError(f"unknown timezone {clock.timezone!r}: use an IANA name like Europe/London") from error


def _ticks(clock: Clock, start: dt.datetime, *, reverse: bool) -> Iterator[dt.datetime]:
    """Yield the ticks in UTC, away from `start`; ends where cronsim gives up, after 50 years without one."""
    if clock.cron is None:
        raise ClockError(f"{clock} is not a clock: set either a cron expression or an interval above 0")
    try:
        ticks = CronSim(clock.cron, start, reverse=reverse)
    except CronSimError as error:
        if _never(clock.cron, start):
            return
        raise ClockError(f"{clock.cron!r} is not a cron expression: {error}") from error
    for tick in ticks:
        yield tick.astimezone(dt.UTC)


def _never(cron: str, start: dt.datetime) -> bool:
    """Say whether it is only the day and the month together, like Feb 30, that cannot be."""
    fields = cron.split()
    if len(fields) not in (5, 6):
        return False
    any_month, any_day = fields.copy(), fields.copy()
    any_month[-2] = any_day[-3] = "*"
    try:
        CronSim(" ".join(any_month), start)
        CronSim(" ".join(any_day), start)
    except CronSimError:
        return False
    return True
