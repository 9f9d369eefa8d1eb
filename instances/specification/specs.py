"""Specs: what the user wants to exist, as pydantic models without Prefect.

The blocks, the manifest and the rows in Postgres all hold these same fields.
"""

import datetime as dt
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from definitions.contract import FlowKind
from definitions.work.models.model_settings import DriftSettings, Promotion, Target, WalkForward
from definitions.work.portfolios.portfolio_settings import BacktestConfig, DateRange, OptimizationSettings
from instances.specification.schedules import Schedule
from instances.specification.values import Config, Duration, Name, PrefectName, Spec

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
    neutral: float = Field(
        default=0.0, description="The value that says nothing; a backtest holds what its secondary signal has above it."
    )
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
    type: str
    project: PrefectName = Field(
        default="default", description="The project that the instance belongs to; a tag in Prefect."
    )
    description: str = Field(default="", description="What the instance is for, in a sentence.")
    protect: bool = Field(default=False, description="Whether the instance must not be deleted.")


class DefinedSpec(InstanceSpec):
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


class ComponentSpec(DefinedSpec):
    """A configured pipeline, store or accessor: a part of datasets, with no flow of its own."""

    type: Literal["pipeline", "store", "accessor"]


class FlowSettings(Spec):
    """How one flow is kept fresh, as its row in Postgres holds it."""

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
        description="After how long a source that had nothing new is asked again, like 15m or 2h.",
    )


def _at(spec: Spec, field: str) -> str | None:
    found: Any = spec
    for name in field.split("."):
        found = None if found is None else getattr(found, name)
    return found  # type: ignore[no-any-return]


class RunnableSpec(InstanceSpec):
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

    # Fields beside upstream_refs that name what is read, each with the role of that.
    naming: ClassVar[Mapping[str, str]] = {}

    def references(self) -> tuple[UpstreamRef, ...]:
        """Return all that it reads of other instances, whichever of its fields say so."""
        return tuple(ref for _, ref in self.references_by_field())

    def references_by_field(self) -> tuple[tuple[str, UpstreamRef], ...]:
        """Return all that it reads of other instances, each beside the field that says so, like 'signals.primary'."""
        named = ((field, _at(self, field), role) for field, role in self.naming.items())
        own = ((field, UpstreamRef(instance=name, role=role)) for field, name, role in named if name is not None)
        return (*own, *(("upstream_refs", ref) for ref in self.upstream_refs))

    @abstractmethod
    def flow_settings(self, kind: FlowKind) -> FlowSettings:
        """Return the settings of one of its flows."""


class OneFlowSpec(RunnableSpec, FlowSettings):
    """What every instance with one flow has: the settings of that flow among its own fields."""

    def flow_settings(self, kind: FlowKind) -> FlowSettings:
        return FlowSettings.model_validate({name: getattr(self, name) for name in FlowSettings.model_fields})


class DatasetSpec(OneFlowSpec):
    """Rows that a pipeline makes, a store keeps and an accessor reads; the three by their names."""

    type: Literal["dataset"] = "dataset"
    pipeline_instance: Name
    store_instance: Name
    accessor_instance: Name


class SignalInstanceSpec(DatasetSpec):
    """A promoted dataset, whose values are checked before they are committed."""

    type: Literal["signal"] = "signal"  # type: ignore[assignment]
    signal_spec: SignalSpec = SignalSpec()


class ExperimentSpec(OneFlowSpec, DefinedSpec):
    """An expression over input datasets that is looked at before it becomes a signal.

    Its definition is that of the pipeline which a signal of the same expression has.
    """

    type: Literal["experiment"] = "experiment"
    definition: str = Field(default="expression", description="The pipeline definition that computes it.")
    date_range: DateRange = Field(default=DateRange(), description="The dates that the preview shows.")


class ModelSpec(RunnableSpec, DefinedSpec):
    """A module that learns the return of prices from features; each of its flows has settings of its own."""

    type: Literal["model"] = "model"
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
        description="How long after its last training the champion may still be used, like 14d.",
    )
    train: FlowSettings = Field(default=FlowSettings(), description="How `train` is kept fresh: schedule, freshness.")
    infer: FlowSettings = Field(default=FlowSettings(), description="How `infer` is kept fresh: schedule, freshness.")
    monitor: FlowSettings = Field(
        default=FlowSettings(), description="How `monitor` is kept fresh: schedule, freshness."
    )

    def flow_settings(self, kind: FlowKind) -> FlowSettings:
        settings: FlowSettings = getattr(self, kind.value)
        return settings


class PortfolioOptimizerSpec(OneFlowSpec, DefinedSpec):
    """A portfolio optimizer that decides on weights, date by date, from prices and a signal."""

    type: Literal["portfolio_optimizer"] = "portfolio_optimizer"
    settings: OptimizationSettings = Field(
        default=OptimizationSettings(), description="When weights are decided, and from what."
    )


class Assets(Spec):
    """What a backtest trades."""

    instance: Name = Field(description="The dataset of their prices.")
    entities: tuple[str, ...] = Field(default=(), description="Which of its entities; none: all.")


class Signals(Spec):
    """The signals that a backtest follows."""

    primary: Name = Field(description="The instance whose scores choose what is held.")
    secondary: Name | None = Field(
        default=None, description="An instance that vetoes: what is not above its neutral value in it is not held."
    )


class BacktestSpec(OneFlowSpec):
    """A backtest of signals or of an optimizer's weights; the procedure is fixed."""

    naming: ClassVar[Mapping[str, str]] = {
        "assets.instance": "assets",
        "signals.primary": "primary",
        "signals.secondary": "secondary",
        "optimizer": "weights",
        "benchmark": "benchmark",
    }

    type: Literal["backtest"] = "backtest"
    assets: Assets = Field(description="What is traded: the dataset of prices, and which of its entities.")
    signals: Signals | None = Field(default=None, description="The signals that it follows; or give an optimizer.")
    optimizer: Name | None = Field(
        default=None, description="The instance whose weights it follows, such as an optimizer; or give signals."
    )
    benchmark: Name | None = Field(
        default=None, description="The dataset, of one entity, that it is compared with, like an index."
    )
    date_range: DateRange = Field(default=DateRange(), description="The dates over which it trades.")
    config: BacktestConfig = Field(
        default=BacktestConfig(), description="How often it trades, what that costs, and the capital at the start."
    )

    @model_validator(mode="after")
    def _follows_one(self) -> Self:
        if (self.signals is None) == (self.optimizer is None):
            raise ValueError("a backtest follows either signals or an optimizer: give one of the two")
        return self


AnySpec = Annotated[
    ComponentSpec
    | DatasetSpec
    | SignalInstanceSpec
    | ExperimentSpec
    | ModelSpec
    | PortfolioOptimizerSpec
    | BacktestSpec,
    Field(discriminator="type"),
]
spec_adapter: TypeAdapter[AnySpec] = TypeAdapter(AnySpec)
