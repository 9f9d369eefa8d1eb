"""Deployments: what each flow's Prefect deployment must look like, and the way to make it so."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.utilities.callables import parameter_schema

from definitions.contract import FlowKind
from definitions.work.flow_spec import FlowSpec
from flows.integrations.prefect_api import Json, PrefectApi
from flows.reading.deployment_reader import (
    DeploymentSnapshot,
    content_hash,
    deployments_with_ids,
    interval_fields,
    schedule_settings,
)
from instances.plans.plan import Fields
from instances.rules.freshness_policy import clock_of
from instances.specification.resolution import ResolvedFlow
from instances.specification.schedules import Schedule
from instances.specification.specs import RunnableSpec
from instances.world.clock import ORIGIN, crons

COLLISION = "ENQUEUE"  # what becomes of a run beyond the limit
DEFAULT_QUEUE = "default"  # which Prefect gives every work pool


@dataclass(frozen=True)
class Storage:
    """Where runs find the code, and where they run: taken over from bootstrap's own deployment."""

    work_pool: str | None
    work_queue: str | None
    job_variables: Mapping[str, Any]
    path: str | None
    pull_steps: tuple[Mapping[str, Any], ...]
    folder: str  # of the flows' files, or their package, as in bootstrap's entrypoint: 'flows'
    by_module: bool = False  # entrypoints are like 'flows.bootstrap.bootstrap', not like 'flows/bootstrap.py:bootstrap'

    @classmethod
    def of(cls, bootstrap: Json) -> "Storage":
        """Return the storage of the bootstrap deployment."""
        entrypoint = bootstrap["entrypoint"] or "flows/bootstrap.py:bootstrap"
        by_module = ":" not in entrypoint
        return cls(
            work_pool=bootstrap["work_pool_name"],
            work_queue=bootstrap["work_queue_name"],
            job_variables=bootstrap["job_variables"] or {},
            path=bootstrap["path"],
            pull_steps=tuple(bootstrap["pull_steps"] or ()),
            folder=entrypoint.rsplit(".", 2)[0] if by_module else entrypoint.partition(":")[0].rpartition("/")[0],
            by_module=by_module,
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
        function = flow_function(kind).fn
        module = function.__module__.rpartition(".")[2]
        if self.by_module:
            return f"{self.folder}.{module}.{function.__name__}"
        file = f"{module}.py:{function.__name__}"
        return f"{self.folder}/{file}" if self.folder else file


@dataclass(frozen=True)
class DesiredDeployment:
    """All that a flow's deployment must be."""

    flow_name: str
    name: str
    owner_tag: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any]
    parameter_schema: Mapping[str, Any]
    schedules: Mapping[str, Fields]
    concurrency: int
    storage: Storage

    @property
    def full_name(self) -> str:
        return f"{self.flow_name}/{self.name}"

    def fields(self) -> Fields:
        """Return it in the form that `DeploymentSnapshot` has them of one that is there."""
        return {
            "version": self.owner_tag,
            "entrypoint": self.entrypoint,
            "description": self.description,
            "tags": sorted(self.tags),
            "parameters": dict(self.parameters),
            "parameter_schema": content_hash(self.parameter_schema),
            "enforce_parameter_schema": True,
            "schedules": {slug: {**schedule, **schedule_settings()} for slug, schedule in self.schedules.items()},
            "concurrency_limit": self.concurrency,
            "collision_strategy": COLLISION,
            "work_pool": self.storage.work_pool,
            "work_queue": self.storage.work_queue,
            "job_variables": dict(self.storage.job_variables),
            "path": self.storage.path,
            "pull_steps": [dict(step) for step in self.storage.pull_steps],
        }


def desired_deployment(flow: ResolvedFlow, spec: RunnableSpec, storage: Storage, owner_tag: str) -> DesiredDeployment:
    """Return the deployment that a flow must have: run where bootstrap runs, unless its spec says otherwise."""
    kind, brought = flow.kind, flow.brought
    reads = ", ".join(dict.fromkeys(ref.instance for ref in spec.references()))
    about = [
        brought.summary if brought else "",
        spec.description,
        f"Reads: {reads}." if reads else "",
        where_its_status_is(spec.name, kind),
    ]
    return DesiredDeployment(
        flow_name=kind.value,
        name=spec.name,
        owner_tag=owner_tag,
        entrypoint=storage.entrypoint(kind),
        description="\n\n".join(text for text in about if text),
        tags=("optaic", spec.project, spec.type, instance_tag(spec.name), f"flow:{kind}"),
        parameters={"instance": spec.name} | ({"flow": kind.value} if brought else {}),
        parameter_schema=flow_schema(kind, brought),
        schedules=_desired_schedules(f"{spec.name}-{kind.value}", spec.flow_settings(kind).schedule),
        concurrency=spec.concurrency,
        storage=storage.overridden(spec),
    )


def _desired_schedules(slug: str, schedule: Schedule) -> dict[str, Fields]:
    """Return, by their slugs, the schedules by which Prefect ticks as this one does.

    It is one, but for an interval within hours of the day, which may need some more: `slug-2`, `slug-3`.
    """
    clock = clock_of(schedule)
    if clock is None:
        return {}
    if clock.interval is not None and clock.window is None:
        return {slug: interval_fields(clock.interval, ORIGIN) | {"timezone": "UTC"}}
    return {
        slug if number == 1 else f"{slug}-{number}": {"cron": cron, "timezone": clock.timezone, "day_or": True}
        for number, cron in enumerate(crons(clock), start=1)
    }


def instance_tag(instance: str) -> str:
    """Return the tag of all runs of an instance; one word more than its name, as a project may be called so too."""
    return f"instance:{instance}"


def where_its_status_is(instance: str, kind: FlowKind) -> str:
    """Return what the description of a deployment says of the status that Prefect shows of it."""
    return (
        f"`optaic why {instance} {kind}` tells its status. That it is Ready here says only that a worker would take "
        "its runs; a run that was Blocked is among the cancelled ones."
    )


def flow_function(kind: FlowKind) -> Flow[..., Any]:
    """Return the flow of that kind; its module is imported when it is asked for."""
    match kind:
        case FlowKind.REFRESH:
            from flows.dataset import refresh

            return refresh
        case FlowKind.PREVIEW:
            from flows.experiment import preview

            return preview
        case FlowKind.TRAIN:
            from flows.model import train

            return train
        case FlowKind.INFER:
            from flows.model import infer

            return infer
        case FlowKind.MONITOR:
            from flows.model import monitor

            return monitor
        case FlowKind.OPTIMIZE:
            from flows.portfolio import optimize

            return optimize
        case FlowKind.BACKTEST:
            from flows.portfolio import backtest

            return backtest
        case _:
            from flows.packaged import packaged

            return packaged


@cache
def flow_schema(kind: FlowKind, brought: FlowSpec | None = None) -> dict[str, Any]:
    """Return the parameters' OpenAPI schema of the flow of that kind, for the form in the Prefect UI.

    Of a flow that a definition has `brought` it has the parameters that this one takes.
    """
    schema = parameter_schema(flow_function(kind)).model_dump_for_openapi()
    if brought is not None:
        own = brought.parameters.model_json_schema(ref_template="#/definitions/{model}")
        schema["definitions"] = {**schema.get("definitions", {}), **own.pop("$defs", {})}
        schema["properties"] = {**schema["properties"], "parameters": {**own, "title": "parameters", "position": 4}}
    return schema


def successor_fields(fields: Fields, former: str, name: str) -> Fields:
    """Return what the fields of a deployment are under a new name of its instance, when it is copied."""
    schedules = {_successor_text(slug, former, name): each for slug, each in fields["schedules"].items()}
    parameters = {**fields["parameters"], "instance": name}
    description = fields["description"].replace(f"`optaic why {former} ", f"`optaic why {name} ")
    tags = sorted(instance_tag(name) if tag == instance_tag(former) else tag for tag in fields["tags"])
    return fields | {"schedules": schedules, "parameters": parameters, "description": description, "tags": tags}


def _successor_text(slug: str, former: str, name: str) -> str:
    return f"{name}-{slug.removeprefix(f'{former}-')}" if slug.startswith(f"{former}-") else slug


async def create_successor(prefect: PrefectApi, former: Json, name: str) -> UUID:
    """Copy a deployment under a new name: with all that it is and all that is paused of it. Look before, what has it.

    Prefect can't rename one.
    """
    was = former["name"]
    copied = (
        *("version", "entrypoint", "parameter_openapi_schema", "enforce_parameter_schema", "paused"),
        *("work_pool_name", "work_queue_name", "job_variables", "path", "pull_steps"),
    )
    set_up = ("schedule", "active", "parameters", "max_scheduled_runs")
    told = {"description": former["description"] or "", "tags": former["tags"]}
    fields = successor_fields({"schedules": {}, "parameters": former["parameters"], **told}, was, name)
    limit, options = former["global_concurrency_limit"], former["concurrency_options"]
    return await prefect.create_deployment(
        UUID(former["flow_id"]),
        name,
        {
            **{field: former[field] for field in copied},
            **{field: fields[field] for field in ("parameters", "description", "tags")},
            "concurrency_limit": limit["limit"] if limit else None,
            "concurrency_options": options,
            "schedules": [
                {field: each[field] for field in set_up}
                | ({"slug": _successor_text(each["slug"], was, name)} if each["slug"] else {})
                for each in former["schedules"]
            ],
        },
    )


async def create_deployment(prefect: PrefectApi, desired: DesiredDeployment, flow_id: UUID) -> UUID:
    """Create a deployment; overwrites one of that name, so look first."""
    schedules = [_schedule(slug, ticks) | {"active": True} for slug, ticks in desired.schedules.items()]
    return await prefect.create_deployment(flow_id, desired.name, _content(desired) | {"schedules": schedules})


async def update_deployment(prefect: PrefectApi, desired: DesiredDeployment, existing: DeploymentSnapshot) -> None:
    """Make a deployment as it must be, all but what an operator may have paused: that is not sent at all.

    Raises `NotInPrefect` when somebody has deleted it.
    """
    content = _content(desired)
    if desired.fields()["schedules"] != existing.fields["schedules"]:
        content["schedules"] = await _schedules(prefect, desired, existing)
    await prefect.update_deployment(existing.deployment_id, content)


def _content(desired: DesiredDeployment) -> dict[str, Any]:
    """Return what is sent of a deployment whether it is there or not."""
    storage = desired.storage
    return {
        "version": desired.owner_tag,
        "entrypoint": desired.entrypoint,
        "description": desired.description,
        "tags": list(desired.tags),
        "parameters": dict(desired.parameters),
        "parameter_openapi_schema": dict(desired.parameter_schema),
        "enforce_parameter_schema": True,
        "concurrency_limit": desired.concurrency,
        "concurrency_options": {"collision_strategy": COLLISION},
        "work_pool_name": storage.work_pool,
        "work_queue_name": storage.work_queue,
        "job_variables": dict(storage.job_variables),
        "path": storage.path,
        "pull_steps": [dict(step) for step in storage.pull_steps],
    }


async def _schedules(
    prefect: PrefectApi, desired: DesiredDeployment, existing: DeploymentSnapshot
) -> list[dict[str, Any]]:
    """Delete the schedules that must go, and return the changes of those that must be.

    An update changes schedules by their slugs, and removes none. Nor does it take a limit of runs away: such a schedule
    is made anew, as paused as it was a moment ago. One that is new is paused where all that there were are.
    """
    existing = next(iter(await deployments_with_ids(prefect, [existing.deployment_id])), existing)
    there = existing.fields["schedules"]
    stay = {slug for slug in desired.schedules if slug in there and there[slug]["max_scheduled_runs"] is None}
    for name, schedule_id in existing.schedule_ids.items():
        if name not in stay:
            await prefect.delete_schedule(existing.deployment_id, schedule_id)
    paused, all_paused = existing.paused_schedules, bool(there) and set(there) == existing.paused_schedules
    return [
        _schedule(slug, ticks) | ({} if slug in stay or not (slug in paused or all_paused) else {"active": False})
        for slug, ticks in desired.schedules.items()
    ]


def _schedule(slug: str, ticks: Fields) -> dict[str, Any]:
    return {"slug": slug, "schedule": ticks, "parameters": {}}
