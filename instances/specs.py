"""Specs: what the user wants to exist, as pydantic models without Prefect.

The blocks, the manifest and the rows in Postgres all hold these same fields.
"""

import datetime as dt
import re
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import to_jsonable_python

from definitions.contract import FlowKind

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SHORT = re.compile(r"^\s*(\d+)\s*([smhdw])\s*$")


def parse_duration(value: object) -> object:
    """Turn '15m', '2h' or '7d' into a timedelta; leave anything else (ISO 8601, timedelta) to pydantic."""
    if isinstance(value, str) and (match := _SHORT.match(value)):
        try:
            return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
        except OverflowError as error:
            raise ValueError(f"{value!r} is longer than any date can tell") from error
    if isinstance(value, int | float):
        raise ValueError("a duration needs a unit: write '15m', '2h' or '7d'")
    return value


def _whole(value: dt.timedelta) -> dt.timedelta:
    if value.microseconds:
        raise ValueError("a duration is in whole seconds")
    return value


def _shortest(value: dt.timedelta) -> str:
    seconds = int(value.total_seconds())
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


Duration = Annotated[
    dt.timedelta,
    BeforeValidator(parse_duration),
    AfterValidator(_whole),
    PlainSerializer(_shortest, return_type=str),
    WithJsonSchema({"type": "string", "format": "duration", "examples": ["15m", "2h", "7d"]}),
    Field(ge=dt.timedelta(0)),
]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]

# As JSON gives it back: YAML reads a date as a date, which would never equal the text that is stored.
Config = Annotated[dict[str, Any], AfterValidator(to_jsonable_python)]

OnStale = Literal["block", "refresh", "warn"]


class Spec(BaseModel):
    """Base of all specs: unknown fields are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UpstreamRef(Spec):
    """A dependency on one flow of another instance."""

    instance: Name = Field(description="The instance that is read.")
    flow: FlowKind | None = Field(default=None, description="Which of its flows; none: the one that makes its data.")
    role: str = Field(default="input", description="The part that it plays, one that the definition accepts.")
    required: bool = Field(default=True, description="Whether a run needs it.")
    max_age: Duration | None = Field(
        default=None, description="How old its version may be, like 14d; none: it must be READY."
    )


class RetryPolicy(Spec):
    """How often, and after how long, failed work is tried again within its run."""

    max_retries: int = Field(default=0, ge=0, le=20, description="How often failed work is tried again.")
    backoff: Duration = Field(default=dt.timedelta(seconds=30), description="How long after, like 30s or 5m.")


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


class Schedule(Spec):
    """When a flow runs by its own clock; manual means that it has none."""

    type: Literal["cron", "interval", "manual"] = Field(
        default="manual", description="What ticks: a cron expression, an interval, or nothing."
    )
    expression: str | None = Field(default=None, description="The cron expression, like 0 18 * * 1-5.")
    interval_minutes: int | None = Field(default=None, ge=1, description="The interval, counted from 2020-01-01 UTC.")
    timezone: str = Field(default="UTC", description="Where the cron expression is read, like America/New_York.")
    enabled: bool = Field(default=True, description="Whether it ticks; if not, it is as if it were manual.")
    retry_policy: RetryPolicy = Field(
        default=RetryPolicy(), description="How often, and after how long, failed work is tried again within its run."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown timezone {self.timezone!r}: use an IANA name like Europe/London") from error
        if self.type == "cron":
            if self.expression is None:
                raise ValueError("a cron schedule needs an expression, like '0 18 * * 1-5'")
            fields = len(self.expression.split())
            if fields != 5:  # cronsim reads seconds too, Prefect does not
                raise ValueError(f"{self.expression!r} is not a cron expression: it has {fields} fields, not 5")
            if problem := _ambiguous(self.expression.upper()):
                raise ValueError(f"{self.expression!r} is not a cron expression that all read alike: {problem}")
            try:
                # Without its weekday too: with one, Feb 30 is never but for some.
                for expression in (self.expression, " ".join([*self.expression.split()[:4], "*"])):
                    days = CronSim(expression, dt.datetime(2020, 1, 1, tzinfo=dt.UTC)).days
            except CronSimError as error:
                raise ValueError(f"{self.expression!r} is not a cron expression: {error}") from error
            if problem := _loses_days(days):
                raise ValueError(f"{self.expression!r} is not a cron expression that all read alike: {problem}")
        if self.type == "interval" and self.interval_minutes is None:
            raise ValueError("an interval schedule needs interval_minutes")
        return self

    @property
    def ticks(self) -> bool:
        """Whether this schedule gives its flow a clock of its own."""
        return self.type != "manual" and self.enabled


class CalendarPolicy(Spec):
    """The data must reach the last session of an exchange, some time after its close."""

    exchange: str | None = Field(
        default=None, description="The exchange's code, like XNYS or XLON; none: no calendar counts."
    )
    after_close: Duration = Field(
        default=dt.timedelta(0), description="How long after the close the data is due, like 2h."
    )


class Freshness(Spec):
    """When an instance's data counts as fresh; all that are set must be met. None means the default."""

    follow_inputs: bool | None = Field(
        default=None,
        description="Whether it is stale when an input has something newer; none: yes, without a schedule of its own.",
    )
    max_age: Duration | None = Field(
        default=None, description="How old the data may be, like 3d; none: any age, and 7d for train."
    )
    grace: Duration = Field(
        default=dt.timedelta(hours=1), description="How long after a tick of its schedule a run must have completed."
    )
    calendar: CalendarPolicy | None = Field(
        default=None, description="The exchange whose sessions the data must reach."
    )


class SignalSpec(Spec):
    """What a signal's values must satisfy before a version of them is committed."""

    value_column: str = Field(default="value", description="The column that holds the signal.")
    min: float | None = Field(default=None, description="The least value that may be committed.")
    max: float | None = Field(default=None, description="The greatest value that may be committed.")
    allow_nan: bool = Field(default=False, description="Whether a value may be missing.")
    neutral: float = Field(default=0.0, description="What readers that need a value take for a missing one.")
    index_columns: tuple[str, ...] = Field(
        default=("date", "entity"), description="The columns that identify a row, none of them ever empty."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        return self


class InstanceSpec(Spec):
    """What every instance has."""

    name: Name
    project: str = "default"
    description: str = ""
    protect: bool = False  # whether it must not be deleted


class ComponentSpec(InstanceSpec):
    """A configured pipeline, store or accessor: a part of datasets, with no flow of its own."""

    type: Literal["pipeline", "store", "accessor"]
    definition: str
    definition_version: int | None = None
    config: Config = {}


class FlowSettings(Spec):
    """How one flow is kept fresh, as its row in Postgres holds it."""

    schedule: Schedule = Schedule()
    freshness: Freshness = Freshness()
    on_stale: OnStale = "block"
    auto: bool | None = None  # none: true with inputs and no schedule of its own
    source_retry: Duration = dt.timedelta(minutes=15)


class RunnableSpec(InstanceSpec, FlowSettings):
    """What every instance with flows has."""

    type: str
    upstream_refs: tuple[UpstreamRef, ...] = ()
    work_pool: str | None = None  # this one and the next: bootstrap's own where left out
    work_queue: str | None = None
    job_variables: Config = {}  # on top of bootstrap's own
    concurrency: int = Field(default=1, ge=1)

    def flow_settings(self, kind: FlowKind) -> FlowSettings:
        """Return the settings of one of its flows."""
        return FlowSettings.model_validate({name: getattr(self, name) for name in FlowSettings.model_fields})


class DatasetSpec(RunnableSpec):
    """Rows that a pipeline makes, a store keeps and an accessor reads; the three by their names."""

    type: Literal["dataset"] = "dataset"
    pipeline_instance: Name
    store_instance: Name
    accessor_instance: Name


class SignalInstanceSpec(DatasetSpec):
    """A promoted dataset, whose values are checked before they are committed."""

    type: Literal["signal"] = "signal"  # type: ignore[assignment]
    signal_spec: SignalSpec = SignalSpec()


AnySpec = Annotated[ComponentSpec | DatasetSpec | SignalInstanceSpec, Field(discriminator="type")]
