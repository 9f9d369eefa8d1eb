"""Schedules: when a flow runs by its own clock."""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from instances.specification.values import LONGEST, Duration, Spec
from research.errors import shown

_FIRST_WAIT, _LONGEST_WAIT = dt.timedelta(seconds=30), dt.timedelta(hours=1)
_TIME = re.compile(r"^([01]?\d|2[0-3]):([0-5]\d)(?::00)?$")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


class RetryPolicy(Spec):
    """How often, and after how long, failed work is tried again within its run."""

    max_retries: int = Field(default=0, ge=0, le=20, description="How often failed work is tried again.")
    backoff: Duration | Literal["exponential"] = Field(
        default=dt.timedelta(seconds=30),
        json_schema_extra={"default": "30s"},
        description="How long after, like 30s or 5m; exponential: 30s, then twice as long each time, an hour at most.",
    )

    @property
    def waits(self) -> tuple[dt.timedelta, ...]:
        """How long it waits before each of its retries."""
        if isinstance(self.backoff, dt.timedelta):
            return (self.backoff,) * self.max_retries
        return tuple(min(_FIRST_WAIT * 2**retry, _LONGEST_WAIT) for retry in range(self.max_retries))


def _ambiguous(cron: str) -> str:
    """Return why Prefect's scheduler might read an expression otherwise than the deadlines do; empty if not."""
    _, _, day, month, weekday = cron.split()
    for field in cron.split():
        names = field.replace("JUL", "").replace("WED", "") if field in (month, weekday) else field
        if odd := sorted(set(names) & set("LW#?")):
            return f"{odd[0]!r} is read by some only; use numbers, names, commas, ranges and steps"
    if day != "*" and weekday != "*" and "*" in day + weekday:
        return "with both a day of the month and a weekday, neither may hold '*'"
    for item in cron.replace(",", " ").split():
        ends, _, step = item.partition("/")
        first, _, last = ends.partition("-")
        if step and ends != "*" and not last:
            return f"the step of {item!r} needs a range, from where to where"
        if last and _number(first) == _number(last):
            return f"{item!r} is a range with one end only; write {first}"
    return ""


def _loses_days(days: set[int]) -> str:
    """Return which days Prefect's scheduler would leave out; empty if none.

    From the end of February it goes on as if the month had more days, and so past the first ones of March.
    """
    beyond = min((day for day in days if day > 28), default=0)
    if beyond and min(days) < beyond - 28:
        return f"with days up to {beyond} some leave out March {min(days)}; let them end at 28, like 1-28/10"
    return ""


def _number(name: str) -> str:
    """Return a month or a weekday as its number; anything else without leading zeros."""
    for names, start in ((_MONTHS, 1), (_WEEKDAYS, 0)):
        if name in names:
            return str(names.index(name) + start)
    return name.lstrip("0") or "0"


def _cron_problem(cron: str) -> str:
    """Return what is wrong with a cron expression; empty if nothing."""
    fields = len(cron.split())
    if fields != 5:  # cronsim reads seconds too, Prefect does not
        return f": it has {fields} fields, not 5"
    if problem := _ambiguous(cron.upper()):
        return f" that all read alike: {problem}"
    try:
        # Without its weekday too: with one, Feb 30 is never but for some.
        for expression in (cron, " ".join([*cron.split()[:4], "*"])):
            days = CronSim(expression, dt.datetime(2020, 1, 1, tzinfo=dt.UTC)).days
    except CronSimError as error:
        return f": {error}"
    return f" that all read alike: {problem}" if (problem := _loses_days(days)) else ""


def _time_of_day(value: object) -> object:
    """Return a time of the day as HH:MM. YAML reads 16:00 without quotes as 960, its minutes."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return f"{value // 60:02}:{value % 60:02}"
    if isinstance(value, str) and (match := _TIME.match(value)):
        return f"{int(match[1]):02}:{match[2]}"
    raise ValueError(f"{shown(value)} is no time of the day: write it as '16:00'")


TimeOfDay = Annotated[str, BeforeValidator(_time_of_day), WithJsonSchema({"type": "string", "examples": ["09:30"]})]


def unknown_zone(name: str) -> str | None:
    """Return what is wrong with the name of a time zone; None if nothing."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"unknown timezone {shown(name)}: use an IANA name like Europe/London"
    return None


class Schedule(Spec):
    """When a flow runs by its own clock; manual means that it has none."""

    type: Literal["cron", "interval", "manual"] = Field(
        default="manual", description="What ticks: a cron expression, an interval, or nothing."
    )
    expression: str | None = Field(default=None, description="The cron expression, like 0 18 * * 1-5.")
    interval_minutes: int | None = Field(default=None, ge=1, description="The interval, counted from 2020-01-01 UTC.")
    start_time: TimeOfDay | None = Field(
        default=None,
        description="From when on an interval ticks each day, like 09:30; the interval then counts from here.",
    )
    end_time: TimeOfDay | None = Field(default=None, description="Until when an interval ticks each day, like 16:00.")
    timezone: str = Field(
        default="UTC",
        description="Where the cron expression, start_time and end_time are read, like America/New_York.",
    )
    enabled: bool = Field(default=True, description="Whether it ticks; if not, it is as if it were manual.")
    retry_policy: RetryPolicy = Field(
        default=RetryPolicy(), description="How often, and after how long, failed work is tried again within its run."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if problems := list(self._problems()):
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        if problem := unknown_zone(self.timezone):
            yield problem
        if self.type == "cron" and self.expression is None:
            yield "a cron schedule needs an expression, like '0 18 * * 1-5'"
        elif self.type == "cron" and self.expression is not None and (problem := _cron_problem(self.expression)):
            yield f"{shown(self.expression)} is not a cron expression{problem}"
        if self.type == "interval" and self.interval_minutes is None:
            yield "an interval schedule needs interval_minutes"
        if self.interval_minutes is not None and self.interval_minutes > LONGEST / dt.timedelta(minutes=1):
            yield f"interval_minutes {self.interval_minutes} is longer than {LONGEST.days} days"
        yield from self._window_problems()

    def _window_problems(self) -> Iterator[str]:
        if self.start_time is None and self.end_time is None:
            return
        if self.type != "interval":
            yield f"start_time and end_time are of an interval; a {self.type} schedule has none"
        elif self.start_time is None or self.end_time is None:
            yield "start_time and end_time go together: give both"
        elif self.start_time == self.end_time:
            yield f"start_time and end_time are both {self.start_time}; write a cron expression for one tick a day"
        elif (minutes := self.interval_minutes) is not None and 60 % minutes and minutes % 60:
            yield (
                f"interval_minutes {minutes} with start_time: it must divide an hour, like 15, or be whole hours, "
                "like 120"
            )
        elif minutes is not None and self._length_of_window() < minutes:
            yield (
                f"interval_minutes {minutes} is longer than the hours from {self.start_time} to {self.end_time}: for "
                "one tick a day write a cron expression"
            )

    def _length_of_window(self) -> int:
        """Return how many minutes there are from the start time to the end time, over midnight too."""
        start, end = self.window or (dt.time(), dt.time())
        return (end.hour * 60 + end.minute - start.hour * 60 - start.minute) % (24 * 60)

    @property
    def window(self) -> tuple[dt.time, dt.time] | None:
        """From when to when it ticks each day; None where it ticks all day."""
        if self.start_time is None or self.end_time is None:
            return None
        return dt.time.fromisoformat(self.start_time), dt.time.fromisoformat(self.end_time)

    @property
    def ticks(self) -> bool:
        """Whether this schedule gives its flow a clock of its own."""
        return self.type != "manual" and self.enabled
