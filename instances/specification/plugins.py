"""Plugins: from the specs of an instance to what does its work, and to where its rows lie.

A config is parsed once: what it is parsed to stays beside its definition, and all that is asked afterwards, what
decides on the flows, what counts in their hash, what is logged, what does the work, is asked of the two together.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import BaseModel

from definitions.accessors.simple import SIMPLE
from definitions.contract import Accessor, Definition, Kind, Resources, Store
from definitions.errors import StoreError
from definitions.stores.delta import DELTA
from instances.specification.applied import AppliedInstance
from instances.specification.shapes import SHAPES, Output
from instances.specification.specs import DefinedSpec
from instances.specification.types import KEEPING, type_of


class Definitions(Protocol):
    """Where definitions are looked up; the registry is one."""

    def get(self, kind: Kind, name: str, version: int | None = None) -> Definition: ...


@dataclass(frozen=True)
class ConfiguredDefinition:
    """A definition, with the parameters that a config gives it."""

    definition: Definition
    parameters: BaseModel

    @property
    def config(self) -> dict[str, Any]:
        """The parameters as JSON, defaults filled in."""
        return self.parameters.model_dump(mode="json")

    @property
    def uses(self) -> tuple[str, ...]:
        """What else decides what the plugin computes, like the operators of an expression."""
        return self.definition.uses(self.parameters)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns of a pipeline's rows; None where that is seen when it has read them."""
        return self.definition.columns(self.parameters)

    @property
    def entities(self) -> tuple[str, ...] | None:
        """All that a pipeline's rows can be of; None where that is seen when it has read them."""
        return self.definition.entities(self.parameters)

    def unfit(self, columns: Collection[str]) -> str | None:
        """Return why a store or an accessor is not for rows with these columns, with the remedy; None where it is."""
        return self.definition.unfit(self.parameters, columns)

    def plugin(self, resources: Resources) -> Any:
        """Make what the definition brings: a pipeline, a store, a module, ... Raises `DefinitionError`."""
        return self.definition.factory(self.parameters, resources)


def configured(spec: DefinedSpec, definitions: Definitions) -> ConfiguredDefinition:
    """Return the definition that a spec names, with its config parsed. Raises `DefinitionError`."""
    definition = _definition(spec, definitions)
    return ConfiguredDefinition(definition, definition.parse(spec.config))


def defining(applied: AppliedInstance, definitions: Definitions) -> Definition | None:
    """Return the definition that decides on an instance's flows; None where its type does. Raises `DefinitionError`."""
    spec = _defining_spec(applied)
    return _definition(spec, definitions) if spec is not None else None


def own_definition(applied: AppliedInstance, definitions: Definitions) -> ConfiguredDefinition:
    """Return what `defining` returns, configured, of an instance that has one. Raises `DefinitionError`.

    It makes the pipeline of a dataset or an experiment, the module of a model, the optimizer of a portfolio.
    """
    spec = _defining_spec(applied)
    assert spec is not None, f"no definition decides on {applied.spec.name}"
    return configured(spec, definitions)


@dataclass(frozen=True)
class RowReader:
    """Where an instance's versions lie, and how they are read."""

    store: Store
    accessor: Accessor


def readable(applied: AppliedInstance, definitions: Definitions, resources: Resources) -> RowReader:
    """Return what it takes to read an instance's rows: its own parts or, without any, the default ones.

    Raises `DefinitionError`.
    """
    own = replace(resources, instance=applied.kept_as)
    if not applied.parts:
        return RowReader(own_store(applied.kept_as, resources), SIMPLE.factory(SIMPLE.parse({}), own))
    return RowReader(
        store=configured(applied.parts["store"], definitions).plugin(own),
        accessor=configured(applied.parts["accessor"], definitions).plugin(own),
    )


def check_columns(applied: AppliedInstance, definitions: Definitions, columns: Collection[str]) -> None:
    """Raise `StoreError` where the store or accessor of a dataset is not for rows with these columns."""
    for type_ in KEEPING:
        if type_ in applied.parts and (problem := configured(applied.parts[type_], definitions).unfit(columns)):
            raise StoreError(problem)


def own_store(name: str, resources: Resources) -> Store:
    """Return the default store under `name`, as instances have it that don't choose one."""
    store: Store = DELTA.factory(DELTA.parse({}), replace(resources, instance=name))
    return store


def second_store(instance: str, name: str, resources: Resources) -> Store:
    """Return the store of an instance for other rows than those that its readers see."""
    return own_store(f"{instance}.{name}", resources)


def stores(applied: AppliedInstance, definitions: Definitions, resources: Resources) -> tuple[Store, ...]:
    """Return all stores that an instance's flows write to. Raises `DefinitionError`."""
    shapes = [SHAPES[kind] for kind in type_of(applied.spec).flows]
    if all(shape.leaves is not Output.ROWS for shape in shapes):
        return ()
    own = readable(applied, definitions, resources).store
    others = [second_store(applied.kept_as, name, resources) for shape in shapes for name in shape.second_stores]
    return (own, *others)


def _defining_spec(applied: AppliedInstance) -> DefinedSpec | None:
    spec = applied.parts["pipeline"] if applied.parts else applied.spec
    return spec if isinstance(spec, DefinedSpec) else None


def _definition(spec: DefinedSpec, definitions: Definitions) -> Definition:
    kind = type_of(spec).defined_by
    assert kind is not None
    return definitions.get(kind, spec.definition, spec.definition_version)
