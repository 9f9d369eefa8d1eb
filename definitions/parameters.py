"""Parameters: the bases of the schemas of the built-in definitions, and how values are checked against any schema."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from definitions.errors import InvalidConfig, config_problems
from definitions.known_words import unknown_fields
from definitions.numbers import LARGEST
from research.errors import shown

_DAYS = re.compile(r"\s*(\d{1,6})\s*d\s*")
_TIME = re.compile(r"\s*\d+(\.\d+)?\s*[a-z]+\s*", re.IGNORECASE)


def _trading_days(value: object) -> object:
    """Turn '21d' into 21; a time in another unit is refused, and anything else left to pydantic."""
    if isinstance(value, str) and (match := _DAYS.fullmatch(value)):
        return int(match[1])
    if isinstance(value, str) and _TIME.fullmatch(value):
        raise ValueError(f"{shown(value)} is not in trading days: a month has about 21 of them, a year 252")
    return value


TradingDays = Annotated[int, BeforeValidator(_trading_days)]
"""A number of trading days: 21, or '21d'."""


class Parameters(BaseModel):
    """Base of parameters: unknown fields are errors, values are frozen, and numbers are finite."""

    # Each is built when it is first needed: a command that only looks needs none of them.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
                raise ValueError(f"{name} is a number of more than 64 bits: write a smaller one")
        return self


class NoParameters(Parameters):
    """There is nothing to configure."""


def parsed(schema: type[BaseModel], values: Mapping[str, Any], of: str, *, what: str = "config") -> BaseModel:
    """Check values against the schema of something; `InvalidConfig` names each bad field.

    A field that the schema has not is one too, also where the schema itself would pass over it. `what` is what the
    values are called.
    """
    try:
        found = schema.model_validate(dict(values))
    except ValidationError as error:
        raise InvalidConfig(of, schema, config_problems(schema, error, what=what), what=what) from error
    if unknown := list(unknown_fields(schema, values)):
        raise InvalidConfig(of, schema, [f"{what}.{place}: {problem}" for place, problem in unknown], what=what)
    return found
