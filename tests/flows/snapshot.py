"""What there is in the world, and what is written to it: for tests that compare before and after."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from prefect.client.orchestration import PrefectClient
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from flows.integrations.prefect_api import PrefectApi
from flows.planning.resources.automations import common_automations, retraining_name
from flows.reading.block_reader import TYPE_WITH_SLUG
from flows.reading.deployment_reader import DeploymentSnapshot
from instances.storage.row_fields import recorded_rows
from instances.storage.tables import AutomationRow, EdgeRow, FlowRow

READS = ("/filter", "/count", "/paginate")  # what a POST that only reads ends with


@dataclass
class Written:
    """What was asked of the API, and what was written there and to Postgres."""

    requests: int = 0
    api: Counter[str] = field(default_factory=Counter)
    sql: Counter[str] = field(default_factory=Counter)

    @property
    def nothing(self) -> bool:
        return not self.api and not self.sql


@contextmanager
def writes(prefect: PrefectApi, engine: Engine) -> Iterator[Written]:
    """Note what is asked and written meanwhile, through this door to Prefect and this engine."""
    written = Written()

    ask = prefect._once

    async def noted(method: str, path: str, *rest: Any) -> Any:
        written.requests += 1
        if method != "GET" and not path.endswith(READS):
            written.api[f"{method} {path.split('/')[1]}"] += 1
        return await ask(method, path, *rest)

    def on_statement(_conn: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        verb, *words = statement.split()
        if verb in {"INSERT", "UPDATE", "DELETE"}:
            table = next(word for word in words if word.startswith("optaic."))
            written.sql[f"{verb} {table}"] += len(parameters) if isinstance(parameters, list) else 1

    event.listen(engine, "before_cursor_execute", on_statement)
    try:
        with patch.object(prefect, "_once", noted):
            yield written
    finally:
        event.remove(engine, "before_cursor_execute", on_statement)


@dataclass(frozen=True)
class Snapshot:
    """The things of instances with one name prefix, each kind by name, without the ids that the servers gave."""

    blocks: dict[str, Any]
    rows: dict[str, Any]
    deployments: dict[str, Any]
    automations: dict[str, Any]
    counts: dict[str, int]


async def snapshot(client: PrefectClient, engine: Engine, prefix: str = "") -> Snapshot:
    """Return what there is of instances whose names begin with `prefix`; things are counted as often as they are."""
    blocks: dict[str, Any] = {}
    counts: Counter[str] = Counter()
    of_instances = {"block_types": {"slug": {"any_": list(TYPE_WITH_SLUG)}}}
    for document in await everything(client, "block_documents", of_instances):
        if document["name"].startswith(prefix):
            blocks[document["name"]] = {
                "type": document["block_type"]["slug"],
                "data": _without_ids(document["data"]),
            }
            counts["block"] += 1
    rows = {name: fields for name, fields in recorded_rows(engine).items() if name.startswith(prefix)}
    deployments: dict[str, Any] = {}
    with Session(engine) as session:
        noted = dict(session.execute(select(AutomationRow.name, AutomationRow.prefect_automation_id)).tuples().all())
        edges = session.scalars(select(EdgeRow)).all()
        pairs = {flow.id: flow.prefect_deployment_id for flow in session.scalars(select(FlowRow))}
    counts["edge"] = len(edges)
    counts["flow"] = len(pairs)
    for deployment in await everything(client, "deployments", {}):
        if deployment["name"].startswith(prefix):
            found = DeploymentSnapshot.of(deployment)
            deployments[f"{await _flow_name(client, deployment['flow_id'])}/{found.name}"] = found.fields | {
                "paused": found.paused,
                "paused_schedules": found.paused_schedules,
                "on_record": found.deployment_id in pairs.values(),
            }
            counts["deployment"] += 1
            counts["schedule"] += len(deployment["schedules"])
    automations: dict[str, Any] = {}
    for automation in await client.read_automations():
        name = automation.name
        if name in common_automations() or name.startswith(retraining_name(prefix).removesuffix(" on drift")):
            automations[name] = {
                "trigger": _without_ids(automation.trigger.model_dump(mode="json")),
                "enabled": automation.enabled,
                "on_record": noted.get(name) == automation.id,
            }
            counts["automation"] += 1
    return Snapshot(blocks, rows, deployments, automations, dict(counts))


async def everything(client: PrefectClient, route: str, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all entries of a list of the server, as JSON, while nobody else is at work there."""
    found: list[dict[str, Any]] = []
    while True:
        asked = {**wanted, "limit": 200, "offset": len(found)}
        page = await client.request("POST", f"/{route}/filter", json=asked)  # type: ignore[arg-type]
        found.extend(page.json())
        if len(page.json()) < 200:
            return found


_flow_names: dict[Any, str] = {}


async def _flow_name(client: PrefectClient, flow_id: Any) -> str:
    if flow_id not in _flow_names:
        _flow_names[flow_id] = (await client.read_flow(flow_id)).name
    return _flow_names[flow_id]


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_ids(each) for key, each in value.items() if key not in {"id", "block_document_id"}}
    if isinstance(value, list):
        return sorted((_without_ids(each) for each in value), key=str)
    return value
