"""Blocks that were saved before their fields were written in groups, when a dataset's parts came last."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import BlockDocumentCreate, BlockSchemaCreate
from prefect.client.schemas.objects import BlockDocument

from blocks import AccessorInstance, DatasetInstance, PipelineInstance, StoreInstance
from blocks.base import InstanceBlock
from flows.integrations.prefect_api import PrefectApi
from flows.planning.block_writer import BlockWriter
from flows.reading.block_reader import read_blocks
from instances.specification.specs import ComponentSpec, DatasetSpec, spec_adapter
from prefect_optaic.stack import Target
from prefect_optaic.stack.prepare import prepare_blocks

SCHEMAS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("earlier_schemas.json").read_text())
PARTS: tuple[type[InstanceBlock], ...] = (PipelineInstance, StoreInstance, AccessorInstance)
OF_PARTS: dict[str, dict[str, Any]] = {
    "pipeline": {"definition": "csv", "config": {"path": "a.csv"}},
    "store": {"definition": "delta", "definition_version": 1},
    "accessor": {"definition": "simple"},
}
OF_DATASET: dict[str, Any] = {
    "project": "lab",
    "upstream_refs": [{"instance": "calendar", "flow": None, "role": "input", "required": True, "max_age": "1d"}],
    "concurrency": 2,
    "source_retry": "20m",
    "freshness": {"follow_inputs": None, "max_age": "2d", "grace": "1h", "calendar": None},
}


async def saved(client: PrefectClient, block: type[InstanceBlock], name: str, data: dict[str, Any]) -> BlockDocument:
    """Save a document under the earlier schema of its type, which is registered first."""
    block_type = await client.read_block_type_by_slug(block.get_block_type_slug())
    fields = SCHEMAS[block_type.slug]
    schema = await client.create_block_schema(BlockSchemaCreate(fields=fields, block_type_id=block_type.id))
    assert schema.checksum != block._calculate_schema_checksum()
    document = BlockDocumentCreate(name=name, data=data, block_schema_id=schema.id, block_type_id=block_type.id)
    return await client.create_block_document(document)


async def schema_of(client: PrefectClient, document_id: UUID) -> str:
    document = await client.read_block_document(document_id)
    assert document.block_schema is not None
    return document.block_schema.checksum


def test_they_load_are_read_and_get_todays_schema_when_they_are_saved_again(stack: Target) -> None:
    name = f"earlier-{uuid4().hex[:6]}"
    names = {block.instance_type: f"{name}-{block.instance_type}" for block in PARTS}
    fields = {f"{type_}_instance": part for type_, part in names.items()}
    expected = spec_adapter.validate_python({"name": name, "type": "dataset", **OF_DATASET, **fields})
    parts = {
        part: ComponentSpec.model_validate({"name": part, "type": type_, **OF_PARTS[type_]})
        for type_, part in names.items()
    }

    async def before() -> UUID:
        async with get_client() as client:
            ids = {
                block.instance_type: (
                    await saved(client, block, names[block.instance_type], OF_PARTS[block.instance_type])
                ).id
                for block in PARTS
            }
            references = {f"{type_}_instance": {"$ref": {"block_document_id": str(id_)}} for type_, id_ in ids.items()}
            return (await saved(client, DatasetInstance, name, OF_DATASET | references)).id

    async def after(document_id: UUID) -> None:
        async with get_client() as client, PrefectApi() as prefect:
            assert await schema_of(client, document_id) != DatasetInstance._calculate_schema_checksum()
            loaded: object = await DatasetInstance.aload(name, client=client)
            assert isinstance(loaded, DatasetInstance)
            assert loaded.pipeline_instance.config == {"path": "a.csv"}

            found = await read_blocks(prefect)
            assert found.by_name[name].spec == expected
            assert {part: found.by_name[part].spec for part in parts} == parts

            changed = DatasetSpec.model_validate(expected.model_dump() | {"description": "Edited."})
            await BlockWriter(prefect, found).save(changed, {})
            assert await schema_of(client, document_id) == DatasetInstance._calculate_schema_checksum()
            assert (await read_blocks(prefect)).by_name[name].spec == changed

    async def forget() -> None:
        async with get_client() as client:
            saved_blocks: tuple[type[InstanceBlock], ...] = (DatasetInstance, *PARTS)
            for block in saved_blocks:
                own = names.get(block.instance_type, name)
                document = await client.read_block_document_by_name(own, block.get_block_type_slug())
                await client.delete_block_document(document.id)

    document_id = asyncio.run(before())
    try:
        prepare_blocks(stack)  # as `optaic up` does with new code
        asyncio.run(after(document_id))
    finally:
        asyncio.run(forget())  # every plan of another test would read it


def test_the_server_has_the_form_of_a_dataset_with_its_parts_first(stack: Target) -> None:
    async def form() -> dict[str, Any]:
        async with get_client() as client:
            schema = await client.read_block_schema_by_checksum(DatasetInstance._calculate_schema_checksum())
            return dict(schema.fields["properties"])

    properties = asyncio.run(form())
    assert sorted(properties, key=lambda field: int(properties[field]["position"]))[:4] == [
        "pipeline_instance",
        "store_instance",
        "accessor_instance",
        "project",
    ]
