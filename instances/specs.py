"""Specs: what the user wants to exist, as pydantic models without Prefect.

The blocks, the manifest and the rows in Postgres all hold these same fields.
"""

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from definitions.contract import FlowKind
from instances.schedules import Schedule
from instances.values import Config, Duration, Name, Spec

OnStale = Literal["block", "refresh", "warn"]


class UpstreamRef(Spec):
    """A dependency on one flow of another instance."""

    instance: Name = Field(description="The instance that is read.")
    flow: FlowKind | None = Field(default=None, description="Which of its flows; none: the one that makes its data.")
    role: str = Field(default="input", description="The part that it plays, one that the definition accepts.")
    required: bool = Field(default=True, description="Whether a run needs it.")
    max_age: Duration | None = Field(
        default=None, description="How old its version may be, like 14d; none: it must be READY."
    )


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
    config: Config = Field(default_factory=dict)


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
    job_variables: Config = Field(default_factory=dict)  # on top of bootstrap's own
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
