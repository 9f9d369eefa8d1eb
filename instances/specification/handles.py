"""Handles of an instance: where it is in Prefect, MLflow and Evidently, what it left last, and what is derived."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from definitions.contract import FlowKind
from instances.specification.shapes import SHAPES


def word(kind: FlowKind) -> str:
    """Return what runs of a flow are called in the names of handles: 'training' of `train`."""
    return SHAPES[kind].run_kind.removesuffix("Run").lower()


def deployment_handle(kind: FlowKind, kinds: Sequence[FlowKind]) -> str:
    """Return the name of the deployment of one of an instance's flows: it says which where there are several."""
    return "prefect_deployment_id" if len(kinds) == 1 else f"prefect_{word(kind)}_deployment_id"


@dataclass(frozen=True)
class FlowHandles:
    """One flow of an instance: its deployment, its schedule as applied, and the newest run that recorded what it left.

    Derived: `freshness_status`, in lower case, and `next_run_at`, the next tick of its schedule; None without one,
    and while it is paused.
    """

    flow: FlowKind
    prefect_deployment_id: UUID | None
    schedule: Mapping[str, Any]
    last_run_at: dt.datetime | None
    last_run_id: UUID | None
    next_run_at: dt.datetime | None = None
    freshness_status: str | None = None


@dataclass(frozen=True)
class InstanceHandles:
    """What is on record of one instance, and what is derived of it; None is what it has not, or not yet.

    `upstream_refs` are `{instance, resource_id, flow, role, required, max_age}`. `kept_as` is the name under which its
    rows and its experiment are kept: its first one. `physical_path` is where its rows lie, if its store is `delta`;
    other stores don't say. `freshness_status` is its status in lower case; None of a part.
    """

    id: UUID
    name: str
    type: str
    project: str
    kept_as: str
    flows: tuple[FlowHandles, ...]
    upstream_refs: tuple[Mapping[str, Any], ...] = ()
    definition: str | None = None
    definition_version: int | None = None
    config: Mapping[str, Any] | None = None
    pipeline_instance: str | None = None
    store_instance: str | None = None
    accessor_instance: str | None = None
    last_data_date: dt.date | None = None
    row_count: int | None = None
    data_version: str | None = None
    mlflow_experiment_id: str | None = None
    mlflow_registered_model_name: str | None = None
    evidently_project_id: str | None = None
    physical_path: str | None = None
    freshness_status: str | None = None

    def named(self) -> dict[str, Any]:
        """Return all of it under the names that the views and the guide have, like `last_training_at`; for JSON."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "flows"}
        kinds = [each.flow for each in self.flows]
        for each in self.flows:
            own |= {
                deployment_handle(each.flow, kinds): each.prefect_deployment_id,
                f"last_{word(each.flow)}_at": each.last_run_at,
                f"last_{word(each.flow)}_run_id": each.last_run_id,
                f"next_{word(each.flow)}_at": each.next_run_at,
            }
        schedules = {each.flow.value: each.schedule for each in self.flows}
        return own | {"schedule": schedules if len(kinds) > 1 else next(iter(schedules.values()), None)}

    def flow(self, kind: str) -> FlowHandles:
        """Return those of one of its flows. Raises `KeyError`."""
        return {each.flow.value: each for each in self.flows}[kind]

    @property
    def prefect_deployment_id(self) -> UUID | None:
        """The deployment of its only flow; None of a model, which has three."""
        return self._only.prefect_deployment_id if self._only else None

    @property
    def prefect_training_deployment_id(self) -> UUID | None:
        return self._deployment(FlowKind.TRAIN)

    @property
    def prefect_inference_deployment_id(self) -> UUID | None:
        return self._deployment(FlowKind.INFER)

    @property
    def prefect_monitoring_deployment_id(self) -> UUID | None:
        return self._deployment(FlowKind.MONITOR)

    @property
    def last_refresh_at(self) -> dt.datetime | None:
        """When the newest run of its only flow recorded what it left."""
        return self._only.last_run_at if self._only else None

    @property
    def last_refresh_run_id(self) -> UUID | None:
        return self._only.last_run_id if self._only else None

    @property
    def next_refresh_at(self) -> dt.datetime | None:
        """The next tick of the schedule of its only flow."""
        return self._only.next_run_at if self._only else None

    @property
    def _only(self) -> FlowHandles | None:
        return self.flows[0] if len(self.flows) == 1 else None

    def _deployment(self, kind: FlowKind) -> UUID | None:
        return next((each.prefect_deployment_id for each in self.flows if each.flow is kind), None)
