"""Handles as the views have them."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Engine, text

from instances.specification.handles import FlowHandles, InstanceHandles, deployment_handle, word
from instances.specification.types import TYPES
from instances.storage.tables import SCHEMA

_STORED = frozenset(field.name for field in fields(InstanceHandles)) - {"type", "flows", "upstream_refs"}


def stored_handles(engine: Engine) -> dict[str, InstanceHandles]:
    """Return what is stored of every instance, by name; a statement for each type. Nothing of it is derived."""
    with engine.connect() as connection:
        return {
            row["name"]: _handles(type_, dict(row))
            for type_ in TYPES
            for row in connection.execute(text(f"SELECT * FROM {SCHEMA}.{type_}")).mappings()
        }


def _handles(type_: str, row: Mapping[str, Any]) -> InstanceHandles:
    own = {name: value for name, value in row.items() if name in _STORED}
    refs = tuple(row.get("upstream_refs", ()))
    return InstanceHandles(type=type_, flows=tuple(_flows(type_, row)), upstream_refs=refs, **own)


def _flows(type_: str, row: Mapping[str, Any]) -> Iterator[FlowHandles]:
    kinds = TYPES[type_].flows
    for kind in kinds:
        schedule = row["schedule"] if len(kinds) == 1 else row["schedule"][kind.value]
        yield FlowHandles(
            flow=kind,
            prefect_deployment_id=row[deployment_handle(kind, kinds)],
            schedule=schedule or {},
            last_run_at=row[f"last_{word(kind)}_at"],
            last_run_id=row[f"last_{word(kind)}_run_id"],
        )
