"""A few instances on the real servers, whose runs this process executes itself.

Their deployments belong to a work pool that no worker serves: a test decides when a run starts, and many
runs take a fraction of a second each instead of a process each.
"""

import datetime as dt
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from prefect import Flow, State, get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flow_engine import run_flow_async
from prefect.states import AwaitingRetry
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

from definitions.contract import FlowKind
from flows.integrations.services import Services, opened
from flows.planning.block_writer import BlockWriter
from flows.planning.changeset import Changeset
from flows.planning.deployment_spec import Storage, flow_function
from flows.planning.planner import apply_plan, make_plan
from flows.planning.scope import Scope
from flows.reading.block_reader import read_blocks
from flows.reading.status_reader import read_all_flows
from instances.plans.plan import Plan
from instances.rules.flow_status import Verdict, judge
from instances.rules.readiness import FreshnessReport, assess
from instances.specification.applied import FlowRecord
from instances.specification.specs import spec_adapter
from instances.specification.types import in_place
from instances.storage.tables import AutomationRow, InstanceRow
from instances.world.facts import FlowId, World

if TYPE_CHECKING:
    import polars as pl

Scenario = Callable[["Lab"], Awaitable[None]]
Play = Callable[[Scenario], None]

POOL = "served-by-no-worker"
_numbers = itertools.count(1)


@dataclass
class Lab:
    """Instances with a name prefix of their own; all methods take the names without it.

    A flow goes by the name of its instance where it is `refresh`, else by its label, like 'returns.train'.
    """

    client: PrefectClient
    services: Services
    folder: Path
    prefix: str = field(default_factory=lambda: f"t{next(_numbers)}-{uuid4().hex[:6]}-")

    async def source(self, name: str, rows: Mapping[str, float] | None = None, **fields: Any) -> None:
        """Describe a dataset that reads a CSV file with a `close` per date for the entity A."""
        self.write(name, rows or {"2024-01-02": 1.0})
        await self.describe(name, "dataset", "csv", {"path": str(self._file(name))}, **fields)

    async def signal(
        self, name: str, upstreams: Sequence[str | Mapping[str, Any]], expression: str = "close", **fields: Any
    ) -> None:
        """Describe a signal that computes an expression over its upstreams."""
        await self.describe(
            name, fields.pop("type", "signal"), "expression", {"expression": expression}, upstreams, **fields
        )

    async def ran_pair(self, source: str, signal: str) -> None:
        """Describe a source and a signal that reads it, apply both, and run both."""
        await self.source(source)
        await self.signal(signal, [source])
        await self.bootstrap()
        await self.run(source)
        assert await self.drain(signal) == 1

    async def describe(
        self,
        name: str,
        type_: str,
        pipeline: str,
        config: Mapping[str, Any],
        upstreams: Sequence[str | Mapping[str, Any]] = (),
        **fields: Any,
    ) -> None:
        """Save the blocks of one instance, with its parts in blocks of their own."""
        full = self.prefix + name
        parts = {"pipeline": (pipeline, config), "store": ("delta", {}), "accessor": ("simple", {})}
        specs: list[dict[str, Any]] = [
            {"name": f"{full}-{part}", "type": part, "definition": definition, "config": dict(given)}
            for part, (definition, given) in parts.items()
        ]
        refs = [{"instance": up} if isinstance(up, str) else dict(up) for up in upstreams]
        specs.append(
            {
                "name": full,
                "type": type_,
                "upstream_refs": [ref | {"instance": self.prefix + ref["instance"]} for ref in refs],
                **{f"{part}_instance": f"{full}-{part}" for part in parts},
                **fields,
            }
        )
        validated = {spec["name"]: spec_adapter.validate_python(spec) for spec in specs}
        writer = BlockWriter(self.services.prefect, await read_blocks(self.services.prefect))
        await writer.save(validated[full], in_place(validated[full], validated))

    def write(self, name: str, rows: Mapping[str, float]) -> None:
        """Write the file that a source reads."""
        lines = [f"{date},A,{close}" for date, close in rows.items()]
        self._file(name).write_text("\n".join(["date,entity,close", *lines]) + "\n")

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.csv"

    @property
    def storage(self) -> Storage:
        return Storage(POOL, "default", {}, None, (), "flows")

    async def plan(self, **scope: Any) -> Changeset:
        """Return what must change so that the world matches the blocks; all of it, unless told otherwise."""
        scope = {"all_or_nothing": True} | scope
        return await make_plan(self.services, self.storage, Scope(**scope), dt.datetime.now(dt.UTC))

    async def bootstrap(self, **scope: Any) -> Plan:
        """Make the world match the blocks."""
        changeset = await self.plan(**scope)
        await apply_plan(changeset, self.services, lambda step: None)
        return changeset.plan

    def flow(self, name: str) -> FlowRecord:
        instance, kind = _key(name)
        return self.services.repository.flow(self.prefix + instance, kind)

    def flow_id(self, name: str) -> FlowId:
        return self.flow(name).flow_id

    def deployment(self, name: str) -> UUID:
        deployment_id = self.flow(name).deployment_id
        assert deployment_id is not None
        return deployment_id

    async def start(self, name: str, **parameters: Any) -> FlowRun:
        """Create a run through the deployment, as the Prefect UI does; it is due now, and not started."""
        return await self.client.create_flow_run_from_deployment(self.deployment(name), parameters=parameters)

    async def execute(self, run: FlowRun, flow: Flow[..., Any] | None = None) -> State[Any]:
        """Execute a run in this process, as a worker's process would, hooks included."""
        assert run.deployment_id is not None
        record = self.services.repository.flow_of_deployment(run.deployment_id)
        entry = flow or flow_function(record.kind if record else FlowKind.REFRESH)
        state = await run_flow_async(entry, flow_run=run, parameters=run.parameters, return_type="state")
        assert isinstance(state, State)
        return state

    async def run(self, name: str, **parameters: Any) -> State[Any]:
        return await self.execute(await self.start(name, **parameters))

    async def retry(self, run: FlowRun) -> State[Any]:
        """Press Retry in the UI, which lets a run begin again under its own id, and execute it."""
        await self.client.set_flow_run_state(run.id, AwaitingRetry())
        return await self.execute(await self.client.read_flow_run(run.id))

    async def waiting(self, *names: str) -> list[FlowRun]:
        """Return the runs of these instances that are due and not started, the oldest first."""
        states = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
        return await self._runs(names, states)

    async def runs(self, *names: str) -> list[FlowRun]:
        """Return all runs of these instances, the oldest first."""
        return await self._runs(names, None)

    async def _runs(self, names: Iterable[str], states: FlowRunFilterState | None) -> list[FlowRun]:
        deployments = [self.deployment(name) for name in names]
        return await self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=deployments), state=states),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=200,
        )

    async def drain(self, *names: str) -> int:
        """Execute what waits, and what comes of it, until nothing does; return how many runs that were."""
        count = 0
        while runs := await self.waiting(*names):
            for run in runs:
                await self.execute(run)
                count += 1
        return count

    async def world(self) -> World:
        return (await read_all_flows(self.services, dt.datetime.now(dt.UTC)))[1]

    async def verdict(self, name: str) -> Verdict:
        world = await self.world()
        flow_id = self.flow_id(name)
        return judge(world[flow_id], world, dt.datetime.now(dt.UTC))

    async def report(self, name: str) -> FreshnessReport:
        world = await self.world()
        flow_id = self.flow_id(name)
        return assess(world[flow_id], world, dt.datetime.now(dt.UTC))

    def frame(self, name: str) -> "pl.DataFrame | None":
        """Return the rows of the instance's newest version, by date and entity; None where it has none yet."""
        from instances.specification.plugins import readable

        full = self.prefix + name
        applied = self.services.repository.applied([full])[full]
        store = readable(applied, self.services.registry, self.services.resources).store
        head = store.head()
        return None if head is None else store.scan(head.version).collect().sort("date", "entity")

    def rows(self, name: str) -> dict[str, float]:
        """Return what the instance's newest version holds: the value of each date."""
        frame = self.frame(name)
        if frame is None:
            return {}
        value = next(column for column in frame.columns if column not in {"date", "entity"})
        return {str(date): number for date, number in frame.select("date", value).iter_rows()}


def _key(name: str) -> tuple[str, str]:
    instance, _, kind = name.partition(".")
    return instance, kind or FlowKind.REFRESH.value


@asynccontextmanager
async def lab(folder: Path) -> AsyncIterator[Lab]:
    """Open a lab for the length of a block."""
    async with get_client() as client:
        with suppress(ObjectAlreadyExists):
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        async with opened() as services:
            opened_lab = Lab(client, services, folder)
            try:
                yield opened_lab
            finally:
                await _forget(opened_lab)


async def _forget(opened_lab: Lab) -> None:
    """Remove what there is of a lab, so that the tests after it read their own things only; its data stays."""
    client, services, prefix = opened_lab.client, opened_lab.services, opened_lab.prefix
    with Session(services.engine) as session:
        instances = session.scalars(select(InstanceRow.name).where(InstanceRow.name.startswith(prefix))).all()
        automations = session.scalars(select(AutomationRow).where(AutomationRow.name.contains(prefix))).all()
    for automation in automations:
        with suppress(ObjectNotFound):
            await client.delete_automation(automation.prefect_automation_id)
        services.writer.forget_automation(automation.name)
    services.writer.remove(instances)
    # By SQL, as Prefect's API would take a request for each of them.
    prefect = create_engine(services.engine.url.set(database="prefect"))
    deployments = "SELECT id FROM deployment WHERE starts_with(name, :prefix)"
    with prefect.begin() as connection:
        connection.execute(text(f"DELETE FROM flow_run WHERE deployment_id IN ({deployments})"), {"prefix": prefix})
        for table in ("deployment", "block_document"):
            connection.execute(text(f"DELETE FROM {table} WHERE starts_with(name, :prefix)"), {"prefix": prefix})
    prefect.dispose()
