"""One reading of the world: the facts of a few flows, and of all that their judgement looks at."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import takewhile
from uuid import UUID

from flows.integrations.prefect_api import PrefectError
from flows.reading.deployment_reader import DeploymentSnapshot, deployments_with_ids
from flows.reading.run_reader import PrefectReader, RunsByDeployment
from instances.rules.policy import auto_of, policy_of
from instances.specification.applied import FlowRecord
from instances.storage.ledger import Ledger
from instances.storage.repository import Repository
from instances.world.facts import FlowFacts, FlowId, Provenance, Request, RunFact, RunId, World


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

    Two SQL statements (four when deciding) whatever the number of upstreams. What Prefect does not
    tell makes every flow unreadable: the guard fails closed.
    """
    records = repository.surroundings(starts)
    ids = {record.deployment_id for record in records if record.deployment_id}
    deciding_on = set(starts) if deciding else set()
    own = {record.deployment_id for record in records if record.flow_id in deciding_on and record.deployment_id}
    try:
        runs = await reader.runs(ids, deciding=own, now=now)
        deployments = {found.deployment_id: found for found in await deployments_with_ids(reader.prefect, own)}
    except PrefectError as error:
        return {record.flow_id: replace(_facts(record), unreadable=str(error)) for record in records}
    provenance = ledger.provenance(_run_ids(runs))
    claimed = ledger.claimed({run.run_id for some in runs.recent.values() for run in some}) if deciding else {}
    requests = ledger.open_requests(starts) if deciding else {}
    return {
        record.flow_id: _with_runs(
            _facts(record),
            runs=runs,
            provenance=provenance,
            claimed=claimed,
            requests=requests.get(record.flow_id, ()),
            deployments=deployments if record.deployment_id in own else None,
        )
        for record in records
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
    )


def _with_runs(
    facts: FlowFacts,
    *,
    runs: RunsByDeployment,
    provenance: Mapping[RunId, Provenance],
    claimed: Mapping[RunId, str],
    requests: tuple[Request, ...],
    deployments: Mapping[UUID, DeploymentSnapshot] | None,
) -> FlowFacts:
    deployment_id = facts.deployment_id
    if deployment_id is None or (deployments is not None and deployment_id not in deployments):
        return replace(facts, deployment_id=None, requests=requests)

    def told(run: RunFact | None) -> RunFact | None:
        if run is None:
            return None
        return replace(run, provenance=provenance.get(run.run_id), claimed=claimed.get(run.run_id))

    return replace(
        facts,
        paused=deployments is not None and deployments[deployment_id].paused,
        live=runs.live.get(deployment_id, ()),
        decisive=told(runs.decisive.get(deployment_id)),
        completed=told(runs.completed.get(deployment_id)),
        last_ended=told(runs.last_ended.get(deployment_id)),
        cancelled=_cancelled(told(runs.last_ended.get(deployment_id))),
        crashes=_crashes(run for run in map(told, runs.recent.get(deployment_id, ())) if run),
        requests=requests,
    )


def _crashes(newest_first: Iterable[RunFact]) -> tuple[RunFact, ...]:
    return tuple(takewhile(lambda run: run.crashed, newest_first))


def _cancelled(last: RunFact | None) -> RunFact | None:
    return last if last is not None and last.cancelled_by_a_person else None


def _run_ids(runs: RunsByDeployment) -> set[RunId]:
    ended: Iterable[Mapping[UUID, RunFact]] = (runs.decisive, runs.completed, runs.last_ended)
    newest = {run.run_id for by_deployment in ended for run in by_deployment.values()}
    return newest | {run.run_id for several in runs.recent.values() for run in several}
