"""Writes the rows of instances: with their flows and edges, in one transaction for all of them."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, Select, delete, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, selectin_polymorphic

from definitions.contract import Definition, FlowKind
from definitions.errors import DefinitionConflict
from instances.errors import Problem
from instances.rules.freshness_policy import clock_of
from instances.specification.fields import FlowSettings
from instances.specification.resolution import ResolvedFlow, ResolvedInstance
from instances.specification.specs import DefinedSpec, RunnableSpec
from instances.specification.types import TYPES, type_of, with_names
from instances.storage.handle_columns import set_handles
from instances.storage.row_fields import readable_settings
from instances.storage.spec_columns import of_spec_values
from instances.storage.tables import ROWS, AutomationRow, Base, DefinitionRow, EdgeRow, FlowRow, InstanceRow
from instances.world.wording import a


class Writer:
    """What bootstrap writes to Postgres. Every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def problems(self, instances: Iterable[ResolvedInstance]) -> list[Problem]:
        """Return why these instances could not be written: a changed definition, or a name of another type."""
        found = list(instances)
        with Session(self.engine) as session:
            types = dict(session.execute(select(InstanceRow.name, InstanceRow.type)).tuples().all())
            hashes = _known_hashes(session)
        return [
            *(
                Problem(i.spec.name, str(DefinitionConflict(i.definition.ref)))
                for i in found
                if i.definition is not None
                and hashes.get(_key(i.definition), i.definition.content_hash) != i.definition.content_hash
            ),
            *(
                Problem(
                    i.spec.name,
                    f"{i.spec.name}: there is {a(types[i.spec.name])} of this name already; choose another name",
                )
                for i in found
                if types.get(i.spec.name, i.spec.type) != i.spec.type
            ),
        ]

    def save(self, instances: Sequence[ResolvedInstance], now: dt.datetime) -> None:
        """Write what differs of the rows, flows and edges of `instances` (parts first, then upstream first).

        A configuration or a schedule that is another one than before is so since `now`, a moment by the clock of
        Prefect's server.
        """
        with Session(self.engine) as session, session.begin():
            _note_definitions(session, instances)
            rows = _load(session)
            for instance in instances:
                row = rows.get(instance.spec.name)
                if row is None:
                    row = ROWS[instance.spec.type](id=uuid4(), name=instance.spec.name, kept_as=instance.kept_as)
                    rows[instance.spec.name] = row
                    session.add(row)
                _fill(row, instance, rows)
            session.flush()
            _save_flows(session, instances, rows, now)

    def rename(self, names: Mapping[str, str], asked: Collection[str]) -> None:
        """Give instances other names, by their present ones; all else stays, and all that refers to them follows.

        In one transaction: none is renamed by half. `asked` are the new names of those whose description says so.
        """
        with Session(self.engine) as session, session.begin():
            for row in session.scalars(_every_row()):
                spec = with_names(row.spec, names) if isinstance(row.spec, dict) else row.spec
                if row.name in names:
                    row.former_names = [*row.former_names, row.name]
                    row.name, said = names[row.name], {"renamed_from": row.name} if names[row.name] in asked else {}
                    spec = {**spec, **said, "name": row.name} if isinstance(spec, dict) else spec
                _set(row, _described(row, spec) if isinstance(spec, dict) else {})

    def remove_flows(self, flows: Collection[tuple[str, FlowKind]]) -> None:
        """Delete flows that their instances no longer have, with their edges, runs and requests."""
        with Session(self.engine) as session, session.begin():
            keys = tuple_(InstanceRow.name, FlowRow.kind).in_([(name, kind.value) for name, kind in flows])
            _delete_flows(session, select(FlowRow.id).join(FlowRow.instance).where(keys))

    def retire(self, names: Collection[str]) -> None:
        """Let no run of these instances write any more, and wait for those that do: their flows lose their deployments.

        See `Ledger.writing`; a flow that is applied again gets its deployment back.
        """
        with Session(self.engine) as session, session.begin():
            ids = select(InstanceRow.id).where(InstanceRow.name.in_(names))
            session.execute(update(FlowRow).where(FlowRow.instance_id.in_(ids)).values(prefect_deployment_id=None))

    def remove(self, names: Collection[str]) -> None:
        """Delete the rows of these instances, with their flows, edges, runs and requests."""
        with Session(self.engine) as session, session.begin():
            ids = select(InstanceRow.id).where(InstanceRow.name.in_(names))
            _delete_flows(session, select(FlowRow.id).where(FlowRow.instance_id.in_(ids)))
            # Before the parts that they refer to: Postgres looks at each reference when its turn comes.
            with_parts = [name for name, each in TYPES.items() if each.parts]
            for which in (InstanceRow.type.in_(with_parts), InstanceRow.type.not_in(with_parts)):
                table = InstanceRow.__table__
                session.execute(delete(table).where(InstanceRow.name.in_(names), which))  # type: ignore[arg-type]

    def note_automation(self, name: str, automation_id: UUID) -> None:
        """Note an automation as made from this database."""
        values = {"prefect_automation_id": automation_id}
        with Session(self.engine) as session, session.begin():
            session.execute(
                insert(AutomationRow)
                .values(name=name, **values)
                .on_conflict_do_update(index_elements=["name"], set_=values)
            )

    def rename_automation(self, name: str, new: str) -> None:
        """Note an automation under another name."""
        with Session(self.engine) as session, session.begin():
            session.execute(update(AutomationRow).where(AutomationRow.name == name).values(name=new))

    def forget_automation(self, name: str) -> None:
        """Forget an automation that was deleted."""
        with Session(self.engine) as session, session.begin():
            session.execute(delete(AutomationRow).where(AutomationRow.name == name))

    def set_handle(self, instance: str, handle: str, value: str | None) -> None:
        """Note, in an instance's row, the id of a thing outside that belongs to it. Raises `UnknownHandle`."""
        with Session(self.engine) as session, session.begin():
            row = session.scalars(_every_row().where(InstanceRow.name == instance)).one()
            set_handles(row, {handle: value})


def _key(definition: Definition) -> tuple[str, str, int]:
    return definition.kind.value, definition.name, definition.version


def _known_hashes(session: Session) -> dict[tuple[str, str, int], str]:
    return {(row.kind, row.name, row.version): row.content_hash for row in session.scalars(select(DefinitionRow))}


def _note_definitions(session: Session, instances: Iterable[ResolvedInstance]) -> None:
    known = _known_hashes(session)
    for definition in {i.definition.ref: i.definition for i in instances if i.definition is not None}.values():
        kind, name, version = _key(definition)
        if (kind, name, version) not in known:
            session.add(
                DefinitionRow(
                    kind=kind,
                    name=name,
                    version=version,
                    content_hash=definition.content_hash,
                    parameters_schema=definition.schema,
                )
            )


def _load(session: Session) -> dict[str, InstanceRow]:
    return {row.name: row for row in session.scalars(_every_row())}


def _every_row() -> Select[tuple[InstanceRow]]:
    return select(InstanceRow).options(selectin_polymorphic(InstanceRow, list(ROWS.values())))


def _fill(row: InstanceRow, instance: ResolvedInstance, rows: Mapping[str, InstanceRow]) -> None:
    spec = instance.spec
    values: dict[str, Any] = {"project": spec.project, **_described(row, spec.model_dump(mode="json"))}
    values |= {f"{part}_id": rows[getattr(spec, part)].id for part in type_of(spec).parts}
    if isinstance(spec, DefinedSpec):
        assert instance.definition is not None
        definition = instance.definition
        values |= {
            "definition": definition.name,
            "definition_version": definition.version,
            "config": spec.config,
        }
    _set(row, values)


def _described(row: InstanceRow, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that its spec is in: whole, and by fields."""
    return {"spec": spec, **of_spec_values(type(row), spec)}


def _set(row: Base, values: Mapping[str, Any]) -> None:
    """Set what differs, so that a row that is right already is not written."""
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


def _save_flows(
    session: Session, instances: Sequence[ResolvedInstance], rows: Mapping[str, InstanceRow], now: dt.datetime
) -> None:
    there = {(flow.instance_id, flow.kind): flow for flow in session.scalars(select(FlowRow))}
    for instance in instances:
        for flow in instance.flows:
            assert isinstance(instance.spec, RunnableSpec)
            key = (rows[flow.instance].id, flow.kind.value)
            if key not in there:
                there[key] = FlowRow(id=uuid4(), instance_id=key[0], kind=key[1])
                session.add(there[key])
            _fill_flow(there[key], flow, instance.spec.flow_settings(flow.kind), now)
    session.flush()
    names = {row.id: name for name, row in rows.items()}
    ids = {(names[instance_id], FlowKind(kind)): flow.id for (instance_id, kind), flow in there.items()}
    _save_edges(session, [flow for instance in instances for flow in instance.flows], ids)


def _fill_flow(row: FlowRow, flow: ResolvedFlow, settings: FlowSettings, now: dt.datetime) -> None:
    before = readable_settings(row.settings) if row.settings is not None else None
    if before is None or clock_of(before.schedule) != clock_of(settings.schedule):
        row.scheduled_at = now
    if row.config_hash != flow.config_hash:
        row.configured_at = now
    _set(row, {"config_hash": flow.config_hash, "settings": settings.model_dump(mode="json")})


def _save_edges(session: Session, flows: Sequence[ResolvedFlow], ids: Mapping[tuple[str, FlowKind], UUID]) -> None:
    wanted = {
        (ids[flow.key], ids[edge.upstream], edge.ref.role): {"required": edge.ref.required, "max_age": edge.ref.max_age}
        for flow in flows
        for edge in flow.edges
    }
    readers = {ids[flow.key] for flow in flows}
    there = {
        (edge.flow_id, edge.upstream_flow_id, edge.role): edge
        for edge in session.scalars(select(EdgeRow))
        if edge.flow_id in readers
    }
    for key in there.keys() - wanted.keys():
        session.delete(there[key])
    for key, values in wanted.items():
        if key in there:
            _set(there[key], values)
        else:
            session.add(EdgeRow(flow_id=key[0], upstream_flow_id=key[1], role=key[2], **values))


def _delete_flows(session: Session, ids: Select[tuple[UUID]]) -> None:
    session.execute(delete(EdgeRow).where(or_(EdgeRow.flow_id.in_(ids), EdgeRow.upstream_flow_id.in_(ids))))
    session.execute(delete(FlowRow).where(FlowRow.id.in_(ids)), execution_options={"synchronize_session": False})
