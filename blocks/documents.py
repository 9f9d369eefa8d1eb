"""Block documents: reads the specs of all instance blocks from Prefect, and writes blocks for specs.

Talks to the API in whole lists, not block by block: a thousand instances take a few dozen requests.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import BlockDocumentCreate, BlockDocumentUpdate
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError

from blocks.base import InstanceBlock, part_name
from blocks.components import AccessorInstance, PipelineInstance, StoreInstance
from blocks.datasets import DatasetInstance, SignalInstance
from blocks.experiments import ExperimentInstance
from blocks.models import ModelInstance
from blocks.portfolios import BacktestInstance, PortfolioOptimizerInstance
from instances.errors import OptaicError
from instances.specification.spec_errors import spec_problems
from instances.specification.specs import AnySpec, ComponentSpec
from instances.specification.types import TYPES, type_of
from instances.world.wording import a

INSTANCE_BLOCKS: tuple[type[InstanceBlock], ...] = (
    PipelineInstance,
    StoreInstance,
    AccessorInstance,
    DatasetInstance,
    SignalInstance,
    ExperimentInstance,
    ModelInstance,
    PortfolioOptimizerInstance,
    BacktestInstance,
)
_BLOCK_OF: Mapping[str, type[InstanceBlock]] = {block.instance_type: block for block in INSTANCE_BLOCKS}
_BLOCK_WITH_SLUG: Mapping[str, type[InstanceBlock]] = {b.get_block_type_slug(): b for b in INSTANCE_BLOCKS}
_PAGE = 200  # what the API gives at most in one answer


class BlocksNotRegistered(OptaicError):
    """The Prefect server does not know the block types of this project."""

    def __init__(self, block_type: str) -> None:
        super().__init__(
            f"this Prefect server has no block type {block_type!r}. "
            "Run `optaic up`, or `prefect block register -m blocks` against a server of your own."
        )


@dataclass(frozen=True)
class SavedBlock:
    """One block document with the spec that it describes; `parts` are those described in place."""

    document_id: UUID
    spec: AnySpec
    parts: tuple[ComponentSpec, ...] = ()


@dataclass(frozen=True)
class UnreadableBlock:
    """One block document that describes nothing valid, and why."""

    document_id: UUID
    type: str
    problem: str

    def __str__(self) -> str:
        return f"its {_BLOCK_OF[self.type].get_block_type_name()} block can't be read: {self.problem}"


@dataclass(frozen=True)
class SavedBlocks:
    """All instance blocks of a Prefect server, by name; of two with one name the first."""

    by_name: Mapping[str, SavedBlock]
    unreadable: Mapping[str, UnreadableBlock] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """The names of all instances that have a block or are described inside one, readable or not."""
        return {spec.name for spec in self.specs} | self.unreadable.keys()

    @property
    def ids(self) -> dict[str, UUID]:
        """The ids of all block documents, by name."""
        readable = {name: saved.document_id for name, saved in self.by_name.items()}
        return readable | {name: saved.document_id for name, saved in self.unreadable.items()}

    @property
    def types(self) -> dict[str, str]:
        """The types of the instances that have a block, by name."""
        readable = {name: saved.spec.type for name, saved in self.by_name.items()}
        return readable | {name: saved.type for name, saved in self.unreadable.items()}

    @property
    def specs(self) -> tuple[AnySpec, ...]:
        return self.merged(())

    def merged(self, specs: Sequence[AnySpec], *, without: Collection[str] = ()) -> tuple[AnySpec, ...]:
        """Return what the blocks would describe once `specs` are saved; blocks of the names `without` don't count."""
        names = {spec.name for spec in specs} | set(without)
        kept = [saved for name, saved in self.by_name.items() if name not in names]
        return (*specs, *(described for saved in kept for described in (*saved.parts, saved.spec)))


async def read_blocks(client: PrefectClient) -> SavedBlocks:
    """Return what the instance blocks describe. Raises `BlocksNotRegistered`."""
    problems: list[str] = []
    found: dict[str, SavedBlock] = {}
    unreadable: dict[str, UnreadableBlock] = {}
    for document in await _documents(client):
        block_class, name = _BLOCK_WITH_SLUG[document["block_type"]["slug"]], str(document["name"])
        document_id, own_type = UUID(document["id"]), block_class.instance_type
        if name in found or name in unreadable:
            other = found[name].spec.type if name in found else unreadable[name].type
            problems.append(f"{name}: is the name of {a(other)} and of {a(own_type)} block; delete one of them")
            continue
        try:
            spec, parts = _specs(block_class, document)
        except ValidationError as error:
            told = "; ".join(": ".join(filter(None, each)) for each in spec_problems(error))
            unreadable[name] = UnreadableBlock(document_id, own_type, told)
        except ValueError as error:
            unreadable[name] = UnreadableBlock(document_id, own_type, str(error))
        else:
            found[name] = SavedBlock(document_id, spec, parts)
    return SavedBlocks(found, unreadable, tuple(problems))


async def _documents(client: PrefectClient) -> list[dict[str, Any]]:
    """Return the documents of all instance blocks as JSON.

    Through the filter route: the one by type knows no pages, and the client's models read each block's
    type and schema along with it.
    """
    types = {"slug": {"any_": list(_BLOCK_WITH_SLUG)}}
    known = await client.request("POST", "/block_types/filter", json={"block_types": types})
    missing = _BLOCK_WITH_SLUG.keys() - {each["slug"] for each in known.json()}
    if missing:
        raise BlocksNotRegistered(min(missing))
    found: list[dict[str, Any]] = []
    while True:
        wanted = {"block_types": types, "sort": "BLOCK_TYPE_AND_NAME_ASC", "offset": len(found), "limit": _PAGE}
        wanted["block_documents"] = {"is_anonymous": {"eq_": False}}
        page = (await client.request("POST", "/block_documents/filter", json=wanted)).json()
        found.extend(page)
        if len(page) < _PAGE:
            return found


def _specs(block_class: type[InstanceBlock], document: Mapping[str, Any]) -> tuple[AnySpec, tuple[ComponentSpec, ...]]:
    block, name = block_class.model_validate(document["data"]), str(document["name"])
    references = document["block_document_references"]
    parts = TYPES[block_class.instance_type].parts
    return block.to_specs(name, {field: _referred(references.get(field)) for field in parts})


def _referred(reference: Mapping[str, Any] | None) -> str | None:
    """Return the name of the block that a nested field refers to; None when it is described in place."""
    document = (reference or {}).get("block_document", {})
    return None if document.get("is_anonymous") else document.get("name")


def in_place(spec: AnySpec, specs: Mapping[str, AnySpec]) -> dict[str, ComponentSpec]:
    """Return, by field, the parts among `specs` that are described inside `spec`: they bear its name."""
    parts = type_of(spec).parts
    named = {field: getattr(spec, field) for field in parts}
    own = {field: specs.get(name) for field, name in named.items() if name == part_name(spec.name, parts[field])}
    return {field: part for field, part in own.items() if isinstance(part, ComponentSpec)}


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
            slug = _BLOCK_OF[own_parts[part].type].get_block_type_slug()
            data[part] = document_data(own_parts[part], {}, ids) | {"block_type_slug": slug}
        else:
            data[part] = {"$ref": {"block_document_id": str(ids[getattr(spec, part)])}}
    return data


class BlockWriter:
    """Writes blocks for specs. A part with a block of its own must be saved before what it belongs to."""

    def __init__(self, client: PrefectClient, existing: SavedBlocks) -> None:
        self.client = client
        self.ids = existing.ids
        self.types: dict[type[InstanceBlock], tuple[UUID, UUID]] = {}

    async def save(self, spec: AnySpec, own_parts: Mapping[str, ComponentSpec]) -> None:
        """Create the block of this spec, or make it match; `own_parts` are described inside it, by field.

        Raises `BlocksNotRegistered`.
        """
        type_id, schema_id = await self._type_of(_BLOCK_OF[spec.type])
        data = document_data(spec, own_parts, self.ids)
        if spec.name in self.ids:
            update = BlockDocumentUpdate(block_schema_id=schema_id, data=data, merge_existing_data=False)
            await self.client.update_block_document(self.ids[spec.name], update)
            return
        created = await self.client.create_block_document(
            BlockDocumentCreate(
                name=spec.name, data=data, block_schema_id=schema_id, block_type_id=type_id, is_anonymous=False
            )
        )
        self.ids[spec.name] = created.id

    async def _type_of(self, block_class: type[InstanceBlock]) -> tuple[UUID, UUID]:
        if block_class not in self.types:
            try:
                block_type = await self.client.read_block_type_by_slug(block_class.get_block_type_slug())
                schema = await self.client.read_block_schema_by_checksum(block_class._calculate_schema_checksum())
            except ObjectNotFound as error:
                raise BlocksNotRegistered(block_class.get_block_type_slug()) from error
            self.types[block_class] = block_type.id, schema.id
        return self.types[block_class]
