"""Builders of specs, and a small set of real definitions for them to refer to.

`PARTS` are the components that the datasets of `dataset(...)` are made of.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from definitions.contract import Definition, FlowKind, Kind, Resources, Role
from definitions.errors import SourceError, UnknownDefinition, UnknownVersion
from instances.specification.fields import UpstreamRef
from instances.specification.resolution import ResolvedInstance, resolve
from instances.specification.specs import ComponentSpec, DatasetSpec, SignalInstanceSpec


class CsvParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str = "prices.csv"
    rows: int = Field(default=10, ge=1)


class ExpressionParameters(BaseModel):
    expression: str = "close"


class NoParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Plugin:
    """A plugin whose source is there unless it is called missing.csv."""

    def __init__(self, parameters: BaseModel, resources: Resources) -> None:
        self.parameters = parameters

    def check(self) -> None:
        if getattr(self.parameters, "path", "") == "missing.csv":
            raise SourceError("there is no file 'missing.csv'")


def definition(kind: Kind, name: str, version: int = 1, **fields: Any) -> Definition:
    given: dict[str, Any] = {
        "summary": f"The {name} {kind} of the tests.",
        "parameters": NoParameters,
        "factory": Plugin,
    }
    return Definition(kind=kind, name=name, version=version, **(given | fields))


CSV = definition(Kind.PIPELINE, "csv", 1, parameters=CsvParameters, flows=(FlowKind.REFRESH,))
CSV_2 = definition(Kind.PIPELINE, "csv", 2, parameters=CsvParameters, flows=(FlowKind.REFRESH,))
EXPRESSION = definition(
    Kind.PIPELINE,
    "expression",
    parameters=ExpressionParameters,
    flows=(FlowKind.REFRESH,),
    roles=(Role("input", many=True), Role("universe", required=False)),
)
LOOSE = definition(Kind.PIPELINE, "loose", flows=(FlowKind.REFRESH,), roles=(Role("input", required=False, many=True),))
DELTA = definition(Kind.STORE, "delta")
SIMPLE = definition(Kind.ACCESSOR, "simple")
RESOURCE_KINDS = (CSV, CSV_2, EXPRESSION, LOOSE, DELTA, SIMPLE)


class FewDefinitions:
    """Looks definitions up as the registry does, among the given ones only."""

    def __init__(self, *definitions: Definition) -> None:
        self.definitions = definitions

    def get(self, kind: Kind, name: str, version: int | None = None) -> Definition:
        named = {d.version: d for d in self.definitions if (d.kind, d.name) == (kind, name)}
        if not named:
            raise UnknownDefinition(kind, name, {d.name for d in self.definitions if d.kind == kind})
        if version is not None and version not in named:
            raise UnknownVersion(kind, name, version, named)
        return named[version or max(named)]


DEFINITIONS = FewDefinitions(*RESOURCE_KINDS)


def component(name: str, type_: str, definition_name: str, **fields: Any) -> ComponentSpec:
    return ComponentSpec.model_validate({"name": name, "type": type_, "definition": definition_name} | fields)


PARTS = (
    component("csv", "pipeline", "csv"),
    component("expression", "pipeline", "expression"),
    component("delta", "store", "delta"),
    component("simple", "accessor", "simple"),
)
LOOSE_PART = component("loose", "pipeline", "loose")
"""The pipeline of datasets all of whose inputs may be optional."""


def ref(upstream: str | Mapping[str, Any] | UpstreamRef) -> UpstreamRef:
    if isinstance(upstream, UpstreamRef):
        return upstream
    return UpstreamRef.model_validate({"instance": upstream} if isinstance(upstream, str) else upstream)


def dataset(name: str, *upstreams: str | Mapping[str, Any] | UpstreamRef, **fields: Any) -> DatasetSpec:
    """Return a dataset of `PARTS`: from a csv file, or with upstreams computed by an expression."""
    return DatasetSpec.model_validate(_fields(name, upstreams, fields))


def signal(name: str, *upstreams: str | Mapping[str, Any] | UpstreamRef, **fields: Any) -> SignalInstanceSpec:
    """Return a signal of `PARTS`, as `dataset` does."""
    return SignalInstanceSpec.model_validate(_fields(name, upstreams, fields))


def resolved(*specs: ComponentSpec | DatasetSpec) -> tuple[ResolvedInstance, ...]:
    """Return these specs resolved, `PARTS` included."""
    return resolve([*PARTS, *specs], DEFINITIONS)


def _fields(name: str, upstreams: tuple[Any, ...], fields: Mapping[str, Any]) -> dict[str, Any]:
    made = {
        "name": name,
        "pipeline_instance": "expression" if upstreams else "csv",
        "store_instance": "delta",
        "accessor_instance": "simple",
        "upstream_refs": tuple(ref(upstream) for upstream in upstreams),
    }
    return made | dict(fields)
