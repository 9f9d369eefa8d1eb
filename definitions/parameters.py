"""Bases of the parameters schemas of the built-in definitions."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from definitions.numbers import LARGEST


class Parameters(BaseModel):
    """Base of parameters: unknown fields are errors, values are frozen, and numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
                raise ValueError(f"{name} is a number of more than 64 bits: write a smaller one")
        return self


class NoParameters(Parameters):
    """There is nothing to configure."""
