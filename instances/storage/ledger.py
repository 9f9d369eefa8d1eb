"""The ledger: what runs consumed and left, what is asked for, and who may start it."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Engine, Select, Uuid, cast, func, select, true, tuple_, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, undefer

from definitions.contract import FlowKind
from definitions.work.outcome import TRAINED_VERSION, Outcome
from instances.errors import FlowGone
from instances.rules.admission import ADMITTED, Admission
from instances.specification.shapes import SHAPES, Output
from instances.specification.work_order import WorkOrder
from instances.storage.advisory_locks import holder
from instances.storage.handle_columns import data_handles, set_handles
from instances.storage.tables import ClaimRow, FlowRow, RequestRow, RunInputRow, RunRow
from instances.world.facts import FlowId, Provenance, Request, RunId

# What a run's row says of its outcome, and what a run that confirms it takes over.
_OUTCOME = ("version", "watermark", "row_count", "metrics", "facts", "further_versions")


@dataclass(frozen=True)
class GuardedRun:
    """What is known of a run when its guard has judged, before any work."""

    run_id: RunId
    flow_id: FlowId
    kind: FlowKind
    config_hash: str
    fingerprint: str
    admission: str
    forced: bool
    inputs: tuple[tuple[FlowId, str, str], ...]  # upstream, role, version
    report: Mapping[str, Any]
    at: dt.datetime
    made_by: Mapping[FlowId, str] = field(default_factory=dict)
    order: WorkOrder | None = None


@dataclass(frozen=True)
class RecordedRun:
    """A run that has recorded what it left or confirmed, and when."""

    run_id: RunId
    at: dt.datetime
    skipped: bool


@dataclass(frozen=True)
class RunRows:
    """What the rows of some runs say, and each flow's newest runs that have recorded something, newest first."""

    provenance: Mapping[RunId, Provenance]
    newest: Mapping[FlowId, tuple[RecordedRun, ...]]


class Ledger:
    """Runs, requests and claims. Every method is one transaction, but for `request`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def runs(self, run_ids: Collection[RunId], *, newest_of: Collection[FlowId] = (), count: int = 1) -> "RunRows":
        """Return what the rows of these runs say, and of the newest few of each flow that have recorded something."""
        inputs: dict[UUID, list[RunInputRow]] = defaultdict(list)
        rows: dict[UUID, RunRow] = {}
        given = select(func.unnest(cast(list(run_ids), ARRAY(Uuid))).label("run_id"))
        wanted = union(given, _newest_recorded(newest_of, count)).subquery()
        statement = (
            select(RunRow, RunInputRow)
            .join(wanted, wanted.c.run_id == RunRow.prefect_run_id)
            .outerjoin(RunInputRow, RunInputRow.run_id == RunRow.prefect_run_id)
        )
        with Session(self.engine) as session:
            for row, read in session.execute(statement):
                rows[row.prefect_run_id] = row
                if read is not None:
                    inputs[row.prefect_run_id].append(read)
        recorded: dict[FlowId, list[RecordedRun]] = defaultdict(list)
        for row in rows.values():
            if row.recorded_at is not None:
                skipped = row.admission == Admission.SKIPPED
                run = RecordedRun(RunId(row.prefect_run_id), row.recorded_at, skipped)
                recorded[FlowId(row.flow_id)].append(run)
        return RunRows(
            provenance={RunId(run_id): _provenance(row, inputs[run_id]) for run_id, row in rows.items()},
            newest={
                flow_id: tuple(sorted(recorded[flow_id], key=lambda run: run.at, reverse=True)[:count])
                for flow_id in newest_of
            },
        )

    def trained_on(self, versions: Mapping[FlowId, str]) -> dict[FlowId, dict[FlowId, str]]:
        """Return the configurations of the features that each flow's version of a model was trained on.

        One of which no row tells is left out.
        """
        statement = (
            select(RunRow.flow_id, RunInputRow.upstream_flow_id, RunInputRow.made_by)
            .join(RunInputRow, RunInputRow.run_id == RunRow.prefect_run_id)
            .where(
                tuple_(RunRow.flow_id, RunRow.facts[TRAINED_VERSION].astext).in_(list(versions.items())),
                RunInputRow.made_by.is_not(None),
            )
            .order_by(RunRow.recorded_at)
        )
        found: dict[FlowId, dict[FlowId, str]] = defaultdict(dict)
        with Session(self.engine) as session:
            for flow_id, upstream_id, made_by in session.execute(statement):
                found[FlowId(flow_id)][FlowId(upstream_id)] = made_by or ""
        return dict(found)

    def provenance(self, run_ids: Collection[RunId]) -> dict[RunId, Provenance]:
        """Return what the rows of these runs say; a run without a row is left out."""
        return dict(self.runs(run_ids).provenance)

    def claimed(self, run_ids: Collection[RunId]) -> dict[RunId, str]:
        """Return the fingerprints that those of these runs were started for which the cascade started."""
        statement = select(ClaimRow.prefect_run_id, ClaimRow.fingerprint).where(ClaimRow.prefect_run_id.in_(run_ids))
        with Session(self.engine) as session:
            return {RunId(run_id): found for run_id, found in session.execute(statement) if run_id is not None}

    def record_guard(self, run: GuardedRun) -> None:
        """Write a run's row with its pins, before any work. A retry of the same run overwrites it."""
        values = {
            "flow_id": run.flow_id,
            "kind": SHAPES[run.kind].run_kind,
            "config_hash": run.config_hash,
            "fingerprint": run.fingerprint,
            "admission": run.admission,
            "forced": run.forced,
            "report": dict(run.report),
            "work_order": run.order.as_json() if run.order is not None else None,
            "guarded_at": run.at,
            # What an earlier attempt of the same run has left counts no more.
            **dict.fromkeys(("recorded_at", "found_new", "version_since", *_OUTCOME)),
        }
        with Session(self.engine) as session, session.begin():
            session.execute(
                insert(RunRow)
                .values(prefect_run_id=run.run_id, **values)
                .on_conflict_do_update(index_elements=["prefect_run_id"], set_=values)
            )
            for row in session.scalars(select(RunInputRow).where(RunInputRow.run_id == run.run_id)):
                session.delete(row)
            session.flush()
            session.add_all(
                RunInputRow(
                    run_id=run.run_id,
                    upstream_flow_id=upstream,
                    role=role,
                    version=version,
                    made_by=run.made_by.get(upstream),
                )
                for upstream, role, version in run.inputs
            )

    def standing_order(self, run_id: RunId) -> WorkOrder | None:
        """Return what an earlier attempt of a run was admitted to do; None where it is to be judged anew.

        So it is where it was not admitted, and where another run of its flow has left something since: what it was
        to read is behind that.
        """
        with Session(self.engine) as session:
            row = session.get(RunRow, run_id, options=[undefer(RunRow.work_order)])
            if row is None or row.work_order is None or row.admission not in ADMITTED:
                return None
            return None if _overtaken(session, row) else WorkOrder.from_json(row.work_order)

    def overtaken(self, run_id: RunId) -> bool:
        """Say whether another run of the same flow has recorded what it left since this one's guard has judged."""
        with Session(self.engine) as session:
            return _overtaken(session, session.get_one(RunRow, run_id))

    @contextmanager
    def writing(self, run_id: RunId) -> Iterator[None]:
        """Keep a run's flow from being destroyed while the run writes something outside, for the length of a block.

        Nothing within the block may wait for the flow's row, or for somebody who does: who destroys it may be before
        them in the line, waiting for the end of this block.
        Raises `FlowGone` where it is destroyed, or about to be.
        """
        flow = (
            select(FlowRow.id)
            .join(RunRow, RunRow.flow_id == FlowRow.id)
            .where(RunRow.prefect_run_id == run_id, FlowRow.prefect_deployment_id.is_not(None))
            .with_for_update(read=True, key_share=True, of=FlowRow)
        )
        with holder(self.engine) as connection:
            if connection.scalar(flow) is None:
                raise FlowGone
            yield

    def require_flow(self, run_id: RunId) -> None:
        """Raise `FlowGone` where a run's flow is destroyed, or about to be."""
        with self.writing(run_id):
            return

    def record_outcome(self, run_id: RunId, outcome: Outcome, now: dt.datetime) -> None:
        """Write what the run left, on its row and as its instance's handles, in one transaction.

        Raises `UnknownHandle`.
        """
        with Session(self.engine) as session, session.begin():
            flow = _one_at_a_time(session, session.get_one(RunRow, run_id).flow_id)
            session.execute(
                update(RunRow)
                .where(RunRow.prefect_run_id == run_id)
                .values(
                    recorded_at=now,
                    version=outcome.version,
                    version_since=_since_before(session, flow.id, run_id, outcome.version),
                    watermark=outcome.watermark,
                    row_count=outcome.row_count,
                    found_new=outcome.found_new,
                    metrics=dict(outcome.metrics),
                    facts=dict(outcome.facts),
                    further_versions=dict(outcome.further_versions),
                )
            )
            handles: dict[str, Any] = dict(outcome.handles)
            if outcome.row_count is not None and SHAPES[FlowKind(flow.kind)].leaves is Output.ROWS:
                handles |= data_handles(outcome)
            set_handles(flow.instance, handles)

    def amend_version(self, run_id: RunId, version: str | None, handles: Mapping[str, str], now: dt.datetime) -> None:
        """Let a run have left another version than it recorded, as when a person promotes a model afterwards.

        So did all runs of its flow that have recorded since: Prefect may not have told of them yet. The flow has
        that version since `now`.
        """
        with Session(self.engine) as session, session.begin():
            row = session.get_one(RunRow, run_id)
            instance = _one_at_a_time(session, row.flow_id).instance
            since = (RunRow.flow_id == row.flow_id) & (RunRow.recorded_at >= row.recorded_at)
            other = since & RunRow.version.is_distinct_from(version)
            session.execute(update(RunRow).where(other).values(version=version, version_since=now))
            set_handles(instance, handles)

    def confirm(self, run_id: RunId, confirmed: RunId, now: dt.datetime) -> None:
        """Give a skipped run the outcome of the completed run that it confirms."""
        with Session(self.engine) as session, session.begin():
            _one_at_a_time(session, session.get_one(RunRow, run_id).flow_id)
            source = session.get_one(RunRow, confirmed, populate_existing=True)
            session.execute(
                update(RunRow)
                .where(RunRow.prefect_run_id == run_id)
                .values(
                    recorded_at=now,
                    found_new=False,
                    version_since=source.version_since or source.recorded_at,
                    **{name: getattr(source, name) for name in _OUTCOME},
                )
            )

    def open_requests(self, flow_ids: Collection[FlowId]) -> dict[FlowId, tuple[Request, ...]]:
        """Return the open requests of these flows, the oldest first."""
        found: dict[FlowId, list[Request]] = defaultdict(list)
        with Session(self.engine) as session:
            rows = session.scalars(
                select(RequestRow)
                .where(RequestRow.flow_id.in_(flow_ids), _open())
                .order_by(RequestRow.created_at, RequestRow.id)
            )
            for row in rows:
                found[FlowId(row.flow_id)].append(Request(row.id, row.created_at, row.parameters))
        return {flow_id: tuple(requests) for flow_id, requests in found.items()}

    def request(
        self,
        flow_ids: Iterable[FlowId],
        *,
        parameters: Mapping[str, Any],
        run_id: RunId | None,
        now: dt.datetime,
    ) -> None:
        """Ask for a run of each flow; a flow's open request is renewed, and takes the parameters on.

        It counts as made now, so that a cancellation before now does not withdraw it. Each flow is a
        transaction of its own: none who asks waits for one flow while holding another.
        """
        for flow_id in dict.fromkeys(flow_ids):
            with Session(self.engine) as session, session.begin():
                session.execute(select(FlowRow.id).where(FlowRow.id == flow_id).with_for_update(key_share=True))
                open_request = session.scalar(select(RequestRow).where(RequestRow.flow_id == flow_id, _open()).limit(1))
                if open_request is None:
                    open_request = RequestRow(flow_id=flow_id, parameters={})
                    session.add(open_request)
                open_request.parameters = {**open_request.parameters, **parameters}
                open_request.created_at, open_request.requested_by_run = now, run_id

    def spend_requests(self, flow_id: FlowId, run_id: RunId, now: dt.datetime) -> None:
        """Close the flow's open requests made up to `now`, when this run was judged and got to work."""
        with Session(self.engine) as session, session.begin():
            session.execute(
                update(RequestRow)
                .where(RequestRow.flow_id == flow_id, RequestRow.created_at <= now, _open())
                .values(spent_at=now, spent_by_run=run_id)
            )

    def withdraw_requests(self, flow_id: FlowId, cancelled_at: dt.datetime) -> int:
        """Close the flow's open requests made up to `cancelled_at`, when a person cancelled; return how many."""
        with Session(self.engine) as session, session.begin():
            closed = session.scalars(
                update(RequestRow)
                .where(RequestRow.flow_id == flow_id, RequestRow.created_at <= cancelled_at, _open())
                .values(withdrawn_at=cancelled_at)
                .returning(RequestRow.id)
            )
            return len(closed.all())

    def claim(self, key: str, flow_id: FlowId, *, fingerprint: str, reason: str, now: dt.datetime) -> RunId | None:
        """Take the claim; return the run that has come of it already, if one has.

        One that was taken by a process that died before it started the run may be taken again: the key is
        the run's idempotency key too, so even two that start it at once start one run.
        """
        with Session(self.engine) as session, session.begin():
            session.execute(
                insert(ClaimRow)
                .values(key=key, flow_id=flow_id, fingerprint=fingerprint, reason=reason, claimed_at=now)
                .on_conflict_do_nothing()
            )
            taken = session.scalar(select(ClaimRow.prefect_run_id).where(ClaimRow.key == key))
            return RunId(taken) if taken is not None else None

    def note_started(self, key: str, run_id: RunId) -> None:
        """Note on a claim which run came of it."""
        with Session(self.engine) as session, session.begin():
            session.execute(update(ClaimRow).where(ClaimRow.key == key).values(prefect_run_id=run_id))


def _newest_recorded(flow_ids: Collection[FlowId], count: int) -> Select[tuple[UUID]]:
    newest = (
        select(RunRow.prefect_run_id)
        .where(RunRow.flow_id == FlowRow.id, RunRow.recorded_at.is_not(None))
        .order_by(RunRow.recorded_at.desc())
        .limit(count)
        .lateral()
    )
    return select(newest.c.prefect_run_id).select_from(FlowRow).join(newest, true()).where(FlowRow.id.in_(flow_ids))


def _overtaken(session: Session, row: RunRow) -> bool:
    later = select(RunRow.prefect_run_id).where(
        RunRow.flow_id == row.flow_id,
        RunRow.prefect_run_id != row.prefect_run_id,
        RunRow.recorded_at > row.guarded_at,
    )
    return bool(session.scalar(select(later.exists())))


def _since_before(session: Session, flow_id: UUID, run_id: RunId, version: str | None) -> dt.datetime | None:
    """Return since when a flow has had a version, if it was the last one before this run too."""
    before = session.scalars(
        select(RunRow)
        .where(RunRow.flow_id == flow_id, RunRow.recorded_at.is_not(None), RunRow.prefect_run_id != run_id)
        .order_by(RunRow.recorded_at.desc())
        .limit(1)
    ).first()
    if before is None or version is None or before.version != version:
        return None
    return before.version_since or before.recorded_at


def _provenance(row: RunRow, inputs: Collection[RunInputRow]) -> Provenance:
    return Provenance(
        fingerprint=row.fingerprint,
        config_hash=row.config_hash,
        inputs={FlowId(read.upstream_flow_id): read.version for read in inputs},
        version=row.version,
        watermark=row.watermark,
        found_new=row.found_new is not False,
        forced=row.forced,
        recorded=row.recorded_at is not None,
        judged_at=row.guarded_at,
        version_since=row.version_since,
        made_by={FlowId(read.upstream_flow_id): read.made_by for read in inputs if read.made_by is not None},
    )


def _one_at_a_time(session: Session, flow_id: UUID) -> FlowRow:
    """Return the flow's row, locked: who amends what its runs have left waits for who copies it, not for `writing`."""
    return session.get_one(FlowRow, flow_id, with_for_update={"key_share": True})


def _open() -> Any:
    return RequestRow.spent_at.is_(None) & RequestRow.withdrawn_at.is_(None)
