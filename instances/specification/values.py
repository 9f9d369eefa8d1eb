"""Values that specs are made of: names, durations, configs, and the base of all specs."""

import datetime as dt
import re
from collections.abc import Mapping
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
    model_validator,
)
from pydantic_core import to_jsonable_python

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHORT = re.compile(r"^\s*(\d+)\s*([smhdw])\s*$")
_BANNED = set("/%&<>")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


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


def _named(value: str) -> str:
    if not value.strip("' \""):
        raise ValueError("a name can't be empty")
    if odd := sorted(set(value) & _BANNED):
        raise ValueError(f"a name can't hold {odd[0]!r}: Prefect takes no / % & < >")
    return value


# Names that Prefect gives meaning to: of work pools and queues, and of projects, which are tags.
PrefectName = Annotated[str, AfterValidator(_named)]


def _unstorable(value: object, place: str = "") -> str | None:
    """Return where text holds what Postgres can't store, as 'config.path'; None if nowhere."""
    if isinstance(value, str):
        return place if _UNSTORABLE.search(value) else None
    if isinstance(value, Mapping):
        inner = [(f"{place}.{key}" if place else str(key), each) for key, each in value.items()]
        keys = (place or "a field's name" for key in value if isinstance(key, str) and _UNSTORABLE.search(key))
        return next(keys, None) or next(filter(None, (_unstorable(each, at) for at, each in inner)), None)
    if isinstance(value, list | tuple):
        return next(filter(None, (_unstorable(each, f"{place}.{n}") for n, each in enumerate(value))), None)
    return None


class Spec(BaseModel):
    """Base of all specs: unknown fields are errors, values are frozen, and text is what Postgres can store."""

    # Each is built when it is first needed: a command that only looks needs few of them.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, fields: object) -> object:
        # All of it is looked through at once first, which is much faster: nested specs are looked through again.
        written = repr(fields)
        suspicious = "\\x00" in written or "\\ud" in written
        if suspicious and (place := _unstorable(fields)):
            raise ValueError(f"{place} holds a NUL or half a character, which can't be stored: take it out")
        return fields
