"""Board: the status of every instance, from those of its flows."""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from definitions.contract import Aggregation
from instances.rules.aggregation import aggregate
from instances.rules.status import FlowStatus, Verdict, judge
from instances.specification.applied import FlowRecord
from instances.world.facts import World


@dataclass(frozen=True)
class FlowVerdict:
    """One flow on the board."""

    flow: str
    verdict: Verdict
    deployment_id: UUID | None


@dataclass(frozen=True)
class InstanceStatus:
    """One instance on the board; its reason and since are those of the flow that decides its status."""

    instance: str
    type: str
    status: FlowStatus
    reason: str
    since: dt.datetime | None
    flows: tuple[FlowVerdict, ...]


def instance_statuses(
    flows: Iterable[FlowRecord], world: World, aggregation_of: Callable[[str], Aggregation], now: dt.datetime
) -> tuple[InstanceStatus, ...]:
    """Return a line for each instance that has flows, upstream first within the order of `flows`.

    `aggregation_of` returns the contract of an instance by its name. It is only asked for where it decides: where
    the flows of an instance differ in what keeps them from being READY.
    """
    by_instance: dict[str, list[FlowRecord]] = {}
    for flow in flows:
        by_instance.setdefault(flow.instance, []).append(flow)
    return tuple(_instance_line(name, records, world, aggregation_of, now) for name, records in by_instance.items())


def _instance_line(
    name: str, records: list[FlowRecord], world: World, aggregation_of: Callable[[str], Aggregation], now: dt.datetime
) -> InstanceStatus:
    lines = tuple(
        FlowVerdict(record.kind.value, judge(world[record.flow_id], world, now), record.deployment_id)
        for record in records
    )
    statuses = {line.verdict.status for line in lines}
    decides = len(statuses - {FlowStatus.READY}) > 1
    status = aggregate(statuses, aggregation_of(name) if decides else Aggregation())
    deciding = next(line for line in lines if line.verdict.status is status)
    reason = deciding.verdict.reason if len(lines) == 1 else f"{deciding.flow}: {deciding.verdict.reason}"
    return InstanceStatus(name, records[0].type, status, reason, deciding.verdict.since, lines)
