"""Clock: the ticks of a flow's own schedule, the same ones at which Prefect's scheduler starts it.

Cron is read on the wall clock of its time zone. A time that the autumn change repeats ticks once, the first
time; one that the spring change leaves out ticks as early as the gap is long: 02:30 at 01:30.
"""

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from instances.errors import OptaicError
from instances.world.facts import Clock
from instances.world.moments import plain_moment

ORIGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)  # interval ticks count from here
_SHIFT = dt.timedelta(hours=2)  # no change of the wall clock within a zone's rules is larger


class ClockError(OptaicError):
    """A clock that cannot be read."""


def last_tick(clock: Clock, before: dt.datetime) -> dt.datetime | None:
    """Return the newest tick at or before `before`, in UTC; None when there is none.

    Raises `ClockError` on a clock that cannot be read, `NaiveMoment` on a naive datetime.
    """
    moment = plain_moment("before", before)
    if clock.interval is not None:
        return _interval_tick(clock, (moment - ORIGIN) // _interval(clock))
    best: dt.datetime | None = None
    wall = _wall(clock, moment)
    for at in _wall_ticks(clock, wall + _SHIFT, reverse=True):
        tick = _moment_of(clock, at)
        if tick <= moment and (best is None or tick > best):
            best = tick
        if best is not None and at < wall - _SHIFT:
            break
    return best


def next_tick(clock: Clock, after: dt.datetime) -> dt.datetime | None:
    """Return the first tick after `after`, in UTC; None when there is none.

    Raises `ClockError` on a clock that cannot be read, `NaiveMoment` on a naive datetime.
    """
    moment = plain_moment("after", after)
    if clock.interval is not None:
        return _interval_tick(clock, max((moment - ORIGIN) // _interval(clock) + 1, 0))
    best: dt.datetime | None = None
    wall = _wall(clock, moment)
    for at in _wall_ticks(clock, wall - _SHIFT, reverse=False):
        tick = _moment_of(clock, at)
        if tick > moment and (best is None or tick < best):
            best = tick
        if best is not None and at > wall + _SHIFT:
            break
    return best


def _interval(clock: Clock) -> dt.timedelta:
    if clock.interval is None or clock.interval <= dt.timedelta(0) or clock.cron is not None:
        raise ClockError(f"{clock} is not a clock: set either a cron expression or an interval above 0")
    return clock.interval


def _interval_tick(clock: Clock, count: int) -> dt.datetime | None:
    return None if count < 0 else ORIGIN + count * _interval(clock)


def _zone(clock: Clock) -> dt.tzinfo:
    try:
        return ZoneInfo(clock.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ClockError(f"unknown timezone {clock.timezone!r}: use an IANA name like Europe/London") from error


def _wall(clock: Clock, moment: dt.datetime) -> dt.datetime:
    """Return what the wall clock of the time zone shows at a moment, as a naive datetime."""
    return moment.astimezone(_zone(clock)).replace(tzinfo=None, fold=0)


def _moment_of(clock: Clock, wall: dt.datetime) -> dt.datetime:
    """Return the moment, in UTC, at which the wall clock shows `wall`."""
    local = wall.replace(tzinfo=_zone(clock))
    moment = local.astimezone(dt.UTC)
    if _wall(clock, moment) != wall:  # left out by the spring change
        return local.replace(fold=1).astimezone(dt.UTC)
    return moment


def _wall_ticks(clock: Clock, start: dt.datetime, *, reverse: bool) -> Iterator[dt.datetime]:
    """Yield the ticks on the wall clock, away from `start`; ends after 50 years without one."""
    if clock.cron is None:
        raise ClockError(f"{clock} is not a clock: set either a cron expression or an interval above 0")
    try:
        yield from CronSim(clock.cron, start, reverse=reverse)
    except CronSimError as error:
        if not _never(clock.cron, start):
            raise ClockError(f"{clock.cron!r} is not a cron expression: {error}") from error


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
