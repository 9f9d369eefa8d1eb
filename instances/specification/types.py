"""The types of instances, in one table: which spec, which parts, which flows, which definition.

A new type is one more entry here, with its spec, its row, its block and its flows' work: CONTRIBUTING.md has the
steps, and tests/flows/test_types.py holds them to each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from definitions.contract import FlowKind, Kind, Role
from instances.specification.specs import (
    AnySpec,
    BacktestSpec,
    ComponentSpec,
    DatasetSpec,
    ExperimentSpec,
    InstanceSpec,
    ModelSpec,
    PortfolioOptimizerSpec,
    SignalInstanceSpec,
)

PIPELINE_PART = "pipeline_instance"
PARTS: Mapping[str, str] = MappingProxyType(
    {PIPELINE_PART: "pipeline", "store_instance": "store", "accessor_instance": "accessor"}
)
BACKTEST_ROLES = (
    Role("assets"),
    Role("primary", required=False),
    Role("secondary", required=False),
    Role("weights", required=False),
    Role("benchmark", required=False),
)


@dataclass(frozen=True)
class InstanceType:
    """One type of instances.

    `parts` are the fields that name components, with the type that each must have. `defined_by` is the kind
    of the definition that it names itself; `defining_part` the field of the part whose definition decides
    on its flows and roles instead. `flows` are those it can have; where it has neither, it has all of them
    and accepts `roles`.
    """

    name: str
    spec: type[InstanceSpec]
    defined_by: Kind | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    defining_part: str | None = None
    flows: tuple[FlowKind, ...] = ()
    roles: tuple[Role, ...] = ()


def _component(kind: Kind) -> InstanceType:
    return InstanceType(kind.value, ComponentSpec, defined_by=kind)


def _dataset(name: str, spec: type[DatasetSpec]) -> InstanceType:
    return InstanceType(name, spec, parts=PARTS, defining_part=PIPELINE_PART, flows=(FlowKind.REFRESH,))


TYPES: Mapping[str, InstanceType] = MappingProxyType(
    {
        each.name: each
        for each in (
            _component(Kind.PIPELINE),
            _component(Kind.STORE),
            _component(Kind.ACCESSOR),
            _dataset("dataset", DatasetSpec),
            _dataset("signal", SignalInstanceSpec),
            InstanceType("experiment", ExperimentSpec, defined_by=Kind.PIPELINE, flows=(FlowKind.PREVIEW,)),
            InstanceType(
                "model",
                ModelSpec,
                defined_by=Kind.ML_MODULE,
                flows=(FlowKind.TRAIN, FlowKind.INFER, FlowKind.MONITOR),
            ),
            InstanceType(
                "portfolio_optimizer",
                PortfolioOptimizerSpec,
                defined_by=Kind.PORTFOLIO_OPTIMIZER,
                flows=(FlowKind.OPTIMIZE,),
            ),
            InstanceType("backtest", BacktestSpec, flows=(FlowKind.BACKTEST,), roles=BACKTEST_ROLES),
        )
    }
)


def type_of(spec: InstanceSpec) -> InstanceType:
    """Return the type of an instance by its spec."""
    return TYPES[spec.type]


def part_names(spec: InstanceSpec) -> list[str]:
    """Return the names of the instances that are parts of one."""
    return [getattr(spec, field) for field in type_of(spec).parts]


def part_name(instance: str, type_: str) -> str:
    """Return the name of a part that was described in place, inside its dataset."""
    return f"{instance}-{type_}"


def in_place(spec: AnySpec, specs: Mapping[str, AnySpec]) -> dict[str, ComponentSpec]:
    """Return, by field, the parts among `specs` that are described inside `spec`: they bear its name."""
    parts = type_of(spec).parts
    named = {field: getattr(spec, field) for field in parts}
    own = {field: specs.get(name) for field, name in named.items() if name == part_name(spec.name, parts[field])}
    return {field: part for field, part in own.items() if isinstance(part, ComponentSpec)}
