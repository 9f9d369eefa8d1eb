"""The extension tables: what Prefect has no place for. All live in the Postgres schema `optaic`.

Instances use joined-table inheritance: a base row for each, and a row in the table of its type. The views of
`instances.storage.views` join them.
"""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKey, Index, Interval, MetaData, String, UniqueConstraint, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedSQLExpression, column_property, mapped_column, relationship

from definitions.contract import FlowKind
from instances.storage.handle_columns import DataHandles, ModelHandles
from instances.storage.spec_columns import (
    BacktestColumns,
    ExperimentColumns,
    ModelColumns,
    PortfolioOptimizerColumns,
    SignalColumns,
)

SCHEMA = "optaic"


class Base(DeclarativeBase):
    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain class attribute
        dict[str, Any]: JSONB,
        dt.datetime: DateTime(timezone=True),
        dt.timedelta: Interval,
        str: String,
    }


class InstallationRow(Base):
    """The one row by which things outside, like deployments, are known to have been made from this database."""

    __tablename__ = "installation"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class AutomationRow(Base):
    """An automation that bootstrap made."""

    __tablename__ = "automation"

    name: Mapped[str] = mapped_column(primary_key=True)
    prefect_automation_id: Mapped[UUID] = mapped_column(unique=True)


class DefinitionRow(Base):
    """The content hash of each definition version ever applied: a version's content never changes."""

    __tablename__ = "definition"

    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    content_hash: Mapped[str]
    parameters_schema: Mapped[dict[str, Any]]
    recorded_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


def _own_name(context: Any) -> str:
    name: str = context.get_current_parameters()["name"]
    return name


class InstanceRow(Base):
    """What every instance has; `spec` is the applied description, whole.

    `kept_as` is the name under which all is kept that it leaves outside: its rows, its MLflow experiment and model, its
    Evidently project. It is the name that the instance had first: to rename it moves nothing. `former_names` are those
    that it had before its present one, the oldest first.
    """

    __tablename__ = "instance"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(unique=True)
    kept_as: Mapped[str] = mapped_column(unique=True, default=_own_name)
    former_names: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default=text("'[]'"))
    type: Mapped[str]
    project: Mapped[str]
    spec: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), onupdate=func.now())

    flows: Mapped[list["FlowRow"]] = relationship(back_populates="instance", passive_deletes=True)

    __mapper_args__ = {"polymorphic_on": "type"}  # noqa: RUF012


class FlowRow(Base):
    """One flow of an instance, paired with its Prefect deployment.

    `settings` holds the flow's schedule, freshness and what to do when stale, as applied. `configured_at` is when
    `config_hash` was last changed, `scheduled_at` when the present schedule was applied, both by the clock of
    Prefect's server; null from before they were kept.
    """

    __tablename__ = "flow"
    __table_args__ = (UniqueConstraint("instance_id", "kind"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    instance_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.instance.id", ondelete="CASCADE"))
    kind: Mapped[str]
    prefect_deployment_id: Mapped[UUID | None] = mapped_column(unique=True)
    config_hash: Mapped[str]
    configured_at: Mapped[dt.datetime | None]
    settings: Mapped[dict[str, Any]]
    scheduled_at: Mapped[dt.datetime | None]

    instance: Mapped[InstanceRow] = relationship(back_populates="flows")


class FormerDeploymentRow(Base):
    """A deployment that a flow had under a former name of its instance: runs of it count as runs of the flow.

    `gone_at` is when it was deleted in Prefect, null as long as it is there.
    """

    __tablename__ = "former_deployment"

    prefect_deployment_id: Mapped[UUID] = mapped_column(primary_key=True)
    flow_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.flow.id", ondelete="CASCADE"), index=True)
    gone_at: Mapped[dt.datetime | None]


def _deployment_of(kind: FlowKind) -> MappedSQLExpression[UUID | None]:
    return column_property(
        select(FlowRow.prefect_deployment_id)
        .where(FlowRow.instance_id == InstanceRow.id, FlowRow.kind == kind.value)
        .correlate_except(FlowRow)
        .scalar_subquery(),
        deferred=True,
    )


def _own_id(parent: str) -> Mapped[UUID]:
    return mapped_column(ForeignKey(f"{SCHEMA}.{parent}.id", ondelete="CASCADE"), primary_key=True)


def _part_id() -> Mapped[UUID]:
    return mapped_column(ForeignKey(f"{SCHEMA}.instance.id"), index=True)


class _Defined:
    """The columns of instances that name a definition: which one, and the version that was applied."""

    definition: Mapped[str]
    definition_version: Mapped[int]
    config: Mapped[dict[str, Any]]


class PipelineInstanceRow(_Defined, InstanceRow):
    __tablename__ = "pipeline_instance"
    __mapper_args__ = {"polymorphic_identity": "pipeline"}  # noqa: RUF012

    id: Mapped[UUID] = _own_id("instance")


class StoreInstanceRow(_Defined, InstanceRow):
    __tablename__ = "store_instance"
    __mapper_args__ = {"polymorphic_identity": "store"}  # noqa: RUF012

    id: Mapped[UUID] = _own_id("instance")


class AccessorInstanceRow(_Defined, InstanceRow):
    __tablename__ = "accessor_instance"
    __mapper_args__ = {"polymorphic_identity": "accessor"}  # noqa: RUF012

    id: Mapped[UUID] = _own_id("instance")


class DatasetInstanceRow(DataHandles, InstanceRow):
    """A dataset's parts, and how far its rows reach."""

    __tablename__ = "dataset_instance"

    id: Mapped[UUID] = _own_id("instance")
    pipeline_instance_id: Mapped[UUID] = _part_id()
    store_instance_id: Mapped[UUID] = _part_id()
    accessor_instance_id: Mapped[UUID] = _part_id()

    __mapper_args__ = {  # noqa: RUF012
        "polymorphic_identity": "dataset",
        "inherit_condition": id == InstanceRow.id,
    }


class SignalInstanceRow(SignalColumns, DatasetInstanceRow):
    __tablename__ = "signal_instance"
    __mapper_args__ = {"polymorphic_identity": "signal"}  # noqa: RUF012

    id: Mapped[UUID] = _own_id("dataset_instance")


class ExperimentInstanceRow(ExperimentColumns, _Defined, InstanceRow):
    __tablename__ = "experiment_instance"
    __mapper_args__ = {"polymorphic_identity": "experiment"}  # noqa: RUF012

    id: Mapped[UUID] = _own_id("instance")


class ModelInstanceRow(ModelColumns, _Defined, ModelHandles, DataHandles, InstanceRow):
    """A model; the rows that it leaves are its predictions."""

    __tablename__ = "model_instance"
    __mapper_args__ = {"polymorphic_identity": "model"}  # noqa: RUF012

    id: Mapped[UUID] = _own_id("instance")
    # The names by which users know the deployments of a model; each is read from the row of its flow.
    prefect_training_deployment_id: Mapped[UUID | None] = _deployment_of(FlowKind.TRAIN)
    prefect_inference_deployment_id: Mapped[UUID | None] = _deployment_of(FlowKind.INFER)
    prefect_monitoring_deployment_id: Mapped[UUID | None] = _deployment_of(FlowKind.MONITOR)


class PortfolioOptimizerInstanceRow(PortfolioOptimizerColumns, _Defined, DataHandles, InstanceRow):
    """A portfolio optimizer; the rows that it leaves are weights."""

    __tablename__ = "portfolio_optimizer_instance"
    __mapper_args__ = {"polymorphic_identity": "portfolio_optimizer"}  # noqa: RUF012

    id: Mapped[UUID] = _own_id("instance")


class BacktestInstanceRow(BacktestColumns, DataHandles, InstanceRow):
    """A backtest; the rows that it leaves are its equity curve."""

    __tablename__ = "backtest_instance"
    __mapper_args__ = {"polymorphic_identity": "backtest"}  # noqa: RUF012

    id: Mapped[UUID] = _own_id("instance")


ROWS: Mapping[str, type[InstanceRow]] = MappingProxyType(
    {str(mapper.polymorphic_identity): mapper.class_ for mapper in InstanceRow.__mapper__.polymorphic_map.values()}
)
DEFINED = tuple(row for row in ROWS.values() if issubclass(row, _Defined))


class EdgeRow(Base):
    """Lineage, flow to flow: `flow_id` depends on `upstream_flow_id`."""

    __tablename__ = "edge"

    flow_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.flow.id", ondelete="CASCADE"), primary_key=True)
    upstream_flow_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.flow.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    required: Mapped[bool]
    max_age: Mapped[dt.timedelta | None]


class RunRow(Base):
    """A run's provenance: what it was to consume, what its guard saw, and what it left.

    `work_order` is what every attempt of it goes by: the pins, and the instances as they were applied.
    `kind` is RefreshRun, TrainingRun, ... `facts` are in words what metrics are in numbers; `further_versions` are
    those of the instance's second stores, by their names. `version_since` is when its flow has had that version first,
    null where this run was the first that left it. The outcome columns stay null until the run has recorded one.
    """

    __tablename__ = "run"
    __table_args__ = (
        # What is asked for of each flow is its newest run that has left something.
        Index("ix_run_recorded", "flow_id", "recorded_at", postgresql_where=text("recorded_at IS NOT NULL")),
    )

    prefect_run_id: Mapped[UUID] = mapped_column(primary_key=True)
    flow_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.flow.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    config_hash: Mapped[str]
    fingerprint: Mapped[str]
    admission: Mapped[str]
    forced: Mapped[bool] = mapped_column(server_default=text("false"))
    report: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    work_order: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    guarded_at: Mapped[dt.datetime]
    recorded_at: Mapped[dt.datetime | None]
    version: Mapped[str | None]
    version_since: Mapped[dt.datetime | None]
    watermark: Mapped[dt.date | None]
    row_count: Mapped[int | None]
    found_new: Mapped[bool | None]
    metrics: Mapped[dict[str, Any] | None]
    facts: Mapped[dict[str, Any] | None]
    further_versions: Mapped[dict[str, Any] | None]


class RunInputRow(Base):
    """One input that a run was pinned to; `made_by` is the configuration that its version was made by, if it counts."""

    __tablename__ = "run_input"

    run_id: Mapped[UUID] = mapped_column(
        ForeignKey(f"{SCHEMA}.run.prefect_run_id", ondelete="CASCADE"), primary_key=True
    )
    upstream_flow_id: Mapped[UUID] = mapped_column(
        ForeignKey(f"{SCHEMA}.flow.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    made_by: Mapped[str | None]


class RequestRow(Base):
    """A wish for a run that outlives the blocked run that made it; open until spent or withdrawn."""

    __tablename__ = "request"
    __table_args__ = (
        Index("ix_request_open", "flow_id", postgresql_where=text("spent_at IS NULL AND withdrawn_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    flow_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.flow.id", ondelete="CASCADE"))
    parameters: Mapped[dict[str, Any]]
    requested_by_run: Mapped[UUID | None]
    created_at: Mapped[dt.datetime]
    spent_at: Mapped[dt.datetime | None]
    spent_by_run: Mapped[UUID | None]
    withdrawn_at: Mapped[dt.datetime | None]


class ClaimRow(Base):
    """The right to start one run of a flow: whoever decides, and however many at once, one starts."""

    __tablename__ = "claim"

    key: Mapped[str] = mapped_column(primary_key=True)
    flow_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.flow.id", ondelete="CASCADE"), index=True)
    fingerprint: Mapped[str]
    reason: Mapped[str]
    claimed_at: Mapped[dt.datetime]
    prefect_run_id: Mapped[UUID | None]
