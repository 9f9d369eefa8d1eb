"""Deployments that are there, many in few requests, as far as a plan looks at them."""

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flows.integrations.prefect_api import PrefectApi
from instances.plans.plan import Fields


@dataclass(frozen=True)
class DeploymentSnapshot:
    """A deployment that is there: its fields in the form of `DesiredDeployment.fields`, and what is paused of it.

    `schedule_ids` has the id of each of its schedules, by the name that it has in the fields.
    """

    deployment_id: UUID
    name: str
    fields: Fields
    paused: bool
    paused_schedules: frozenset[str]
    schedule_ids: Mapping[str, UUID]

    @property
    def owner_tag(self) -> str | None:
        return self.fields["version"]  # type: ignore[no-any-return]

    @classmethod
    def of(cls, deployment: Mapping[str, Any]) -> "DeploymentSnapshot":
        """Return a deployment as the API's JSON tells of it."""
        return cls(
            deployment_id=UUID(deployment["id"]),
            name=deployment["name"],
            fields=_fields(deployment),
            paused=deployment["paused"],
            paused_schedules=frozenset(_schedule_name(s) for s in deployment["schedules"] if not s["active"]),
            schedule_ids={_schedule_name(s): UUID(s["id"]) for s in deployment["schedules"]},
        )


async def deployments_with_ids(prefect: PrefectApi, ids: Collection[UUID]) -> list[DeploymentSnapshot]:
    """Return the deployments that still exist."""
    return [DeploymentSnapshot.of(found) for found in await prefect.deployments_with_ids(ids)]


async def deployments_named(prefect: PrefectApi, names: Collection[str]) -> dict[str, DeploymentSnapshot]:
    """Return the deployments that exist of these 'flow/name' names."""
    by_flow: dict[str, list[str]] = {}
    for name in names:
        flow, _, own = name.partition("/")
        by_flow.setdefault(flow, []).append(own)
    return {
        f"{flow}/{found['name']}": DeploymentSnapshot.of(found)
        for flow, own_names in by_flow.items()
        for found in await prefect.deployments_named(own_names, flow=flow)
    }


def _fields(deployment: Mapping[str, Any]) -> Fields:
    limit, options = deployment["global_concurrency_limit"], deployment["concurrency_options"]
    return {
        "version": deployment["version"],
        "entrypoint": deployment["entrypoint"],
        "description": deployment["description"] or "",
        "tags": sorted(deployment["tags"]),
        "parameters": deployment["parameters"],
        "parameter_schema": content_hash(deployment["parameter_openapi_schema"]),
        "enforce_parameter_schema": deployment["enforce_parameter_schema"],
        "schedules": {_schedule_name(each): _schedule_fields(each) for each in deployment["schedules"]},
        "concurrency_limit": limit["limit"] if limit else None,
        "collision_strategy": options["collision_strategy"] if options else None,
        "work_pool": deployment["work_pool_name"],
        "work_queue": deployment["work_queue_name"],
        "job_variables": deployment["job_variables"],
        "path": deployment["path"],
        "pull_steps": deployment["pull_steps"] or [],
    }


def _schedule_name(schedule: Mapping[str, Any]) -> str:
    return str(schedule["slug"] or schedule["id"])


def _schedule_fields(found: Mapping[str, Any]) -> Fields:
    """Return all that a schedule is, but whether it is active."""
    schedule = dict(found["schedule"])
    if "interval" in schedule:
        anchor = dt.datetime.fromisoformat(schedule["anchor_date"])
        schedule |= interval_fields(dt.timedelta(seconds=schedule["interval"]), anchor)
    return schedule | schedule_settings(found["parameters"], found["max_scheduled_runs"])


def interval_fields(interval: dt.timedelta, anchor: dt.datetime) -> Fields:
    return {"interval": interval.total_seconds(), "anchor_date": anchor.astimezone(dt.UTC).isoformat()}


def schedule_settings(parameters: Mapping[str, Any] | None = None, max_scheduled_runs: int | None = None) -> Fields:
    """Return what a schedule has beside its clock."""
    return {"parameters": dict(parameters or {}), "max_scheduled_runs": max_scheduled_runs}


def content_hash(content: Any) -> str:
    """Return a short hash of JSON content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
