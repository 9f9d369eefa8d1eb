"""Writes blocks for specs: what a manifest describes can be seen and edited in the Prefect UI too."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import blocks
from blocks.base import InstanceBlock
from flows.integrations.prefect_api import NotInPrefect, PrefectApi
from flows.reading.block_reader import BlocksNotRegistered, SavedBlocks, block_slug
from instances.specification.specs import AnySpec, ComponentSpec
from instances.specification.types import type_of

BLOCK_OF: Mapping[str, type[InstanceBlock]] = {
    block.instance_type: block
    for block in (getattr(blocks, name) for name in blocks.__all__)
    if issubclass(block, InstanceBlock)
}


def named_parts(spec: AnySpec, own_parts: Mapping[str, ComponentSpec]) -> list[str]:
    """Return the names of the parts that the block of a spec refers to: all but those described inside it."""
    return [getattr(spec, field) for field in type_of(spec).parts if field not in own_parts]


def document_data(spec: AnySpec, own_parts: Mapping[str, ComponentSpec], ids: Mapping[str, UUID]) -> dict[str, Any]:
    """Return the data of the block document of a spec: each part in it, or as a reference to one of `ids`.

    Prefect's own way from a block to its document makes the JSON schema of the block once for each of its
    fields, half a second in all.
    """
    parts = type_of(spec).parts
    data = spec.model_dump(mode="json", exclude={"name", "type", *parts})
    for part in parts:
        if part in own_parts:
            slug = {"block_type_slug": block_slug(own_parts[part].type)}
            data[part] = document_data(own_parts[part], {}, ids) | slug
        else:
            data[part] = {"$ref": {"block_document_id": str(ids[getattr(spec, part)])}}
    return data


class BlockWriter:
    """Writes blocks for specs. A part with a block of its own must be saved before what it belongs to."""

    def __init__(self, prefect: PrefectApi, existing: SavedBlocks) -> None:
        self.prefect = prefect
        self.ids = existing.ids
        self.forms: dict[str, tuple[UUID, UUID]] = {}

    async def save(self, spec: AnySpec, own_parts: Mapping[str, ComponentSpec]) -> None:
        """Create the block of this spec, or make it match; `own_parts` are described inside it, by field.

        Raises `BlocksNotRegistered`.
        """
        type_id, schema_id = await self._form_of(spec.type)
        data = document_data(spec, own_parts, self.ids)
        if spec.name in self.ids:
            await self.prefect.replace_block(self.ids[spec.name], data, schema_id=schema_id)
        else:
            self.ids[spec.name] = await self.prefect.create_block(spec.name, data, type_id=type_id, schema_id=schema_id)

    async def rejoin(self, spec: AnySpec, own_parts: Mapping[str, ComponentSpec], fields: Collection[str]) -> None:
        """Give the block of this spec some of its parts again; what else it says stays as it is."""
        _, schema_id = await self._form_of(spec.type)
        data = {field: part for field, part in document_data(spec, own_parts, self.ids).items() if field in fields}
        await self.prefect.amend_block(self.ids[spec.name], data, schema_id=schema_id)

    async def _form_of(self, type_: str) -> tuple[UUID, UUID]:
        """Return the ids of the block type for instances of a type, and of its form as this code has it."""
        if type_ not in self.forms:
            slug = block_slug(type_)
            known = [UUID(each["id"]) for each in await self.prefect.block_types([slug])]
            try:
                schema_id = await self.prefect.block_schema_id(BLOCK_OF[type_]._calculate_schema_checksum())
            except NotInPrefect as error:
                raise BlocksNotRegistered(slug) from error
            if not known:
                raise BlocksNotRegistered(slug)
            self.forms[type_] = known[0], schema_id
        return self.forms[type_]
