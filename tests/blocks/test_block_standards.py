"""What every block owes its form in the Prefect UI, and that a block says all that its spec can."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.blocks.core import Block
from prefect.utilities.dispatch import get_registry_for_type
from pydantic import SecretStr, ValidationError

import blocks
from blocks import (
    AccessorInstance,
    BacktestInstance,
    DatasetInstance,
    ExperimentInstance,
    ModelInstance,
    PipelineInstance,
    Platform,
    PortfolioOptimizerInstance,
    SignalInstance,
    StoreInstance,
)
from blocks.base import InstanceBlock
from blocks.platform import connector_for, connector_url
from flows.reading.block_reader import TYPE_WITH_SLUG, BlockMistakes, specs_of
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
from instances.specification.types import DEFAULT_PARTS
from tests.blocks.addresses import DOCS_URL, addresses, importing_blocks

RESOURCE_KINDS: list[type[Block]] = [getattr(blocks, name) for name in blocks.__all__]
LOGOS = Path(__file__).parents[2] / "docs" / "logos"
SPECS: dict[type[InstanceBlock], type[InstanceSpec]] = {
    PipelineInstance: ComponentSpec,
    StoreInstance: ComponentSpec,
    AccessorInstance: ComponentSpec,
    DatasetInstance: DatasetSpec,
    SignalInstance: SignalInstanceSpec,
    ExperimentInstance: ExperimentSpec,
    ModelInstance: ModelSpec,
    PortfolioOptimizerInstance: PortfolioOptimizerSpec,
    BacktestInstance: BacktestSpec,
}
COMPONENTS = [PipelineInstance, StoreInstance, AccessorInstance]

every_block = pytest.mark.parametrize("block", RESOURCE_KINDS, ids=blocks.__all__)
every_instance = pytest.mark.parametrize("block", SPECS, ids=lambda block: block.__name__)


def own_fields(block: type[Block]) -> dict[str, Any]:
    return {name: field for name, field in block.model_fields.items() if name not in Block.model_fields}


def a_dataset(block: type[DatasetInstance], **fields: Any) -> DatasetInstance:
    parts = {
        "pipeline_instance": PipelineInstance(definition="csv", config={"path": "a.csv"}),
        "store_instance": StoreInstance(definition="delta", definition_version=1),
        "accessor_instance": AccessorInstance(definition="simple", project="lab"),
    }
    return block.model_validate(parts | fields)


def described(
    block: InstanceBlock, name: str = "name", *, part_names: Mapping[str, str] | None = None
) -> tuple[AnySpec, tuple[ComponentSpec, ...]]:
    """Return what is read of a block when Prefect has stored it, and some of its parts are blocks of these names."""
    document = block._to_block_document(name, block_schema_id=uuid4(), block_type_id=uuid4())
    data = document.model_dump(mode="json", include={"data"})["data"]
    return specs_of(block.instance_type, name, data, part_names or {})


# Standards


def test_every_block_is_registered_with_prefect() -> None:
    assert RESOURCE_KINDS
    assert all(issubclass(block, Block) and block is not InstanceBlock for block in RESOURCE_KINDS)
    assert set(SPECS) == {block for block in RESOURCE_KINDS if issubclass(block, InstanceBlock)}


def test_prefect_knows_the_blocks_and_none_of_their_bases() -> None:
    known = (get_registry_for_type(Block) or {}).values()
    assert {block for block in known if block.__module__.split(".")[0] == "blocks"} == set(RESOURCE_KINDS)


@every_block
def test_it_has_a_description_that_ends_in_a_period(block: type[Block]) -> None:
    assert block._description
    assert block.get_description() == block._description
    assert block._description.endswith(".")
    assert block.__doc__
    assert block.__doc__.strip().endswith(".")


@every_block
def test_it_has_a_name_and_a_slug_of_its_own(block: type[Block]) -> None:
    assert block._block_type_slug
    assert block._block_type_slug.startswith("optaic-")
    assert [b._block_type_name for b in RESOURCE_KINDS].count(block._block_type_name) == 1
    assert [b._block_type_slug for b in RESOURCE_KINDS].count(block._block_type_slug) == 1


@every_block
def test_it_has_a_logo_that_is_there(block: type[Block]) -> None:
    address, _ = addresses(DOCS_URL)[block.get_block_type_slug()]
    assert address is not None
    assert address.startswith("https://")
    picture = LOGOS / address.rsplit("/", 1)[-1]
    assert address == f"{DOCS_URL}/logos/{picture.name}"
    assert picture.read_text(encoding="utf-8").lstrip().startswith("<svg")


@every_block
def test_it_has_a_documentation_link(block: type[Block]) -> None:
    _, address = addresses(DOCS_URL)[block.get_block_type_slug()]
    assert str(address).startswith(f"{DOCS_URL}/instances.md#")


def test_where_docs_is_published_nowhere_they_have_no_address() -> None:
    assert set(addresses("").values()) == {(None, None)}
    assert set(addresses("")) == {block.get_block_type_slug() for block in RESOURCE_KINDS}


def test_an_address_that_is_none_is_named() -> None:
    done = importing_blocks("docs.example")
    assert done.returncode != 0
    assert "OPTAIC_DOCS_URL=docs.example is no http address: correct it, or unset it to do without." in done.stderr


@every_block
def test_it_has_an_example_that_loads_it(block: type[Block]) -> None:
    example = block.get_code_example()
    assert example
    assert f"from blocks import {block.__name__}" in example or f", {block.__name__}" in example
    assert f'{block.__name__}.load("' in example
    code = example.strip().removeprefix("```python").removesuffix("```")
    compile(code, block.__name__, "exec")


@every_block
def test_every_field_has_a_description_that_ends_in_a_period(block: type[Block]) -> None:
    fields = own_fields(block)
    assert fields
    assert [name for name, field in fields.items() if not (field.description or "").endswith(".")] == []


@every_block
def test_its_schema_can_be_made(block: type[Block]) -> None:
    schema = block.model_json_schema()
    assert set(schema["properties"]) == set(own_fields(block))
    assert schema["block_type_slug"] == block._block_type_slug


@every_block
def test_its_form_begins_with_what_is_required(block: type[Block]) -> None:
    schema = block.model_json_schema()
    required = set(schema.get("required", ()))
    assert (
        set(sorted(own_fields(block), key=lambda name: int(schema["properties"][name]["position"]))[: len(required)])
        == required
    )


# Blocks and specs say the same


def test_blocks_are_found_by_the_slugs_of_their_types() -> None:
    assert {block._block_type_slug: block.instance_type for block in SPECS} == TYPE_WITH_SLUG


@every_instance
def test_it_has_the_fields_of_its_spec(block: type[InstanceBlock]) -> None:
    assert set(own_fields(block)) == set(SPECS[block].model_fields) - {"name", "type"}


@every_instance
def test_it_requires_what_its_spec_requires(block: type[InstanceBlock]) -> None:
    in_block = {name for name, field in own_fields(block).items() if field.is_required()}
    in_spec = {name for name, field in SPECS[block].model_fields.items() if field.is_required()}
    assert in_block == in_spec - {"name", "type", *DEFAULT_PARTS}  # a spec names them, whoever chose them


@pytest.mark.parametrize("block", COMPONENTS)
def test_a_component_describes_its_spec(block: type[InstanceBlock]) -> None:
    fields = {
        "definition": "x",
        "definition_version": 3,
        "config": {"a": [1]},
        "project": "lab",
        "description": "X.",
        "protect": True,
        "renamed_from": "former",
    }
    spec, _ = described(block.model_validate(fields))
    assert spec.model_dump() == fields | {"name": "name", "type": block.instance_type}
    least, _ = described(block(definition="x"))
    assert least == ComponentSpec(name="name", type=block.instance_type, definition="x")


FLOW_FIELDS: dict[str, Any] = {
    "project": "lab",
    "description": "Daily.",
    "upstream_refs": [{"instance": "prices", "flow": "refresh", "role": "input", "required": False, "max_age": "1d"}],
    "schedule": {
        "type": "cron",
        "expression": "0 18 * * *",
        "interval_minutes": None,
        "start_time": None,
        "end_time": None,
        "timezone": "Europe/London",
        "enabled": False,
        "retry_policy": {"max_retries": 2, "backoff": "1m"},
    },
    "freshness": {
        "follow_inputs": False,
        "max_age": "2d",
        "grace": "5m",
        "calendar": {"exchange": "XLON", "after_close": "2h"},
        "update_frequency": {
            "frequency": "weekly",
            "grace_period_days": 1,
            "business_days_only": True,
            "day_of_week": "friday",
            "day_of_month": None,
            "timezone": "Europe/London",
        },
    },
    "on_stale": "refresh",
    "auto": True,
    "source_retry": "20m",
    "protect": True,
    "work_pool": "cluster",
    "work_queue": "urgent",
    "job_variables": {"image": "own:1"},
    "concurrency": 2,
    "renamed_from": "former",
    "definition_flows": {},
}
SIGNAL_FIELDS: dict[str, Any] = {
    "signal_spec": {
        "value_column": "score",
        "min": -1.0,
        "max": 1.0,
        "allow_nan": True,
        "neutral": 0.5,
        "index_columns": ["date", "entity"],
        "date_frequency": "weekly",
    }
}


@pytest.mark.parametrize(
    ("block", "fields"), [(DatasetInstance, FLOW_FIELDS), (SignalInstance, FLOW_FIELDS | SIGNAL_FIELDS)]
)
def test_a_dataset_describes_its_spec(block: type[DatasetInstance], fields: dict[str, Any]) -> None:
    named = {"pipeline_instance": "p", "store_instance": "s", "accessor_instance": "a"}
    spec, own = described(a_dataset(block, **fields), part_names=named)
    assert type(spec) is SPECS[block]
    assert spec.model_dump(mode="json") == fields | named | {"name": "name", "type": block.instance_type}
    assert own == ()


@pytest.mark.parametrize("block", [DatasetInstance, SignalInstance])
def test_the_defaults_are_those_of_the_spec(block: type[DatasetInstance]) -> None:
    named = {"pipeline_instance": "p", "store_instance": "s", "accessor_instance": "a"}
    spec, _ = described(a_dataset(block), part_names=named)
    assert spec == SPECS[block].model_validate(named | {"name": "name", "type": block.instance_type})


def test_parts_described_in_place_are_named_after_their_dataset() -> None:
    spec, own = described(a_dataset(DatasetInstance), "prices", part_names={"store_instance": "shared"})
    assert isinstance(spec, DatasetSpec)
    assert (spec.pipeline_instance, spec.store_instance, spec.accessor_instance) == (
        "prices-pipeline",
        "shared",
        "prices-accessor",
    )
    assert own == (
        ComponentSpec(name="prices-pipeline", type="pipeline", definition="csv", config={"path": "a.csv"}),
        ComponentSpec(name="prices-accessor", type="accessor", definition="simple", project="lab"),
    )


def test_a_block_document_gives_back_the_block() -> None:
    block = a_dataset(SignalInstance, **FLOW_FIELDS, **SIGNAL_FIELDS)
    stored = block.model_dump(mode="json")
    assert described(SignalInstance.model_validate(stored)) == described(block)


def test_a_document_from_before_a_field_was_there_still_loads() -> None:
    required = {name for name, field in own_fields(SignalInstance).items() if field.is_required()}
    assert required == {"pipeline_instance"}


@pytest.mark.parametrize("block", [DatasetInstance, SignalInstance])
def test_a_dataset_has_delta_and_simple_where_nothing_is_said(block: type[DatasetInstance]) -> None:
    pipeline = PipelineInstance(definition="csv")
    said = block(
        pipeline_instance=pipeline,
        store_instance=StoreInstance(definition="delta"),
        accessor_instance=AccessorInstance(definition="simple"),
    )
    assert described(block(pipeline_instance=pipeline)) == described(said)


def test_a_form_with_a_mistake_says_what_is_wrong() -> None:
    with pytest.raises(ValidationError, match="a duration needs a unit: write '15m', '2h' or '7d'"):
        a_dataset(DatasetInstance, source_retry=15)
    with pytest.raises(ValidationError, match="a cron schedule needs an expression"):
        a_dataset(DatasetInstance, schedule={"type": "cron"})
    with pytest.raises(BlockMistakes, match="name: must be of lowercase letters, digits and dashes"):
        described(a_dataset(DatasetInstance), "no-name-")


# The platform


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://postgres@/optaic?host=%2Ftmp%2Fdata",
        "postgresql+psycopg://user:p%40ss%2Fword@db.example:5433/optaic",
        "postgresql+psycopg://db.example/optaic?application_name=optaic&sslmode=require",
    ],
)
def test_the_platform_gives_back_the_url_of_its_database(url: str) -> None:
    platform = Platform(database=connector_for(url), data_root="/data")
    assert platform.database_url == url
    assert connector_url(connector_for(url)) == url
    engine = platform.engine()
    assert engine.url.render_as_string(hide_password=False) == url
    engine.dispose()


def test_the_password_of_the_database_is_not_shown() -> None:
    connector = connector_for("postgresql+psycopg://user:hidden-word@db.example/optaic")
    assert "hidden-word" not in repr(Platform(database=connector, data_root="/data"))
    info: Any = connector.connection_info
    assert isinstance(info.password, SecretStr)
