"""What was applied: instances and their flows as Postgres has them on record."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from definitions.contract import FlowKind
from instances.specification.fields import FlowSettings
from instances.specification.specs import AnySpec, ComponentSpec
from instances.world.facts import Edge, FlowId


@dataclass(frozen=True)
class FlowRecord:
    """One flow as Postgres knows it: its handle, its settings and its edges.

    `configured_at` is when its configuration was last changed, `scheduled_at` when its present schedule was
    applied; None where nobody has kept that. `former_deployments` are those that it had under former names of its
    instance: their runs are its runs. `unreadable` says why its settings can't be read; None when they can.
    """

    flow_id: FlowId
    instance: str
    type: str
    kind: FlowKind
    deployment_id: UUID | None
    config_hash: str
    settings: FlowSettings
    edges: tuple[Edge, ...]
    configured_at: dt.datetime | None = None
    scheduled_at: dt.datetime | None = None
    unreadable: str | None = None
    former_deployments: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class AppliedInstance:
    """An instance as applied: its spec, and its parts by their type, each at its applied version.

    `handles` are the ids of things outside that belong to it, like `mlflow_experiment_id`. `first_name` is the name
    under which what it leaves is kept, where that is not its own: it was renamed since.
    """

    spec: AnySpec
    parts: Mapping[str, ComponentSpec] = field(default_factory=dict)
    handles: Mapping[str, str] = field(default_factory=dict)
    first_name: str | None = None

    @property
    def kept_as(self) -> str:
        """The name under which all is kept that it leaves: its rows, and what it has in MLflow and Evidently."""
        return self.first_name or self.spec.name

    @property
    def columns_as(self) -> str:
        """The name that its columns bear beside those of others: the first that it had, however often it was renamed.

        What follows a dot tells it from another one that had that name before.
        """
        return self.kept_as.partition(".")[0]


@dataclass(frozen=True)
class RecordedName:
    """The name of an instance on record, the one under which what it leaves is kept, and those it had before."""

    name: str
    kept_as: str
    former: tuple[str, ...] = ()
