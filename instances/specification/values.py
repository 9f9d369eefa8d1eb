"""Values that specs are made of: names, durations, configs, and the base of all specs."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

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

from definitions.numbers import as_kept, can_be_kept
from research.errors import first_line, shown

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHORT = re.compile(r"^\s*(\d+)\s*([smhdw])\s*$")
LONGEST = dt.timedelta(days=99_999)  # a moment less or more of it is still a date
_LARGEST = 2**31 - 1  # what Postgres takes as an integer
_DEEPEST = 50  # levels of a config; Prefect gives back nothing at all where there are some hundreds
_BANNED = set("/%&<>")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse_duration(value: object) -> object:
    """Turn '15m', '2h' or '7d' into a timedelta; leave anything else (ISO 8601, timedelta) to pydantic."""
    if isinstance(value, str) and (match := _SHORT.match(value)):
        try:
            return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
        except OverflowError as error:
            raise ValueError(f"{shown(value)} is longer than any date can tell") from error
    if isinstance(value, int | float):
        raise ValueError("a duration needs a unit: write '15m', '2h' or '7d'")
    return value


def _whole(value: dt.timedelta) -> dt.timedelta:
    if value.microseconds:
        raise ValueError("a duration is in whole seconds")
    if value > LONGEST:
        raise ValueError(f"a duration is at most {LONGEST.days}d long")
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

NAME_PATTERN = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # the one bound: what is derived from a name has room beyond it
Name = Annotated[str, StringConstraints(pattern=f"^{NAME_PATTERN}$")]


def _as_json(config: dict[str, Any]) -> Any:
    """Return a config as JSON gives it back: YAML's date as a date would never equal the text that is stored."""
    try:
        return as_kept(to_jsonable_python(config))
    except ValueError as error:
        raise ValueError(f"holds what JSON has no form for: {first_line(error)}") from error


Config = Annotated[dict[str, Any], AfterValidator(_as_json)]


def _named(value: str) -> str:
    if not value.strip("' \""):
        raise ValueError("a name can't be empty")
    if odd := sorted(set(value) & _BANNED):
        raise ValueError(f"a name can't hold {odd[0]!r}: Prefect takes no / % & < >")
    return value


# Names that Prefect gives meaning to: of work pools and queues, and of projects, which are tags.
PrefectName = Annotated[str, AfterValidator(_named)]


def _unstorable(value: object, place: str = "", depth: int = 0) -> str | None:
    """Return what can't be stored, as 'config.path holds ...'; None where all can."""
    if depth > _DEEPEST:
        return f"{place.partition('.')[0]} is more than {_DEEPEST} levels deep: make it flatter"
    if isinstance(value, str):
        told = "holds a NUL or half a character, which can't be stored: take it out"
        return f"{place} {told}" if _UNSTORABLE.search(value) else None
    if isinstance(value, int | float):
        told = "holds a number that is infinite, or none, or has more than 64 bits: write another one"
        return None if can_be_kept(value) else f"{place} {told}"
    if isinstance(value, Mapping):
        inner = [(f"{place}.{key}" if place else str(key), each) for key, each in value.items()]
        keys = (_unstorable(key, place or "a field's name") for key in value if isinstance(key, str))
        return next(filter(None, keys), None) or _first(inner, depth)
    if isinstance(value, list | tuple):
        return _first([(f"{place}.{n}", each) for n, each in enumerate(value)], depth)
    return None


def _first(inner: list[tuple[str, Any]], depth: int) -> str | None:
    return next(filter(None, (_unstorable(each, at, depth + 1) for at, each in inner)), None)


class Spec(BaseModel):
    """Base of all specs: unknown fields are errors, values are frozen, and they are what Postgres can store."""

    # Each is built when it is first needed: a command that only looks needs few of them.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, fields: object) -> object:
        if told := _unstorable(fields):
            raise ValueError(told)
        return fields

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, int) and value > _LARGEST:
                raise ValueError(f"{name} must be at most {_LARGEST}")
        return self
