"""Clock: the ticks of a flow's own schedule, the same ones at which Prefect's scheduler starts it.

Cron is read on the wall clock of its time zone. A time that the autumn change repeats ticks once, the first
time; one that the spring change leaves out ticks as early as the gap is long: 02:30 at 01:30. An interval within a
window of the day is one or a few cron expressions, which together tick when it does.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from instances.errors import OptaicError
from instances.world.facts import Clock
from instances.world.moments import plain_moment

ORIGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)  # interval ticks count from here
_MINUTE, _DAY = dt.timedelta(minutes=1), 24 * 60  # minutes
_SHIFT = dt.timedelta(hours=2)  # no change of the wall clock within a zone's rules is larger


class ClockError(OptaicError):
    """A clock that cannot be read."""


def last_tick(clock: Clock, before: dt.datetime) -> dt.datetime | None:
    """Return the newest tick at or before `before`, in UTC; None when there is none.

    Raises `ClockError` on a clock that cannot be read, `NaiveMoment` on a naive datetime.
    """
    moment = plain_moment("before", before)
    if clock.interval is not None and clock.window is None:
        return _interval_tick(clock, (moment - ORIGIN) // _interval(clock))
    ticks = (_last_cron_tick(clock, cron, moment) for cron in crons(clock))
    return max((tick for tick in ticks if tick is not None), default=None)


def _last_cron_tick(clock: Clock, cron: str, moment: dt.datetime) -> dt.datetime | None:
    best: dt.datetime | None = None
    wall = _wall(clock, moment)
    for at in _wall_ticks(cron, wall + _SHIFT, reverse=True):
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
    if clock.interval is not None and clock.window is None:
        return _interval_tick(clock, max((moment - ORIGIN) // _interval(clock) + 1, 0))
    ticks = (_next_cron_tick(clock, cron, moment) for cron in crons(clock))
    return min((tick for tick in ticks if tick is not None), default=None)


def _next_cron_tick(clock: Clock, cron: str, moment: dt.datetime) -> dt.datetime | None:
    best: dt.datetime | None = None
    wall = _wall(clock, moment)
    for at in _wall_ticks(cron, wall - _SHIFT, reverse=False):
        tick = _moment_of(clock, at)
        if tick > moment and (best is None or tick < best):
            best = tick
        if best is not None and at > wall + _SHIFT:
            break
    return best


def crons(clock: Clock) -> tuple[str, ...]:
    """Return the cron expressions that tick as the clock does, none of them when another does.

    An interval without a window is none. Raises `ClockError` on a clock that cannot be read.
    """
    if clock.window is None:
        if clock.cron is None:
            raise ClockError(f"{clock} is not a clock: set either a cron expression or an interval above 0")
        return (clock.cron,)
    hours_by_minute: dict[int, list[int]] = {}
    for minutes in _minutes_within(*clock.window, _interval(clock)):
        hours_by_minute.setdefault(minutes % 60, []).append(minutes // 60)
    minutes_by_hours: dict[tuple[int, ...], list[int]] = {}
    for minute, hours in hours_by_minute.items():
        minutes_by_hours.setdefault(tuple(sorted(hours)), []).append(minute)
    return tuple(f"{_listed(minutes)} {_listed(hours)} * * *" for hours, minutes in minutes_by_hours.items())


def _minutes_within(start: dt.time, end: dt.time, interval: dt.timedelta) -> Iterator[int]:
    """Yield the minutes of the day at which an interval ticks from a start to an end, over midnight too."""
    first, last = (time.hour * 60 + time.minute for time in (start, end))
    for minutes in range(first, last + 1 if last >= first else last + _DAY + 1, interval // _MINUTE):
        yield minutes % _DAY


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(str(number) for number in sorted(numbers))


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


def _wall_ticks(cron: str, start: dt.datetime, *, reverse: bool) -> Iterator[dt.datetime]:
    """Yield the ticks on the wall clock, away from `start`; ends after 50 years without one."""
    try:
        yield from CronSim(cron, start, reverse=reverse)
    except CronSimError as error:
        if not _never(cron, start):
            raise ClockError(f"{cron!r} is not a cron expression: {error}") from error


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
