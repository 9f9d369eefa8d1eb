"""Views: what is on record of the instances of a type, in one row each, under the names that the platform's guide has.

They are for people and their SQL, and for `stored_handles`. All of it is stored: statuses, which are derived, are
not among it. They follow a rename, since they join by ids. A changed view is a migration, like a changed table.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import Table
from sqlalchemy.orm import class_mapper

from definitions.contract import FlowKind
from instances.specification.handles import deployment_handle, word
from instances.specification.types import TYPES
from instances.storage.tables import ROWS, SCHEMA, InstanceRow

_READS = f"""(SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object(
    'instance', upstream.name, 'resource_id', upstream.id, 'flow', read.kind, 'role', edge.role,
    'required', edge.required, 'max_age', edge.max_age)), '[]')
  FROM {SCHEMA}.flow AS own
  JOIN {SCHEMA}.edge ON edge.flow_id = own.id
  JOIN {SCHEMA}.flow AS read ON read.id = edge.upstream_flow_id
  JOIN {SCHEMA}.instance AS upstream ON upstream.id = read.instance_id
  WHERE own.instance_id = instance.id AND upstream.id <> instance.id) AS upstream_refs"""


def _select(type_: str) -> str:
    kinds = TYPES[type_].flows
    columns = ",\n  ".join((*_own_columns(type_), *_flow_columns(kinds)))
    own = (f"JOIN {SCHEMA}.{table.name} ON {table.name}.id = instance.id" for table in _own_tables(type_))
    joins = "\n".join((*own, *(_joined_flow(kind) for kind in kinds)))
    return f"SELECT\n  {columns}\nFROM {SCHEMA}.instance\n{joins}\nWHERE instance.type = '{type_}'"


def _own_columns(type_: str) -> Iterator[str]:
    """Yield what rows of a type have in the base table, in short, and in their own, whole."""
    yield from (f"instance.{name}" for name in ("id", "name", "project"))
    yield "instance.spec ->> 'description' AS description"
    yield from (f"instance.{name}" for name in ("kept_as", "former_names", "created_at", "updated_at"))
    yield from (f"instance.spec ->> '{part}' AS {part}" for part in TYPES[type_].parts)
    for table in _own_tables(type_):
        yield from (f"{table.name}.{column.name}" for column in table.columns if column.name != "id")


def _own_tables(type_: str) -> list[Table]:
    tables = class_mapper(ROWS[type_]).tables
    return [table for table in tables if isinstance(table, Table) and table is not InstanceRow.__table__]


def _flow_columns(kinds: Sequence[FlowKind]) -> Iterator[str]:
    for kind in kinds:
        yield f"{kind}_flow.prefect_deployment_id AS {deployment_handle(kind, kinds)}"
        yield f"{kind}_run.recorded_at AS last_{word(kind)}_at"
        yield f"{kind}_run.prefect_run_id AS last_{word(kind)}_run_id"
    if len(kinds) == 1:
        yield f"{kinds[0]}_flow.settings -> 'schedule' AS schedule"
    elif kinds:
        of_each = ", ".join(f"'{kind}', {kind}_flow.settings -> 'schedule'" for kind in kinds)
        yield f"jsonb_build_object({of_each}) AS schedule"
    if kinds:
        yield _READS


def _joined_flow(kind: FlowKind) -> str:
    """Return the join of a flow, and of its newest run that has recorded what it left."""
    return f"""\
LEFT JOIN {SCHEMA}.flow AS {kind}_flow ON {kind}_flow.instance_id = instance.id AND {kind}_flow.kind = '{kind}'
LEFT JOIN LATERAL (
  SELECT run.recorded_at, run.prefect_run_id FROM {SCHEMA}.run
  WHERE run.flow_id = {kind}_flow.id AND run.recorded_at IS NOT NULL
  ORDER BY run.recorded_at DESC LIMIT 1
) AS {kind}_run ON true"""


VIEWS: Mapping[str, str] = MappingProxyType({type_: _select(type_) for type_ in TYPES})
