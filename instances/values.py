"""Values that specs are made of: names, durations, configs, and the base of all specs."""

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import to_jsonable_python

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
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


class Spec(BaseModel):
    """Base of all specs: unknown fields are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)
