"""The guard: the task that every flow starts with, and what it leaves for people to read."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prefect import get_run_logger, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import PrefectException
from sqlalchemy.exc import SQLAlchemyError

from flows.integrations.services import Services
from flows.reading.run_reader import PrefectReader
from flows.reading.world_reader import read_world
from flows.running.run_messages import upstream_table, verdict_line
from flows.running.run_names import upstreams_key
from instances.rules.readiness import FreshnessReport, assess
from instances.world.facts import FlowFacts, FlowId, World


@dataclass(frozen=True)
class GuardFinding:
    """A guard's report, with the world that it was made on."""

    report: FreshnessReport
    world: World

    @property
    def flow(self) -> FlowFacts:
        """The facts of the flow that the report is on."""
        return self.world[self.report.flow_id]


async def assess_upstream(
    services: Services, flow_id: FlowId, now: dt.datetime, *, all_ancestors: bool = False
) -> GuardFinding:
    """Read the facts that judging `flow_id` needs, or all its ancestors' too, and judge it."""
    starts = [flow_id, *services.repository.ancestors(flow_id)] if all_ancestors else [flow_id]
    world = await read_world(services.repository, services.ledger, PrefectReader(services.prefect), starts, now=now)
    return GuardFinding(assess(world[flow_id], world, now), world)


@task(name="check_upstream_freshness", persist_result=False, cache_policy=NO_CACHE)
async def check_upstream_freshness(flow_id: FlowId, now: dt.datetime, services: Services) -> GuardFinding:
    """Say whether all upstream flows are READY, and pin the versions of the inputs.

    The report is kept as an artifact on the run's page.
    """
    checked = await assess_upstream(services, flow_id, now)
    report, flow = checked.report, checked.flow
    with log_failure("the table of upstreams"):
        await acreate_table_artifact(
            table=upstream_table(report),
            key=upstreams_key(flow.instance, flow.kind),
            description=verdict_line(report),
        )
    return checked


@contextmanager
def log_failure(what: str) -> Iterator[None]:
    """Let an artifact or an event that can't be made be logged: it must not decide how a run ends."""
    try:
        yield
    except (httpx.HTTPError, PrefectException, SQLAlchemyError, OSError) as error:
        get_run_logger().warning("%s could not be sent: %s", what, error)


def report_row(report: FreshnessReport) -> dict[str, Any]:
    """Return the report as the run's row keeps it."""
    return {
        "all_ready": report.all_ready,
        "checked_at": report.checked_at.isoformat(),
        "upstreams": upstream_table(report) if report.upstreams else [],
        "why": report.why,
    }
