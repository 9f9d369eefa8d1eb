"""Specs: what the user wants to exist, as pydantic models without Prefect.

The blocks, the manifest and the rows in Postgres all hold these same fields.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

from definitions.contract import FlowKind
from instances.specification.fields import (
    BacktestFields,
    DefinedFields,
    ExperimentFields,
    FlowFields,
    FlowSettings,
    InstanceFields,
    ModelFields,
    PortfolioOptimizerFields,
    RunnableFields,
    SignalFields,
    UpstreamRef,
)
from instances.specification.values import NAME_PATTERN, Name, Spec

ComponentType = Literal["pipeline", "store", "accessor"]
# Of a part: any name that an instance can have, and what `part_name` makes of any such name.
PartName = Annotated[str, StringConstraints(pattern=f"^{NAME_PATTERN}(-({'|'.join(get_args(ComponentType))}))?$")]


class InstanceSpec(InstanceFields, Spec):
    """What every instance has."""

    name: Name
    type: str


class DefinedSpec(DefinedFields, InstanceSpec):
    """What every instance has that names its definition itself."""


class ComponentSpec(DefinedSpec):
    """A configured pipeline, store or accessor: a part of datasets, with no flow of its own."""

    name: PartName
    type: ComponentType


def _at(spec: Spec, field: str) -> str | tuple[str, ...] | None:
    found: Any = spec
    for name in field.split("."):
        found = None if found is None else getattr(found, name)
    return found  # type: ignore[no-any-return]


class RunnableSpec(RunnableFields, InstanceSpec):
    """What every instance with flows has."""

    # Fields beside upstream_refs that name what is read, each with the role of that.
    naming: ClassVar[Mapping[str, str]] = {}

    def references(self) -> tuple[UpstreamRef, ...]:
        """Return all that it reads of other instances, whichever of its fields say so."""
        return tuple(ref for _, ref in self.references_by_field())

    def references_by_field(self) -> tuple[tuple[str, UpstreamRef], ...]:
        """Return all that it reads of other instances, each beside the field that says so, like 'signals.primary'."""
        named = ((field, _at(self, field), role) for field, role in self.naming.items())
        own = (
            (field, UpstreamRef(instance=name, role=role))
            for field, found, role in named
            for name in ((found,) if isinstance(found, str) else found or ())
        )
        return (*own, *(("upstream_refs", ref) for ref in self.upstream_refs))

    def flow_settings(self, kind: FlowKind) -> FlowSettings:
        """Return the settings of one of its flows."""
        return self._own_settings(kind) if kind.built_in else self.definition_flows.get(kind.value, FlowSettings())

    @abstractmethod
    def _own_settings(self, kind: FlowKind) -> FlowSettings:
        """Return the settings of one of the flows of its type."""


class OneFlowSpec(FlowFields, RunnableSpec):
    """What every instance with one flow has: the settings of that flow among its own fields."""

    def _own_settings(self, kind: FlowKind) -> FlowSettings:
        return FlowSettings.model_validate({name: getattr(self, name) for name in FlowFields.model_fields})


class DatasetSpec(OneFlowSpec):
    """Rows that a pipeline makes, a store keeps and an accessor reads; the three by their names."""

    type: Literal["dataset"] = "dataset"
    pipeline_instance: PartName
    store_instance: PartName
    accessor_instance: PartName


class SignalInstanceSpec(SignalFields, DatasetSpec):
    """A promoted dataset, whose values are checked before they are committed."""

    type: Literal["signal"] = "signal"  # type: ignore[assignment]


class ExperimentSpec(ExperimentFields, OneFlowSpec, DefinedSpec):
    """An expression over input datasets that is looked at before it becomes a signal.

    Its definition is that of the pipeline which a signal of the same expression has.
    """

    type: Literal["experiment"] = "experiment"


class ModelSpec(ModelFields, RunnableSpec, DefinedSpec):
    """A module that learns the return of prices from features; each of its flows has settings of its own."""

    type: Literal["model"] = "model"

    def _own_settings(self, kind: FlowKind) -> FlowSettings:
        settings: FlowSettings = getattr(self, kind.value)
        return settings


class PortfolioOptimizerSpec(PortfolioOptimizerFields, OneFlowSpec, DefinedSpec):
    """A portfolio optimizer that decides on weights, date by date, from prices and a signal."""

    type: Literal["portfolio_optimizer"] = "portfolio_optimizer"


class BacktestSpec(BacktestFields, OneFlowSpec):
    """A backtest of signals or of an optimizer's weights; the procedure is fixed."""

    naming: ClassVar[Mapping[str, str]] = {
        "assets.instance": "assets",
        "assets.universe.instance": "universe",
        "signals.primary": "primary",
        "signals.secondary": "secondary",
        "optimizer": "weights",
        "benchmark.instance": "benchmark",
    }

    type: Literal["backtest"] = "backtest"

    def entities_by_field(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Return the entities that it names: the field, the instance that must have them, and which."""
        named: list[tuple[str, str, tuple[str, ...]]] = [
            ("assets.entities", self.assets.instance, self.assets.entities)
        ]
        if self.benchmark is not None and self.benchmark.entity is not None:
            named.append(("benchmark.entity", self.benchmark.instance, (self.benchmark.entity,)))
        return tuple(named)

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
spec_adapter: TypeAdapter[AnySpec] = TypeAdapter(AnySpec, config=ConfigDict(defer_build=True))
