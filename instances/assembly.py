"""Assembly: from the specs of a dataset's parts to the plugins that do its work."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from definitions.contract import Accessor, Definition, Kind, Pipeline, Resources, Store
from instances.repository import AppliedDataset
from instances.resolution import Definitions
from instances.specs import ComponentSpec


@dataclass(frozen=True)
class Readable:
    """Where a dataset's versions lie, and how they are read."""

    store: Store
    accessor: Accessor


@dataclass(frozen=True)
class Parts(Readable):
    """All plugins of a dataset."""

    pipeline: Pipeline


def readable(dataset: AppliedDataset, definitions: Definitions, resources: Resources) -> Readable:
    """Return what it takes to read a dataset. Raises `DefinitionError`."""
    own = replace(resources, instance=dataset.spec.name)
    return Readable(
        store=_plugin(dataset.parts, "store", definitions, own),
        accessor=_plugin(dataset.parts, "accessor", definitions, own),
    )


def assemble(dataset: AppliedDataset, definitions: Definitions, resources: Resources) -> Parts:
    """Return the plugins that refresh a dataset. Raises `DefinitionError`."""
    reading = readable(dataset, definitions, resources)
    own = replace(resources, instance=dataset.spec.name)
    return Parts(reading.store, reading.accessor, _plugin(dataset.parts, "pipeline", definitions, own))


def _plugin(parts: Mapping[str, ComponentSpec], type_: str, definitions: Definitions, resources: Resources) -> Any:
    part = parts[type_]
    definition: Definition = definitions.get(Kind(type_), part.definition, part.definition_version)
    return definition.factory(definition.parse(part.config), resources)
