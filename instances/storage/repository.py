"""Instances, flows and edges in Postgres: written by bootstrap, read by everyone."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Engine, Select, and_, func, or_, select, union, update
from sqlalchemy.orm import Session, with_polymorphic

from definitions.contract import FlowKind
from instances.documents.spec_errors import problem_text, spec_problems
from instances.errors import UnknownFlow, UnknownInstance, UnreadableRow
from instances.specification.applied import AppliedInstance, FlowRecord, RecordedName
from instances.specification.fields import FlowSettings
from instances.specification.specs import AnySpec, ComponentSpec, spec_adapter
from instances.specification.types import TYPES
from instances.storage.handle_columns import outside_handles
from instances.storage.tables import (
    DEFINED,
    AutomationRow,
    EdgeRow,
    FlowRow,
    FormerDeploymentRow,
    InstallationRow,
    InstanceRow,
)
from instances.world.facts import Edge, FlowId

_EVERY_ROW = with_polymorphic(InstanceRow, "*")


class Repository:
    """The applied instances. Every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def specs(self) -> tuple[AnySpec, ...]:
        """Return the applied spec of every instance, by name. Raises `UnreadableRow`."""
        with Session(self.engine) as session:
            stored = session.execute(select(InstanceRow.name, InstanceRow.spec).order_by(InstanceRow.name))
            return tuple(_parsed(name, spec) for name, spec in stored)

    def spec(self, name: str) -> AnySpec:
        """Return one instance's applied spec; `UnknownInstance` when there is none. Raises `UnreadableRow`."""
        with Session(self.engine) as session:
            stored = session.scalar(select(InstanceRow.spec).where(InstanceRow.name == name))
            if stored is None:
                known = tuple(session.scalars(select(InstanceRow.name).where(InstanceRow.flows.any())))
                renamed = select(InstanceRow.name).where(InstanceRow.former_names.contains([name]))
                raise UnknownInstance(name, known, tuple(session.scalars(renamed)))
            return _parsed(name, stored)

    def applied(self, names: Collection[str], *, readable: bool = False) -> dict[str, AppliedInstance]:
        """Return the named instances as they were applied, with their parts; unknown names are left out.

        Two statements, whatever their number. Raises `UnreadableRow`; with `readable` those are left out too.
        """
        with Session(self.engine) as session:
            return _applied_instances(session, names, readable=readable)

    def configuration(self, flow_id: FlowId, names: Collection[str]) -> tuple[str, dict[str, AppliedInstance]]:
        """Return the hash of a flow's configuration, and the named instances as `applied` does, of one moment.

        Of an apply that is under way either all is in it or nothing.
        """
        one_view = self.engine.execution_options(isolation_level="REPEATABLE READ")
        with Session(one_view) as session:
            config_hash = session.scalars(select(FlowRow.config_hash).where(FlowRow.id == flow_id)).one()
            return config_hash, _applied_instances(session, names)

    def flow(self, instance: str, kind: str = "") -> FlowRecord:
        """Return one flow of an instance: that of a kind, or the only one of its type, whatever a package brings.

        Raises `UnknownInstance`, `UnknownFlow`.
        """
        flows = self.flows(instances=[instance])
        if not flows:
            self.spec(instance)
        found = [flow for flow in flows if (flow.kind == kind if kind else flow.kind.built_in)]
        if len(found) != 1:
            raise UnknownFlow(instance, kind, [flow.kind for flow in flows])
        return found[0]

    def flows(self, *, instances: Collection[str] | None = None) -> tuple[FlowRecord, ...]:
        """Return all flows, or those of the named instances, by instance and kind."""
        wanted = InstanceRow.name.in_(instances) if instances is not None else None
        return self._read(wanted)

    def flow_of_deployment(self, deployment_id: UUID) -> FlowRecord | None:
        """Return the flow that is paired with a deployment, or was under a former name; None when there is none."""
        former = select(FormerDeploymentRow.flow_id).where(FormerDeploymentRow.prefect_deployment_id == deployment_id)
        mine = or_(FlowRow.prefect_deployment_id == deployment_id, FlowRow.id.in_(former))
        return next(iter(self._read(mine)), None)

    def surroundings(self, starts: Collection[FlowId]) -> tuple[FlowRecord, ...]:
        """Return all flows that a judgement of `starts` looks at, in one recursive query.

        These are the starts, their ancestors over strict edges, and two steps upward from each of those
        over any edge: one for the versions that follow_inputs compares, one more so that an upstream
        behind a tolerant edge can be judged too.
        """
        return self._read(FlowRow.id.in_(_closure(starts)))

    def ancestors(self, flow_id: FlowId) -> tuple[FlowId, ...]:
        """Return all flows upstream over required edges, in one recursive query; a flow is none of its own."""
        above = select(EdgeRow.upstream_flow_id.label("id")).where(EdgeRow.flow_id == flow_id, EdgeRow.required)
        found = above.cte("ancestors", recursive=True)
        found = found.union(
            select(EdgeRow.upstream_flow_id).join(found, and_(EdgeRow.flow_id == found.c.id, EdgeRow.required))
        )
        with Session(self.engine) as session:
            return tuple(FlowId(row) for row in session.scalars(select(found.c.id)) if row != flow_id)

    def installation(self) -> UUID:
        """Return by what things outside are known to have been made from this database."""
        with Session(self.engine) as session:
            return session.scalars(select(InstallationRow.id)).one()

    def automations(self) -> dict[str, UUID]:
        """Return the automations that were made from this database, by name."""
        with Session(self.engine) as session:
            rows = session.execute(select(AutomationRow.name, AutomationRow.prefect_automation_id))
            return dict(rows.tuples().all())

    def children(self, flow_id: FlowId) -> tuple[FlowId, ...]:
        """Return the flows directly downstream."""
        with Session(self.engine) as session:
            rows = session.scalars(select(EdgeRow.flow_id).where(EdgeRow.upstream_flow_id == flow_id).distinct())
            return tuple(FlowId(row) for row in rows)

    def _read(self, where: ColumnElement[bool] | None) -> tuple[FlowRecord, ...]:
        ids = func.array_agg(FormerDeploymentRow.prefect_deployment_id).label("ids")
        former = select(FormerDeploymentRow.flow_id, ids).group_by(FormerDeploymentRow.flow_id).subquery()
        statement = (
            select(FlowRow, InstanceRow.name, InstanceRow.type, former.c.ids, EdgeRow)
            .join(InstanceRow, InstanceRow.id == FlowRow.instance_id)
            .outerjoin(former, former.c.flow_id == FlowRow.id)
            .outerjoin(EdgeRow, EdgeRow.flow_id == FlowRow.id)
            .order_by(InstanceRow.name, FlowRow.kind, EdgeRow.role, EdgeRow.upstream_flow_id)
        )
        if where is not None:
            statement = statement.where(where)
        edges: dict[UUID, list[Edge]] = defaultdict(list)
        rows: dict[UUID, tuple[FlowRow, str, str, tuple[UUID, ...]]] = {}
        with Session(self.engine) as session:
            for flow, name, type_, earlier, edge in session.execute(statement):
                rows[flow.id] = (flow, name, type_, tuple(earlier or ()))
                if edge is not None:
                    edges[flow.id].append(Edge(FlowId(edge.upstream_flow_id), edge.role, edge.required, edge.max_age))
        return tuple(_record(flow, name, type_, edges[flow.id], of) for flow, name, type_, of in rows.values())

    def names(self) -> tuple[RecordedName, ...]:
        """Return the name of every instance, with those that it had before and the one that its data are kept under."""
        with Session(self.engine) as session:
            rows = session.execute(select(InstanceRow.name, InstanceRow.kept_as, InstanceRow.former_names))
            return tuple(RecordedName(name, kept_as, tuple(former)) for name, kept_as, former in rows)

    def leftover_deployments(self) -> dict[UUID, str]:
        """Return the deployments of former names that are not gone yet, each with the name of its instance now."""
        statement = (
            select(FormerDeploymentRow.prefect_deployment_id, InstanceRow.name)
            .join(FlowRow, FlowRow.id == FormerDeploymentRow.flow_id)
            .join(InstanceRow, InstanceRow.id == FlowRow.instance_id)
            .where(FormerDeploymentRow.gone_at.is_(None))
        )
        with Session(self.engine) as session:
            return dict(session.execute(statement).tuples().all())

    def set_deployment(self, flow_id: FlowId, deployment_id: UUID, *, scheduled_at: dt.datetime | None = None) -> None:
        """Note the deployment that a flow is paired with, and when it was given a schedule, if it was."""
        values: dict[str, Any] = {"prefect_deployment_id": deployment_id}
        if scheduled_at is not None:
            values["scheduled_at"] = scheduled_at
        with Session(self.engine) as session, session.begin():
            session.execute(update(FlowRow).where(FlowRow.id == flow_id).values(**values))

    def succeed_deployment(self, flow_id: FlowId, former: UUID, deployment_id: UUID) -> None:
        """Pair a flow with the deployment of its instance's new name; runs of the former one stay its own."""
        with Session(self.engine) as session, session.begin():
            session.add(FormerDeploymentRow(prefect_deployment_id=former, flow_id=flow_id))
            session.execute(
                update(FlowRow)
                .where(FlowRow.id == flow_id, FlowRow.prefect_deployment_id == former)
                .values(prefect_deployment_id=deployment_id)
            )

    def note_deployment_gone(self, deployment_id: UUID, at: dt.datetime) -> None:
        """Note that a deployment of a former name was deleted in Prefect."""
        with Session(self.engine) as session, session.begin():
            session.execute(
                update(FormerDeploymentRow)
                .where(FormerDeploymentRow.prefect_deployment_id == deployment_id)
                .values(gone_at=at)
            )


def _closure(starts: Collection[FlowId]) -> Select[tuple[UUID]]:
    strict = select(FlowRow.id).where(FlowRow.id.in_(starts)).cte("strict", recursive=True)
    strict = strict.union(
        select(EdgeRow.upstream_flow_id).join(
            strict, and_(EdgeRow.flow_id == strict.c.id, EdgeRow.required, EdgeRow.max_age.is_(None))
        )
    )
    first = select(EdgeRow.upstream_flow_id).join(strict, EdgeRow.flow_id == strict.c.id).cte("first")
    second = select(EdgeRow.upstream_flow_id).join(first, EdgeRow.flow_id == first.c.upstream_flow_id)
    everything = union(select(strict.c.id), select(first.c.upstream_flow_id), second).subquery()
    return select(everything.c.id)


def _applied_instances(
    session: Session, names: Collection[str], *, readable: bool = False
) -> dict[str, AppliedInstance]:
    rows = session.scalars(select(_EVERY_ROW).where(_EVERY_ROW.name.in_(names))).all()
    part_ids = {getattr(row, f"{part}_id") for row in rows for part in TYPES[row.type].parts}
    parts = session.scalars(select(_EVERY_ROW).where(_EVERY_ROW.id.in_(part_ids))) if part_ids else ()
    by_id = {part.id: part for part in parts}
    found: dict[str, AppliedInstance] = {}
    for row in rows:
        try:
            found[row.name] = _applied(row, by_id)
        except UnreadableRow:
            if not readable:
                raise
    return found


def _applied(row: InstanceRow, by_id: Mapping[UUID, InstanceRow]) -> AppliedInstance:
    instance_type = TYPES[row.type]
    parts = {type_: _spec(by_id[getattr(row, f"{part}_id")]) for part, type_ in instance_type.parts.items()}
    return AppliedInstance(
        spec=_spec(row),
        parts={type_: part for type_, part in parts.items() if isinstance(part, ComponentSpec)},
        handles=outside_handles(row),
        first_name=row.kept_as if row.kept_as != row.name else None,
    )


def _spec(row: InstanceRow) -> AnySpec:
    """Return the spec of a row, pinned to the version of its definition that was applied."""
    pinned = {"definition_version": row.definition_version} if isinstance(row, DEFINED) else {}
    return _parsed(row.name, row.spec, **pinned)


def _parsed(name: str, stored: object, **pinned: object) -> AnySpec:
    try:
        return spec_adapter.validate_python({**stored, **pinned} if isinstance(stored, dict) else stored)
    except ValidationError as error:
        raise UnreadableRow(name, _first_problem(error)) from error


def _first_problem(error: ValidationError) -> str:
    return problem_text("", *next(spec_problems(error)))


def _settings(stored: object) -> tuple[FlowSettings, str | None]:
    """Return the settings of a flow, or those of none and why its own can't be read."""
    try:
        return FlowSettings.model_validate(stored), None
    except ValidationError as error:
        return FlowSettings(), f"the settings in its row can't be read: {_first_problem(error)}"


def _record(flow: FlowRow, name: str, type_: str, edges: Sequence[Edge], former: tuple[UUID, ...]) -> FlowRecord:
    settings, unreadable = _settings(flow.settings)
    return FlowRecord(
        flow_id=FlowId(flow.id),
        instance=name,
        type=type_,
        kind=FlowKind(flow.kind),
        deployment_id=flow.prefect_deployment_id,
        config_hash=flow.config_hash,
        settings=settings,
        edges=tuple(edges),
        configured_at=flow.configured_at,
        scheduled_at=flow.scheduled_at,
        unreadable=unreadable,
        former_deployments=former,
    )
