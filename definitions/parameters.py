"""Bases of the parameters schemas of the built-in definitions."""

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """Base of parameters: unknown fields are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoParameters(Parameters):
    """There is nothing to configure."""
