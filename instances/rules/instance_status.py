"""Statuses of instances: the status of every instance, from those of its flows."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from definitions.contract import Aggregation
from instances.rules.aggregation import aggregate
from instances.rules.status import FlowStatus, Verdict, judge
from instances.specification.applied import FlowRecord
from instances.world.facts import World


@dataclass(frozen=True)
class FlowVerdict:
    """The status of one flow."""

    flow: str
    verdict: Verdict
    deployment_id: UUID | None


@dataclass(frozen=True)
class InstanceStatus:
    """The status of one instance; its reason and since are those of the flow that decides its status."""

    instance: str
    type: str
    status: FlowStatus
    reason: str
    since: dt.datetime | None
    flows: tuple[FlowVerdict, ...]


def instance_statuses(
    flows: Iterable[FlowRecord], world: World, aggregations: Mapping[str, Aggregation], now: dt.datetime
) -> tuple[InstanceStatus, ...]:
    """Return a line for each instance that has flows, upstream first within the order of `flows`.

    `aggregations` has the contract of each instance by its name; the default one where it is left out.
    """
    by_instance: dict[str, list[FlowRecord]] = {}
    for flow in flows:
        by_instance.setdefault(flow.instance, []).append(flow)
    return tuple(
        _instance_line(name, records, world, aggregations.get(name, Aggregation()), now)
        for name, records in by_instance.items()
    )


def _instance_line(
    name: str, records: list[FlowRecord], world: World, aggregation: Aggregation, now: dt.datetime
) -> InstanceStatus:
    lines = tuple(
        FlowVerdict(record.kind.value, judge(world[record.flow_id], world, now), record.deployment_id)
        for record in records
    )
    status = aggregate((line.verdict.status for line in lines), aggregation)
    deciding = next(line for line in lines if line.verdict.status is status)
    reason = deciding.verdict.reason if len(lines) == 1 else f"{deciding.flow}: {deciding.verdict.reason}"
    return InstanceStatus(name, records[0].type, status, reason, deciding.verdict.since, lines)
