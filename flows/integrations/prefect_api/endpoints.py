"""All that we ask of Prefect, and all that we make, change and delete there: each question and command is a method.

Answers are JSON as the API gives it; the rooms above make facts of it. Moments in it are text: `prefect_moments`
reads them. What is not there any more is `NotInPrefect`, where a method does not say otherwise.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote
from uuid import UUID

from flows.integrations.prefect_api.prefect_address import PrefectAddress
from flows.integrations.prefect_api.prefect_http import Json, NotInPrefect, PrefectHttp
from flows.integrations.prefect_api.prefect_lists import FULL, Page, whole_list, with_values

_FULL_OF_EVENTS = 50  # events that the Prefect server gives in one answer
_ERROR = 40  # the level of a log that is an error


class PrefectApi(PrefectHttp):
    """One Prefect server, to be opened with `async with`."""

    def __init__(self, address: PrefectAddress | None = None) -> None:
        super().__init__(address or PrefectAddress.current())

    async def check_health(self) -> None:
        """Raise `PrefectSilent` or `PrefectRefusal` unless the server says that it is well."""
        await self.ask("GET", "/health")

    # Blocks

    async def block_types(self, slugs: Collection[str]) -> list[Json]:
        """Return those of these block types that are registered."""
        return await with_values(lambda few: self._page("block_types", {"block_types": {"slug": {"any_": few}}}), slugs)

    async def block_documents(self, slugs: Collection[str]) -> list[Json]:
        """Return all documents of these block types that have a name, by type and name; secrets are hidden."""
        wanted = {
            "block_types": {"slug": {"any_": list(slugs)}},
            "block_documents": {"is_anonymous": {"eq_": False}},
            "sort": "BLOCK_TYPE_AND_NAME_ASC",
        }
        return await whole_list(
            lambda offset: self._page("block_documents", {**wanted, "offset": offset}),
            key=lambda each: (each["block_type_id"], each["name"]),
        )

    async def block_with_secrets(self, slug: str, name: str) -> Json | None:
        """Return the data of one block document, secrets included; None when there is none."""
        path = f"/block_types/slug/{slug}/block_documents/name/{quote(name, safe='')}"
        try:
            document: Json = await self.ask("GET", path, include_secrets="true")
        except NotInPrefect:
            return None
        data: Json = document["data"]
        return data

    async def block_schema_id(self, checksum: str) -> UUID:
        """Return the id of a registered form of a block."""
        return _id(await self.ask("GET", f"/block_schemas/checksum/{checksum}"))

    async def create_block(self, name: str, data: Json, *, type_id: UUID, schema_id: UUID) -> UUID:
        document = {"name": name, "data": data, "block_type_id": type_id, "block_schema_id": schema_id}
        return _id(await self.ask("POST", "/block_documents/", document | {"is_anonymous": False}))

    async def replace_block(self, document_id: UUID, data: Json, *, schema_id: UUID) -> None:
        """Give a block document other data; nothing of the old data stays."""
        update = {"data": data, "block_schema_id": schema_id, "merge_existing_data": False}
        await self.ask("PATCH", f"/block_documents/{document_id}", update)

    async def amend_block(self, document_id: UUID, data: Json, *, schema_id: UUID) -> None:
        """Change of the data of a block document what `data` has."""
        update = {"data": data, "block_schema_id": schema_id, "merge_existing_data": True}
        await self.ask("PATCH", f"/block_documents/{document_id}", update)

    async def delete_block(self, document_id: UUID) -> None:
        """Delete a block, if it is there."""
        await self._delete(f"/block_documents/{document_id}")

    # Deployments

    async def deployments_with_ids(self, ids: Iterable[UUID]) -> list[Json]:
        """Return those of these deployments that are there."""
        return await with_values(lambda few: self._page("deployments", {"deployments": {"id": {"any_": few}}}), ids)

    async def deployments_named(self, names: Iterable[str], *, flow: str | None = None) -> list[Json]:
        """Return the deployments of these names: of one flow, in which no two share one, or of all."""
        of_flow = {"flows": {"name": {"any_": [flow]}}} if flow is not None else {}
        return await with_values(
            lambda few: self._page("deployments", {**of_flow, "deployments": {"name": {"any_": few}}}), names
        )

    async def date(self) -> str | None:
        """Return the time of day by the server's clock, as the header of an answer has it: in whole seconds."""
        date: str | None = (await self._answer("GET", "/health", None, {})).headers.get("date")
        return date

    async def deployment(self, deployment_id: UUID) -> Json:
        return await self._entry(f"/deployments/{deployment_id}")

    async def deployment_of(self, flow: str, name: str) -> Json:
        return await self._entry(f"/deployments/name/{quote(flow, safe='')}/{quote(name, safe='')}")

    async def create_flow(self, name: str) -> UUID:
        """Return the id of the flow of that name, which is made where there is none."""
        return _id(await self.ask("POST", "/flows/", {"name": name}))

    async def create_deployment(self, flow_id: UUID, name: str, content: Json) -> UUID:
        """Create a deployment; overwrites one of that name, so look first."""
        return _id(await self.ask("POST", "/deployments/", {**content, "flow_id": flow_id, "name": name}))

    async def update_deployment(self, deployment_id: UUID, content: Json) -> None:
        """Change of a deployment what `content` has; its schedules are found by their slugs, and none goes."""
        await self.ask("PATCH", f"/deployments/{deployment_id}", content)

    async def delete_schedule(self, deployment_id: UUID, schedule_id: UUID) -> None:
        """Delete a schedule, if it is there."""
        await self._delete(f"/deployments/{deployment_id}/schedules/{schedule_id}")

    async def pause_deployment(self, deployment_id: UUID) -> None:
        """Let nothing start a deployment by itself; what its schedule has planned is deleted."""
        await self.ask("POST", f"/deployments/{deployment_id}/pause_deployment")

    async def resume_deployment(self, deployment_id: UUID) -> None:
        await self.ask("POST", f"/deployments/{deployment_id}/resume_deployment")

    async def resume_schedule(self, deployment_id: UUID, schedule_id: UUID) -> None:
        await self.ask("PATCH", f"/deployments/{deployment_id}/schedules/{schedule_id}", {"active": True})

    async def delete_deployment(self, deployment_id: UUID) -> None:
        """Delete a deployment, if it is there, with the automations that belong to it: Prefect would leave those."""
        await self._delete(f"/automations/owned-by/prefect.deployment.{deployment_id}")
        await self._delete(f"/deployments/{deployment_id}")

    # Work pools

    async def has_work_pool(self, name: str) -> bool:
        try:
            await self._entry(f"/work_pools/{quote(name, safe='')}")
        except NotInPrefect:
            return False
        return True

    async def create_work_pool(self, name: str, kind: str, job_template: Json) -> None:
        await self.ask("POST", "/work_pools/", {"name": name, "type": kind, "base_job_template": job_template})

    async def work_pools(self) -> list[Json]:
        """Return all work pools, by name."""
        return await whole_list(
            lambda offset: self._page("work_pools", {"offset": offset}), key=lambda each: each["name"]
        )

    async def workers(self, pool: str) -> list[Json]:
        """Return the workers that a work pool has or has had, the last to give a sign of life first."""
        return list((await self._page(f"work_pools/{quote(pool, safe='')}/workers", {})).entries)

    # Runs

    async def run(self, run_id: UUID) -> Json:
        return await self._entry(f"/flow_runs/{run_id}")

    async def runs(self, deployments: Iterable[UUID], wanted: Json, *, sort: str) -> Page:
        """Return the first runs of these deployments, in this order; none of deployments that are gone."""
        # By the deployment itself, not by the id that a run still bears when its deployment is gone.
        these = {"id": {"any_": [str(each) for each in deployments]}}
        return await self._page("flow_runs", {"deployments": these, "flow_runs": wanted, "sort": sort})

    async def runs_bearing(self, deployments: Iterable[UUID], wanted: Json, *, sort: str) -> Page:
        """Return what `runs` does, of deployments that may be gone."""
        these = {"deployment_id": {"any_": [str(each) for each in deployments]}}
        return await self._page("flow_runs", {"flow_runs": {**wanted, **these}, "sort": sort})

    async def runs_with_ids(self, ids: Iterable[UUID]) -> list[Json]:
        """Return those of these runs that are there, whatever has become of their deployments."""
        return await with_values(lambda few: self._page("flow_runs", {"flow_runs": {"id": {"any_": few}}}), ids)

    async def create_run(
        self,
        deployment_id: UUID,
        parameters: Json,
        *,
        name: str,
        why: str | None = None,
        tags: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> UUID:
        """Create a run that is due now; the one that is there when there is one of that key."""
        state = {"type": "SCHEDULED", "message": why}
        run = {"name": name, "state": state, "parameters": parameters, "tags": list(tags)}
        path = f"/deployments/{deployment_id}/create_flow_run"
        return _id(await self.ask("POST", path, run | {"idempotency_key": idempotency_key}))

    async def set_state(self, run_id: UUID, state: str, message: str, *, name: str | None = None) -> None:
        """Put a run into a state, as far as Prefect lets it: a type of states, like CRASHED, and maybe its name."""
        wanted = {"type": state, "name": name, "message": message}
        await self.ask("POST", f"/flow_runs/{run_id}/set_state", {"state": wanted})

    async def delete_run(self, run_id: UUID) -> None:
        """Delete a run with its logs, if it is there."""
        await self._delete(f"/flow_runs/{run_id}")

    async def newest_errors(self, run_id: UUID, count: int) -> list[Json]:
        """Return the last entries of what a run logged as errors or worse, newest first."""
        wanted = {"logs": {"flow_run_id": {"any_": [run_id]}, "level": {"ge_": _ERROR}}, "sort": "TIMESTAMP_DESC"}
        return list((await self._page("logs", wanted, limit=min(count, FULL))).entries)

    # Artifacts

    async def newest_artifact(self, key: str) -> Json | None:
        """Return the newest artifact under a key; None when there is none."""
        wanted = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
        return next(iter((await self._page("artifacts", wanted, limit=1)).entries), None)

    async def delete_artifact(self, artifact_id: UUID) -> None:
        """Delete an artifact, if it is there."""
        await self._delete(f"/artifacts/{artifact_id}")

    # Automations and events

    async def automations_with(self, field: str, values: Iterable[object]) -> list[Json]:
        """Return the automations that have one of these values in a field, `id` or `name`."""
        return await with_values(lambda few: self._page("automations", {"automations": {field: {"any_": few}}}), values)

    async def create_automation(self, content: Json) -> UUID:
        return _id(await self.ask("POST", "/automations/", content))

    async def replace_automation(self, automation_id: UUID, content: Json) -> None:
        await self.ask("PUT", f"/automations/{automation_id}", content)

    async def delete_automation(self, automation_id: UUID) -> None:
        """Delete an automation, if it is there."""
        await self._delete(f"/automations/{automation_id}")

    async def events_with_ids(self, ids: Iterable[UUID], name: str) -> list[Json]:
        """Return those of these events, all of one name, that Prefect has."""
        return await with_values(
            lambda few: self._events({"id": {"id": few}, "event": {"name": [name]}}), ids, at_once=_FULL_OF_EVENTS - 1
        )

    async def newest_event(self, resource: str, name: str, *, since: dt.datetime) -> Json | None:
        """Return the newest event of that name about a resource since a moment; None when there is none."""
        occurred = {"since": since, "until": dt.datetime.now(dt.UTC)}
        about = {"event": {"name": [name]}, "resource": {"id": [resource]}, "occurred": occurred}
        page = await self._events({**about, "order": "DESC"}, limit=1)
        return next(iter(page.entries), None)

    async def _events(self, wanted: Json, *, limit: int = _FULL_OF_EVENTS) -> Page:
        answer = await self.ask("POST", "/events/filter", {"filter": wanted, "limit": limit})
        return Page(tuple(answer["events"]), full=len(answer["events"]) >= limit)

    async def _page(self, route: str, wanted: Json, *, limit: int = FULL) -> Page:
        """Return the first entries of a list, as `wanted` has them chosen and sorted."""
        entries = await self.ask("POST", f"/{route}/filter", {**wanted, "limit": limit})
        return Page(tuple(entries), full=len(entries) >= limit)

    async def _delete(self, path: str) -> None:
        """Delete what is at a path; it is no matter when somebody was faster."""
        with suppress(NotInPrefect):
            await self.ask("DELETE", path)

    async def _entry(self, path: str) -> Json:
        entry: Json = await self.ask("GET", path)
        return entry


def _id(answer: Mapping[str, Any]) -> UUID:
    return UUID(answer["id"])
