"""Assembly: from applied specs to the plugins that do an instance's work, and to where its rows lie."""

from dataclasses import dataclass, replace
from typing import Any

from definitions.accessors.simple import SIMPLE
from definitions.contract import Accessor, Definition, Pipeline, Resources, Store
from definitions.stores.delta import DELTA
from instances.specification.applied import AppliedInstance
from instances.specification.resolution import Definitions
from instances.specification.shapes import SHAPES, Output
from instances.specification.specs import DefinedSpec
from instances.specification.types import type_of


@dataclass(frozen=True)
class RowReader:
    """Where an instance's versions lie, and how they are read."""

    store: Store
    accessor: Accessor


def readable(applied: AppliedInstance, definitions: Definitions, resources: Resources) -> RowReader:
    """Return what it takes to read an instance's rows: its own parts or, without any, the default ones.

    Raises `DefinitionError`.
    """
    own = replace(resources, instance=applied.spec.name)
    if not applied.parts:
        return RowReader(own_store(applied.spec.name, resources), SIMPLE.factory(SIMPLE.parse({}), own))
    return RowReader(
        store=_plugin(applied.parts["store"], definitions, own),
        accessor=_plugin(applied.parts["accessor"], definitions, own),
    )


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
    others = [second_store(applied.spec.name, name, resources) for shape in shapes for name in shape.second_stores]
    return (own, *others)


def pipeline_of(applied: AppliedInstance, definitions: Definitions, resources: Resources) -> Pipeline:
    """Return the pipeline of a dataset, or the one that an experiment names. Raises `DefinitionError`."""
    spec = applied.parts["pipeline"] if applied.parts else applied.spec
    assert isinstance(spec, DefinedSpec)
    pipeline: Pipeline = _plugin(spec, definitions, replace(resources, instance=applied.spec.name))
    return pipeline


def plugin_of(applied: AppliedInstance, definitions: Definitions, resources: Resources) -> Any:
    """Return what an instance's own definition makes: a module, an optimizer, ... Raises `DefinitionError`."""
    assert isinstance(applied.spec, DefinedSpec)
    return _plugin(applied.spec, definitions, replace(resources, instance=applied.spec.name))


def defining(applied: AppliedInstance, definitions: Definitions) -> Definition | None:
    """Return the definition that decides on an instance's flows; None where its type does. Raises `DefinitionError`."""
    spec = applied.parts["pipeline"] if applied.parts else applied.spec
    if not isinstance(spec, DefinedSpec):
        return None
    return _definition(spec, definitions)


def _plugin(spec: DefinedSpec, definitions: Definitions, resources: Resources) -> Any:
    definition = _definition(spec, definitions)
    return definition.factory(definition.parse(spec.config), resources)


def _definition(spec: DefinedSpec, definitions: Definitions) -> Definition:
    kind = type_of(spec).defined_by
    assert kind is not None
    return definitions.get(kind, spec.definition, spec.definition_version)
