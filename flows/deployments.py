"""Deployments: what each flow's Prefect deployment must look like, and the way to make it so."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.utilities.callables import parameter_schema

from definitions.contract import FlowKind
from instances.clock import ORIGIN
from instances.policy import clock_of
from instances.repository import FlowRecord
from instances.specs import RunnableSpec

# Which module of this package has the flow; the function has the flow's name.
MODULES: Mapping[FlowKind, str] = {FlowKind.REFRESH: "dataset"}


@dataclass(frozen=True)
class Storage:
    """Where runs find the code, and where they run: taken over from bootstrap's own deployment."""

    work_pool: str | None
    work_queue: str | None
    job_variables: Mapping[str, Any]
    path: str | None
    pull_steps: tuple[Mapping[str, Any], ...]
    folder: str  # of the flows' files, as in bootstrap's entrypoint: 'flows'

    @classmethod
    def of(cls, bootstrap: DeploymentResponse) -> "Storage":
        """Return the storage of the bootstrap deployment."""
        file = (bootstrap.entrypoint or "flows/bootstrap.py:bootstrap").partition(":")[0]
        return cls(
            work_pool=bootstrap.work_pool_name,
            work_queue=bootstrap.work_queue_name,
            job_variables=bootstrap.job_variables or {},
            path=bootstrap.path,
            pull_steps=tuple(bootstrap.pull_steps or ()),
            folder=file.rpartition("/")[0],
        )

    def entrypoint(self, kind: FlowKind) -> str:
        file = f"{MODULES[kind]}.py:{kind.value}"
        return f"{self.folder}/{file}" if self.folder else file


@dataclass(frozen=True)
class DesiredDeployment:
    """All that a flow's deployment must be; `content_hash` changes with any of it."""

    flow_name: str
    name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any]
    schedule: Mapping[str, Any] | None
    storage: Storage

    @property
    def content_hash(self) -> str:
        content = {
            **{name: getattr(self, name) for name in ("flow_name", "name", "entrypoint", "description")},
            "tags": list(self.tags),
            "parameters": dict(self.parameters),
            "parameter_schema": flow_schema(FlowKind(self.flow_name)),
            "schedule": self.schedule,
            "work": [self.storage.work_pool, self.storage.work_queue, dict(self.storage.job_variables)],
            "code": [self.storage.path, [dict(step) for step in self.storage.pull_steps]],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def desired_deployment(flow: FlowRecord, spec: RunnableSpec, storage: Storage) -> DesiredDeployment:
    """Return the deployment that a flow must have. Writes nothing."""
    clock = clock_of(spec.flow_settings(flow.kind).schedule)
    schedule: dict[str, Any] | None = None
    if clock is not None and clock.cron is not None:
        schedule = {"cron": clock.cron, "timezone": clock.timezone}
    elif clock is not None and clock.interval is not None:
        schedule = {"interval": clock.interval.total_seconds(), "anchor_date": ORIGIN.isoformat(), "timezone": "UTC"}
    reads = ", ".join(dict.fromkeys(ref.instance for ref in spec.upstream_refs))
    about = [spec.description, f"Reads: {reads}." if reads else ""]
    return DesiredDeployment(
        flow_name=flow.kind.value,
        name=flow.instance,
        entrypoint=storage.entrypoint(flow.kind),
        description="\n\n".join(text for text in about if text),
        tags=("optaic", spec.project, flow.type),
        parameters={"instance": flow.instance},
        schedule=schedule,
        storage=storage,
    )


@cache
def flow_schema(kind: FlowKind) -> dict[str, Any]:
    """Return the parameters' OpenAPI schema of the flow of that kind, for the form in the Prefect UI."""
    function = getattr(import_module(f"flows.{MODULES[kind]}"), kind.value)
    return parameter_schema(function).model_dump_for_openapi()


async def write_deployment(
    client: PrefectClient, desired: DesiredDeployment, existing: DeploymentResponse | None, flow_id: UUID
) -> UUID:
    """Create or update a deployment with its whole spec; what an operator has paused stays paused."""
    storage = desired.storage
    return await client.create_deployment(
        flow_id=flow_id,
        name=desired.name,
        entrypoint=desired.entrypoint,
        description=desired.description,
        tags=list(desired.tags),
        parameters=dict(desired.parameters),
        parameter_openapi_schema=flow_schema(FlowKind(desired.flow_name)),
        enforce_parameter_schema=True,
        schedules=_schedules(desired, existing),
        paused=existing.paused if existing else False,
        concurrency_limit=1,
        concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        work_pool_name=storage.work_pool,
        work_queue_name=storage.work_queue,
        job_variables=dict(storage.job_variables),
        path=storage.path,
        pull_steps=[dict(step) for step in storage.pull_steps],
    )


def _schedules(desired: DesiredDeployment, existing: DeploymentResponse | None) -> list[DeploymentScheduleCreate]:
    if desired.schedule is None:
        return []
    kind = CronSchedule if "cron" in desired.schedule else IntervalSchedule
    slug = f"{desired.name}-{desired.flow_name}"
    paused = {schedule.slug for schedule in existing.schedules if not schedule.active} if existing else set()
    return [
        DeploymentScheduleCreate(schedule=kind.model_validate(desired.schedule), active=slug not in paused, slug=slug)
    ]
