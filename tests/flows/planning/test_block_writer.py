"""Block documents are what Prefect itself makes of the same blocks."""

from typing import Any
from uuid import uuid4

import pytest

from blocks import AccessorInstance, DatasetInstance, PipelineInstance, SignalInstance, StoreInstance
from blocks.base import InstanceBlock
from flows.planning.block_writer import document_data
from instances.specification.specs import AnySpec, ComponentSpec
from instances.specification.types import in_place
from tests.instances.catalogue import component, dataset, signal

PIPELINE = component("s-pipeline", "pipeline", "csv", config={"path": "a.csv", "dates": ["2024-01-02"]}, protect=True)
STORE = component("delta", "store", "delta", definition_version=1)
ACCESSOR = component("simple", "accessor", "simple")
FIELDS: dict[str, Any] = {
    "pipeline_instance": "s-pipeline",
    "schedule": {"type": "cron", "expression": "0 18 * * *"},
    "freshness": {"max_age": "36h", "calendar": {"exchange": "XNYS"}},
    "job_variables": {"env": {"A": "1"}},
}
IDS = {"delta": uuid4(), "simple": uuid4(), "s-pipeline": uuid4()}
BLOCKS: dict[str, type[InstanceBlock]] = {
    "pipeline": PipelineInstance,
    "store": StoreInstance,
    "accessor": AccessorInstance,
    "dataset": DatasetInstance,
    "signal": SignalInstance,
}


def block_of(spec: AnySpec, parts: dict[str, InstanceBlock]) -> InstanceBlock:
    fields = spec.model_dump(mode="json", exclude={"name", "type"})
    return BLOCKS[spec.type].model_validate(fields | parts)


def part(spec: ComponentSpec, *, by_reference: bool) -> InstanceBlock:
    block = block_of(spec, {})
    if by_reference:
        block._block_document_id = IDS[spec.name]
    return block


@pytest.mark.parametrize("described_in_place", [True, False])
@pytest.mark.parametrize("spec", [dataset("s", **FIELDS), signal("s", "prices", signal_spec={"min": -1}, **FIELDS)])
def test_a_document_is_what_prefect_makes_of_the_block(spec: AnySpec, described_in_place: bool) -> None:
    own = {"pipeline_instance": PIPELINE} if described_in_place else {}
    block = block_of(
        spec,
        {
            "pipeline_instance": part(PIPELINE, by_reference=not described_in_place),
            "store_instance": part(STORE, by_reference=True),
            "accessor_instance": part(ACCESSOR, by_reference=True),
        },
    )
    document = block._to_block_document(spec.name, block_schema_id=uuid4(), block_type_id=uuid4())
    assert document_data(spec, own, IDS) == _with_text_ids(document.data)


@pytest.mark.parametrize("spec", [PIPELINE, STORE, ACCESSOR])
def test_so_is_that_of_a_part(spec: ComponentSpec) -> None:
    document = block_of(spec, {})._to_block_document(spec.name, block_schema_id=uuid4(), block_type_id=uuid4())
    assert document_data(spec, {}, {}) == document.data


def test_parts_that_bear_the_name_of_their_dataset_are_described_in_place() -> None:
    specs: dict[str, AnySpec] = {s.name: s for s in (PIPELINE, STORE, ACCESSOR, dataset("s", **FIELDS))}
    assert in_place(specs["s"], specs) == {"pipeline_instance": PIPELINE}
    assert in_place(PIPELINE, specs) == {}
    assert in_place(dataset("t", **FIELDS), specs) == {}


def _with_text_ids(data: dict[str, Any]) -> dict[str, Any]:
    def text(value: Any) -> Any:
        if isinstance(value, dict) and "$ref" in value:
            return {"$ref": {"block_document_id": str(value["$ref"]["block_document_id"])}}
        return value

    return {field: text(value) for field, value in data.items()}
