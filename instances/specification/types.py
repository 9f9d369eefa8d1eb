"""The types of instances, in one table: which spec, which parts, which flows, which definition.

A new type is one more entry here, with its spec, its row, its block and its flows' work: CONTRIBUTING.md has the
steps, and tests/flows/test_types.py holds them to each other.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

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
    RunnableSpec,
    SignalInstanceSpec,
    spec_adapter,
)

PIPELINE_PART = "pipeline_instance"
DELTA, SIMPLE = "delta", "simple"
PARTS: Mapping[str, str] = MappingProxyType(
    {PIPELINE_PART: "pipeline", "store_instance": "store", "accessor_instance": "accessor"}
)
# What the parts of a dataset are where nothing is said of them.
DEFAULT_PARTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"store_instance": {"definition": DELTA}, "accessor_instance": {"definition": SIMPLE}}
)
KEEPING = ("store", "accessor")  # the parts that must be for what the pipeline brings
BACKTEST_ROLES = (
    Role("assets"),
    Role("universe", required=False),
    Role("primary", required=False),
    Role("secondary", required=False, many=True),
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


def with_names(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of an instance, JSON with its type, with other names for the instances that it refers to."""
    instance_type, changed = TYPES.get(str(fields.get("type"))), dict(fields)
    if instance_type is None:
        return changed
    refs = changed.get("upstream_refs")
    if isinstance(refs, list | tuple):
        changed["upstream_refs"] = [_named(ref, ("instance",), names) for ref in refs]
    spec = instance_type.spec
    for place in (*instance_type.parts, *(spec.naming if issubclass(spec, RunnableSpec) else ())):
        changed = _named(changed, tuple(place.split(".")), names)
    return changed


def _named(fields: Any, place: tuple[str, ...], names: Mapping[str, str]) -> Any:
    """Return fields with other names at a place, where there are some that have others.

    There may be a list of names, or a name alone where there may be more fields: `benchmark: index`.
    """
    if isinstance(fields, str):
        return names.get(fields, fields)
    if isinstance(fields, list | tuple):
        return [_named(each, place, names) for each in fields]
    if not place or not isinstance(fields, Mapping) or place[0] not in fields:
        return fields
    return {**fields, place[0]: _named(fields[place[0]], place[1:], names)}


def refers_to(spec: InstanceSpec, names: Collection[str]) -> bool:
    """Say whether an instance refers to one of these, as a part or as what it reads."""
    read = {ref.instance for ref in spec.references()} if isinstance(spec, RunnableSpec) else set()
    return not read.union(part_names(spec)).isdisjoint(names)


def followed(spec: AnySpec, names: Mapping[str, str]) -> AnySpec:
    """Return an instance that refers to others by their present names, where it does so by former ones."""
    if not refers_to(spec, names):
        return spec
    return spec_adapter.validate_python(with_names(spec.model_dump(mode="json"), names))
