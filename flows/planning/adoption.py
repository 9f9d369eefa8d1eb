"""Adoption: makes ours what exists already, and brings blocks back that somebody has deleted."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from definitions.contract import FlowKind
from flows.integrations.services import Services
from flows.planning.block_writer import BlockWriter
from flows.reading.block_reader import SavedBlocks, read_blocks
from flows.reading.deployment_reader import deployments_named
from instances.errors import UnknownInstance
from instances.plans.renames import called_now
from instances.specification.specs import AnySpec
from instances.specification.types import in_place, part_names, type_of
from instances.storage.row_fields import recorded_rows


async def adopt(services: Services, names: Collection[str] = ()) -> list[str]:
    """Make ours what exists already, and return what that was; of the named instances, or of all.

    A deployment with the name of a flow that an instance has or could have gets our mark: the next apply
    makes it match. An instance on record whose block is gone gets its block again, with its parts as they were
    applied; a block whose parts alone are gone is joined with them again. Raises `UnknownInstance`.
    """
    blocks = (await read_blocks(services.prefect)).beside(recorded_rows(services.engine))
    lost = _lost(services.repository.specs(), blocks, names)
    adopted = await _adopt_deployments(services, names, blocks, lost.on_record)
    writer = BlockWriter(services.prefect, blocks)
    for spec in sorted(lost.specs, key=lambda spec: bool(type_of(spec).parts)):  # parts first
        await writer.save(spec, lost.inside(spec))
        adopted.append(f"block {spec.name}")
    for name, fields in lost.references.items():
        await writer.rejoin(lost.on_record[name], lost.inside(lost.on_record[name]), fields)
        adopted.append(f"block {name}")
    return adopted


@dataclass(frozen=True)
class _LostBlocks:
    """What is to be brought back: blocks by the specs on record, and of blocks that are there the `references`."""

    on_record: Mapping[str, AnySpec]
    specs: tuple[AnySpec, ...]
    references: Mapping[str, tuple[str, ...]]
    with_block: Collection[str]

    def inside(self, spec: AnySpec) -> Any:
        """Return the parts that are described inside the block of a spec: those without a block of their own."""
        own = in_place(spec, self.on_record)
        return {field: part for field, part in own.items() if part.name not in self.with_block}


def _lost(recorded: Iterable[AnySpec], blocks: SavedBlocks, names: Collection[str]) -> _LostBlocks:
    on_record = {spec.name: spec for spec in recorded}
    wholes = {part.name: spec.name for spec in on_record.values() for part in in_place(spec, on_record).values()}
    wanted = {wholes.get(name, name) if name not in blocks.ids else name for name in names or on_record}
    wanted |= {part for name in wanted & on_record.keys() for part in part_names(on_record[name])}
    specs = [spec for name, spec in on_record.items() if name in wanted and name not in blocks.names]
    return _LostBlocks(
        on_record,
        tuple(spec for spec in specs if spec.name not in wholes),
        {
            name: saved.lost
            for name, saved in blocks.unreadable.items()
            if name in wanted and saved.lost and name in on_record and on_record[name].type == saved.type
        },
        blocks.ids.keys(),
    )


async def _adopt_deployments(
    services: Services, names: Collection[str], blocks: SavedBlocks, on_record: Mapping[str, AnySpec]
) -> list[str]:
    there = blocks.names | on_record.keys()
    recorded = {flow.deployment_id for flow in services.repository.flows()}
    wanted = names or there
    kinds = (*FlowKind, *services.registry.brought_flows)
    found = await deployments_named(services.prefect, [f"{kind}/{name}" for name in wanted for kind in kinds])
    unknown = set(names) - there - {deployment.name for deployment in found.values()}
    if unknown:
        name = min(unknown)
        raise UnknownInstance(name, sorted(there), called_now(services.repository.names(), name))
    adopted: list[str] = []
    for name, deployment in found.items():
        if deployment.deployment_id not in recorded and deployment.owner_tag != services.owner_tag:
            await services.prefect.update_deployment(deployment.deployment_id, {"version": services.owner_tag})
            adopted.append(f"deployment {name}")
    return adopted
