"""Fields of instances: what can be set, each written once. The spec and the block of a type inherit the same.

They stand in groups without a base in common, so that each heir decides on their order: those of the last group
come first.
"""

import datetime as dt
from typing import Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from definitions.contract import FlowKind
from definitions.work.models.model_settings import DriftSettings, Promotion, Target, WalkForward
from definitions.work.portfolios.portfolio_settings import (
    BacktestConfig,
    BacktestDates,
    DateRange,
    OptimizationSettings,
)
from instances.specification.schedules import Schedule, unknown_zone
from instances.specification.values import Config, Duration, Name, PrefectName, Spec
from instances.world.facts import SourceFrequency, UpdateDates
from research.portfolios.rebalancing import Frequency, Weekday

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
        default=dt.timedelta(0),
        json_schema_extra={"default": "0s"},
        description="How long after the close the data is due, like 2h.",
    )


class UpdateFrequency(Spec):
    """How often a source has data of another date, and so which date the data must reach."""

    frequency: SourceFrequency = Field(description="daily, weekly, monthly, quarterly, or irregular: any data will do.")
    grace_period_days: int = Field(
        default=0, ge=0, le=366, description="How many days after a date is over its data is due."
    )
    business_days_only: bool = Field(
        default=False, description="Whether a date on a weekend is moved to the Friday before."
    )
    day_of_week: Weekday | None = Field(default=None, description="The day of a weekly source, like friday.")
    day_of_month: int | None = Field(
        default=None, ge=1, le=31, description="The day of a monthly source; none: the last one."
    )
    timezone: str = Field(default="UTC", description="Where a date is over, like America/New_York.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if problem := unknown_zone(self.timezone):
            raise ValueError(problem)
        if (self.frequency is SourceFrequency.WEEKLY) != (self.day_of_week is not None):
            raise ValueError("day_of_week, like friday, is what a weekly source needs, and no other takes")
        if self.day_of_month is not None and self.frequency is not SourceFrequency.MONTHLY:
            raise ValueError(f"day_of_month is of a monthly source; a {self.frequency} one takes none")
        if self.frequency is SourceFrequency.IRREGULAR and (self.grace_period_days or self.business_days_only):
            raise ValueError("an irregular source has no dates: leave grace_period_days and business_days_only out")
        return self

    @property
    def dates(self) -> UpdateDates:
        """The dates that it stands for."""
        day = self.day_of_month if self.day_of_week is None else list(Weekday).index(self.day_of_week)
        return UpdateDates(self.frequency, self.grace_period_days, self.business_days_only, day, self.timezone)


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
        default=dt.timedelta(hours=1),
        json_schema_extra={"default": "1h"},
        description="How long after a tick of its schedule a run must have completed.",
    )
    calendar: CalendarPolicy | None = Field(
        default=None, description="The exchange whose sessions the data must reach."
    )
    update_frequency: UpdateFrequency | None = Field(
        default=None, description="The dates that the data must reach, by how often the source has some."
    )

    @field_validator("update_frequency", mode="before")
    @classmethod
    def _frequency_alone(cls, value: object) -> object:
        return {"frequency": value} if isinstance(value, str) else value


class SignalSpec(Spec):
    """What a signal's values must satisfy before a version of them is committed."""

    value_column: str = Field(default="value", description="The column that holds the signal.")
    min: float | None = Field(default=None, description="The least value that may be committed.")
    max: float | None = Field(default=None, description="The greatest value that may be committed.")
    allow_nan: bool = Field(default=False, description="Whether a value may be missing.")
    neutral: float = Field(
        default=0.0, description="The value that says nothing; a backtest holds what its secondary signal has above it."
    )
    index_columns: tuple[str, ...] = Field(
        default=("date", "entity"), description="The columns that identify a row, none of them ever empty."
    )

    date_frequency: Frequency = Field(
        default=Frequency.DAILY, description="Of an entity no two dates lie in one day, week, month or quarter."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        if self.date_frequency is not Frequency.DAILY and "date" not in self.index_columns:
            raise ValueError(f"date_frequency {self.date_frequency} needs date among the index_columns")
        return self


class Universe(Spec):
    """Who may be held, date by date."""

    instance: Name = Field(description="The dataset of constituents: rows of date and entity, maybe with `member`.")


class Assets(Spec):
    """What a backtest trades."""

    instance: Name = Field(description="The dataset of their prices.")
    entities: tuple[str, ...] = Field(default=(), description="Which of its entities; none: all.")
    universe: Universe | None = Field(
        default=None,
        description="The dataset of constituents by date: only who was a member then is held; none: all entities.",
    )

    @field_validator("universe", mode="before")
    @classmethod
    def _dataset_alone(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            raise ValueError("is a dataset of constituents by date; a list of entities is written in 'entities'")
        return {"instance": value} if isinstance(value, str) else value

    @field_validator("entities", mode="before")
    @classmethod
    def _no_dataset(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError("is a list of entities; a dataset of constituents by date is written in 'universe'")
        return value

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.entities and self.universe is not None:
            raise ValueError("entities and universe both say what may be held: leave one of them out")
        return self


class Signals(Spec):
    """The signals that a backtest follows."""

    primary: Name = Field(description="The instance whose scores choose what is held.")
    secondary: tuple[Name, ...] = Field(
        default=(),
        description="Instances that veto: what is not above its neutral value in each of them is not held.",
    )

    @field_validator("secondary", mode="before")
    @classmethod
    def _one_alone(cls, value: object) -> object:
        if value is None:
            return ()
        return (value,) if isinstance(value, str) else value


class Benchmark(Spec):
    """What a backtest is compared with."""

    instance: Name = Field(description="The dataset that has it, like an index.")
    entity: str | None = Field(default=None, description="Which of its entities; none: the only one.")


class InstanceFields(BaseModel):
    """What every instance has, beside its name and its type."""

    project: PrefectName = Field(
        default="default", description="The project that the instance belongs to; a tag in Prefect."
    )
    description: str = Field(default="", description="What the instance is for, in a sentence.")
    protect: bool = Field(default=False, description="Whether the instance must not be deleted.")
    renamed_from: Name | None = Field(
        default=None,
        description=(
            "The name that the instance had before: it keeps its rows, its history and all that belongs to it. "
            "Once that is applied, it does no more, and can be left out."
        ),
    )


class DefinedFields(BaseModel):
    """What every instance has that names its definition itself."""

    definition: str = Field(
        description="The name of the definition: what `optaic definitions` lists for this kind.",
        examples=["sp500-sample"],
    )
    definition_version: int | None = Field(
        default=None, description="The version of the definition to pin; the newest one when left out."
    )
    config: Config = Field(
        default_factory=dict,
        description="The parameters of the definition, checked against its schema. Never put a secret here.",
    )


class FlowFields(BaseModel):
    """How one flow is kept fresh."""

    schedule: Schedule = Field(
        default=Schedule(),
        description="The clock of the flow; `manual` means none: with inputs, it then follows them.",
    )
    freshness: Freshness = Field(
        default=Freshness(), description="When the data counts as fresh; all that is set must be met."
    )
    on_stale: OnStale = Field(
        default="block",
        description="What a run does when an upstream is not READY: block, refresh the upstreams, or warn and go on.",
    )
    auto: bool | None = Field(
        default=None,
        description="Whether the flow is kept ready automatically; the default is yes, with inputs and no schedule.",
    )
    source_retry: Duration = Field(
        default=dt.timedelta(minutes=15),
        json_schema_extra={"default": "15m"},
        description="After how long a source that had nothing new is asked again, like 15m or 2h.",
    )


class FlowSettings(Spec, FlowFields):
    """How one flow is kept fresh, as its row in Postgres holds it."""


class RunnableFields(BaseModel):
    """What every instance with flows has."""

    upstream_refs: tuple[UpstreamRef, ...] = Field(
        default=(),
        description=(
            "The instances that this one reads: a list of {instance, flow, role, required, max_age}. "
            "Without max_age an upstream must be READY; with it a version of at most that age is enough."
        ),
        examples=[[{"instance": "prices", "role": "input"}]],
    )
    work_pool: PrefectName | None = Field(
        default=None, description="The work pool that its runs go to; bootstrap's own when left out."
    )
    work_queue: PrefectName | None = Field(
        default=None, description="The queue of the work pool; bootstrap's own when left out."
    )
    job_variables: Config = Field(
        default_factory=dict, description="Job variables of its runs, on top of bootstrap's own."
    )
    concurrency: int = Field(default=1, ge=1, description="How many runs of a flow may be under way at once.")
    definition_flows: dict[str, FlowSettings] = Field(
        default_factory=dict,
        description="How flows that the definition brings beside those of the type are kept fresh, by their names.",
    )


class SignalFields(BaseModel):
    """What a signal has that a dataset has not."""

    signal_spec: SignalSpec = Field(
        default=SignalSpec(),
        description="What the values must satisfy: min, max, allow_nan, and the neutral value.",
    )


class ExperimentFields(BaseModel):
    """What an experiment has of its own; its definition is known before it is chosen."""

    definition: str = Field(default="expression", description="The pipeline definition that computes it.")
    date_range: DateRange = Field(default=DateRange(), description="The dates that the preview shows.")
    universe: tuple[str, ...] = Field(default=(), description="The entities that the preview shows; none: all.")


class ModelFields(BaseModel):
    """What a model has of its own: what it learns, when that counts, and settings for each of its flows."""

    target: Target = Field(default=Target(), description="What it learns to predict.")
    validation: WalkForward = Field(default=WalkForward(), description="How a training is validated.")
    promotion: Promotion = Field(
        default=Promotion(), description="When a newly trained version becomes the champion by itself."
    )
    monitoring: DriftSettings = Field(default=DriftSettings(), description="When its features count as drifted.")
    retrain_on_drift: bool = Field(
        default=False, description="Whether an automation trains it again when drift was detected."
    )
    champion_max_age: Duration = Field(
        default=dt.timedelta(days=14),
        json_schema_extra={"default": "14d"},
        description="How long after its last training the champion may still be used, like 14d.",
    )
    train: FlowSettings = Field(default=FlowSettings(), description="How `train` is kept fresh: schedule, freshness.")
    infer: FlowSettings = Field(default=FlowSettings(), description="How `infer` is kept fresh: schedule, freshness.")
    monitor: FlowSettings = Field(
        default=FlowSettings(), description="How `monitor` is kept fresh: schedule, freshness."
    )


class PortfolioOptimizerFields(BaseModel):
    """What a portfolio optimizer has of its own."""

    settings: OptimizationSettings = Field(
        default=OptimizationSettings(), description="When weights are decided, and from what."
    )


class BacktestFields(BaseModel):
    """What a backtest has of its own."""

    assets: Assets = Field(
        description="What is traded: the dataset of prices, and which of its entities, or a universe by date."
    )
    signals: Signals | None = Field(default=None, description="The signals that it follows; or give an optimizer.")
    optimizer: Name | None = Field(
        default=None, description="The instance whose weights it follows, such as an optimizer; or give signals."
    )
    benchmark: Benchmark | None = Field(
        default=None, description="What it is compared with: a dataset of one entity, or {instance, entity}."
    )
    date_range: BacktestDates = Field(
        default=BacktestDates(), description="The dates over which it trades, and how often it is looked at."
    )
    config: BacktestConfig = Field(
        default=BacktestConfig(), description="How often it trades, what that costs, and the capital at the start."
    )

    @field_validator("benchmark", mode="before")
    @classmethod
    def _dataset_alone(cls, value: object) -> object:
        return {"instance": value} if isinstance(value, str) else value
