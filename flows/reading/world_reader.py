"""One reading of the world: the facts of a few flows, and of all that their judgement looks at."""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import replace
from uuid import UUID

from flows.integrations.prefect_api import PrefectError
from flows.reading.deployment_reader import deployments_with_ids
from flows.reading.flow_runs import FlowRuns, newest_left, with_runs
from flows.reading.run_reader import PrefectReader
from instances.rules.freshness import newest_version
from instances.rules.freshness_policy import auto_of, policy_of
from instances.specification.applied import FlowRecord
from instances.specification.shapes import SHAPES
from instances.storage.ledger import Ledger
from instances.storage.repository import Repository
from instances.world.facts import FlowFacts, FlowId, World


async def read_world(
    repository: Repository,
    ledger: Ledger,
    reader: PrefectReader,
    starts: Collection[FlowId],
    *,
    now: dt.datetime,
    deciding: bool = False,
) -> World:
    """Return the facts that judging `starts` needs; with `deciding` also what starting them needs.

    Two SQL statements (four when deciding; one more where models are among them) whatever the number of upstreams.
    What Prefect does not tell makes every flow unreadable: the guard fails closed.
    """
    records = repository.surroundings(starts)
    ids = {record.deployment_id for record in records if record.deployment_id}
    reader = reader.counting(former_deployments(records))
    deciding_on = set(starts) if deciding else set()
    own = {record.deployment_id for record in records if record.flow_id in deciding_on and record.deployment_id}
    try:
        runs = await reader.runs(ids, deciding=own, now=now)
        deployments = {found.deployment_id: found for found in await deployments_with_ids(reader.prefect, own)}
        left, provenance = await newest_left(ledger, reader, records, runs)
    except PrefectError as error:
        return {record.flow_id: replace(_facts(record), unreadable=str(error)) for record in records}
    claimed = ledger.claimed({run.run_id for some in runs.recent.values() for run in some}) if deciding else {}
    requests = ledger.open_requests(starts) if deciding else {}

    def facts_of(record: FlowRecord) -> FlowFacts:
        facts = replace(_facts(record), requests=requests.get(record.flow_id, ()))
        deployment = deployments.get(record.deployment_id) if record.deployment_id else None
        if record.deployment_id is None or (record.deployment_id in own and deployment is None):
            return replace(facts, deployment_id=None)
        if deployment is not None:
            facts = replace(
                facts,
                paused=deployment.paused,
                schedule_paused=bool(deployment.paused_schedules),
                work_pool=deployment.fields["work_pool"],
            )
        known = FlowRuns.of(record.deployment_id, runs, left.get(record.flow_id))
        return with_runs(facts, known.with_rows(provenance, claimed))

    world = {record.flow_id: facts_of(record) for record in records}
    versions = {facts.flow_id: newest_version(facts) for facts in world.values() if SHAPES[facts.kind].learns_from}
    champions = {flow_id: version for flow_id, version in versions.items() if version is not None}
    trained_on = ledger.trained_on(champions) if champions else {}
    return world | {flow_id: replace(world[flow_id], trained_on=known) for flow_id, known in trained_on.items()}


def former_deployments(records: Iterable[FlowRecord]) -> dict[UUID, UUID]:
    """Return the present deployments of flows by those that they had under former names."""
    return {
        former: record.deployment_id
        for record in records
        if record.deployment_id is not None
        for former in record.former_deployments
    }


def _facts(record: FlowRecord) -> FlowFacts:
    settings = record.settings
    return FlowFacts(
        flow_id=record.flow_id,
        instance=record.instance,
        kind=record.kind,
        config_hash=record.config_hash,
        configured_at=record.configured_at,
        deployment_id=record.deployment_id,
        policy=policy_of(settings.freshness, settings.schedule, record.kind, scheduled_at=record.scheduled_at),
        auto=auto_of(settings.auto, has_inputs=bool(record.edges), schedule=settings.schedule),
        source_retry=settings.source_retry,
        edges=record.edges,
        unreadable=record.unreadable,
    )
