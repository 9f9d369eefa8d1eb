"""Deployments: what each flow's Prefect deployment must look like, and the way to make it so."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
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
from flows.found import FoundDeployment, hashed, interval_fields
from instances.clock import ORIGIN
from instances.plan import Fields
from instances.policy import clock_of
from instances.specs import RunnableSpec

# Which module of this package has the flow; the function has the flow's name.
MODULES: Mapping[FlowKind, str] = {
    FlowKind.REFRESH: "dataset",
    FlowKind.PREVIEW: "experiment",
    FlowKind.TRAIN: "model",
    FlowKind.INFER: "model",
    FlowKind.MONITOR: "model",
    FlowKind.OPTIMIZE: "portfolio",
    FlowKind.BACKTEST: "portfolio",
}
COLLISION = ConcurrencyLimitStrategy.ENQUEUE  # what becomes of a run beyond the limit
DEFAULT_QUEUE = "default"  # which Prefect gives every work pool


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

    def overridden(self, spec: RunnableSpec) -> "Storage":
        """Return where the runs of one instance go; another pool has other queues."""
        pool = spec.work_pool or self.work_pool
        queue = self.work_queue if pool == self.work_pool else None
        return replace(
            self,
            work_pool=pool,
            work_queue=(spec.work_queue or queue or DEFAULT_QUEUE) if pool else None,
            job_variables={**self.job_variables, **spec.job_variables},
        )

    def entrypoint(self, kind: FlowKind) -> str:
        file = f"{MODULES[kind]}.py:{kind.value}"
        return f"{self.folder}/{file}" if self.folder else file


@dataclass(frozen=True)
class DesiredDeployment:
    """All that a flow's deployment must be."""

    flow_name: str
    name: str
    mark: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any]
    schedule: Mapping[str, Any] | None
    concurrency: int
    storage: Storage

    @property
    def full_name(self) -> str:
        return f"{self.flow_name}/{self.name}"

    @property
    def slug(self) -> str:
        return f"{self.name}-{self.flow_name}"

    def fields(self) -> Fields:
        """Return it in the form that `FoundDeployment` has them of one that is there."""
        return {
            "version": self.mark,
            "entrypoint": self.entrypoint,
            "description": self.description,
            "tags": sorted(self.tags),
            "parameters": dict(self.parameters),
            "parameter_schema": hashed(flow_schema(FlowKind(self.flow_name))),
            "enforce_parameter_schema": True,
            "schedules": {self.slug: dict(self.schedule)} if self.schedule else {},
            "concurrency_limit": self.concurrency,
            "collision_strategy": COLLISION.value,
            "work_pool": self.storage.work_pool,
            "work_queue": self.storage.work_queue,
            "job_variables": dict(self.storage.job_variables),
            "path": self.storage.path,
            "pull_steps": [dict(step) for step in self.storage.pull_steps],
        }


def desired_deployment(kind: FlowKind, spec: RunnableSpec, storage: Storage, mark: str) -> DesiredDeployment:
    """Return the deployment that a flow must have: run where bootstrap runs, unless its spec says otherwise."""
    clock = clock_of(spec.flow_settings(kind).schedule)
    schedule: Fields | None = None
    if clock is not None and clock.cron is not None:
        schedule = {"cron": clock.cron, "timezone": clock.timezone}
    elif clock is not None and clock.interval is not None:
        schedule = interval_fields(clock.interval, ORIGIN)
    reads = ", ".join(dict.fromkeys(ref.instance for ref in spec.references()))
    about = [spec.description, f"Reads: {reads}." if reads else ""]
    return DesiredDeployment(
        flow_name=kind.value,
        name=spec.name,
        mark=mark,
        entrypoint=storage.entrypoint(kind),
        description="\n\n".join(text for text in about if text),
        tags=("optaic", spec.project, spec.type),
        parameters={"instance": spec.name},
        schedule=schedule,
        concurrency=spec.concurrency,
        storage=storage.overridden(spec),
    )


@cache
def flow_schema(kind: FlowKind) -> dict[str, Any]:
    """Return the parameters' OpenAPI schema of the flow of that kind, for the form in the Prefect UI."""
    function = getattr(import_module(f"flows.{MODULES[kind]}"), kind.value)
    return parameter_schema(function).model_dump_for_openapi()


async def write_deployment(
    client: PrefectClient, desired: DesiredDeployment, existing: FoundDeployment | None, flow_id: UUID
) -> UUID:
    """Create or update a deployment with its whole spec; what an operator has paused stays paused."""
    storage = desired.storage
    return await client.create_deployment(
        flow_id=flow_id,
        name=desired.name,
        version=desired.mark,
        entrypoint=desired.entrypoint,
        description=desired.description,
        tags=list(desired.tags),
        parameters=dict(desired.parameters),
        parameter_openapi_schema=flow_schema(FlowKind(desired.flow_name)),
        enforce_parameter_schema=True,
        schedules=_schedules(desired, existing),
        paused=existing.paused if existing else False,
        concurrency_limit=desired.concurrency,
        concurrency_options=ConcurrencyOptions(collision_strategy=COLLISION),
        work_pool_name=storage.work_pool,
        work_queue_name=storage.work_queue,
        job_variables=dict(storage.job_variables),
        path=storage.path,
        pull_steps=[dict(step) for step in storage.pull_steps],
    )


def _schedules(desired: DesiredDeployment, existing: FoundDeployment | None) -> list[DeploymentScheduleCreate]:
    if desired.schedule is None:
        return []
    schedule = _schedule(json.dumps(desired.schedule))
    paused = existing is not None and desired.slug in existing.paused_schedules
    return [DeploymentScheduleCreate(schedule=schedule, active=not paused, slug=desired.slug)]


@lru_cache
def _schedule(content: str) -> CronSchedule | IntervalSchedule:
    """Return a schedule as Prefect has it, which looks through all time zones of the machine to make one."""
    return (CronSchedule if "cron" in json.loads(content) else IntervalSchedule).model_validate_json(content)
