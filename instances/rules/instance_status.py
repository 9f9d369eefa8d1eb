"""Statuses of instances: the status of every instance, from those of its flows."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from uuid import UUID

from definitions.status_aggregation import DEFAULT_PRIORITY, Aggregation
from instances.rules.flow_status import FlowStatus, Verdict, judge
from instances.specification.applied import FlowRecord
from instances.world.facts import FlowId, World


def aggregate(statuses: Iterable[FlowStatus], aggregation: Aggregation) -> FlowStatus:
    """Return the most severe status by the definition's contract; READY for an instance without flows.

    A status that the contract does not name is more severe than all it names; among several such the
    default order decides. READY only if all are READY, wherever a contract puts it.
    """
    named = aggregation.status_priority

    def severity(status: FlowStatus) -> tuple[bool, int]:
        is_named = status in named
        return is_named, named.index(status) if is_named else DEFAULT_PRIORITY.index(status)

    unready = {status for status in statuses if status is not FlowStatus.READY}
    return min(unready, key=severity, default=FlowStatus.READY)


@dataclass(frozen=True)
class FlowVerdict:
    """The status of one flow, and whether an operator has paused its deployment or its schedule."""

    flow: str
    verdict: Verdict
    deployment_id: UUID | None
    paused: bool = False
    schedule_paused: bool = False


@dataclass(frozen=True)
class Flaw:
    """What is wrong with an instance as its block describes it now, and the type of that block."""

    type: str
    problem: str


@dataclass(frozen=True)
class InstanceStatus:
    """The status of one instance; its reason and since are those of the flow that decides its status.

    `flaw` says what is wrong with its block: its flows go on as they were applied, if they were.
    """

    instance: str
    type: str
    status: FlowStatus
    reason: str
    since: dt.datetime | None
    flows: tuple[FlowVerdict, ...]
    flaw: str | None = None

    @property
    def ready(self) -> bool:
        return self.status is FlowStatus.READY and self.flaw is None


def instance_statuses(
    flows: Iterable[FlowRecord],
    world: World,
    aggregation_of: Callable[[str], Aggregation],
    now: dt.datetime,
    flaws: Mapping[str, Flaw] = MappingProxyType({}),
) -> tuple[InstanceStatus, ...]:
    """Return a line for each instance that has flows, upstream first within the order of `flows`; then the flawed rest.

    `aggregation_of` returns the contract of an instance by its name. It is only asked for where it decides: where
    the flows of an instance differ in what keeps them from being READY.
    """
    by_instance: dict[str, list[FlowRecord]] = {}
    for flow in flows:
        by_instance.setdefault(flow.instance, []).append(flow)
    lines = [_instance_line(name, records, world, aggregation_of, now) for name, records in by_instance.items()]
    never_applied = [
        InstanceStatus(name, flaw.type, FlowStatus.UNKNOWN, flaw.problem, None, (), flaw.problem)
        for name, flaw in sorted(flaws.items())
        if name not in by_instance
    ]
    return (
        *(replace(line, flaw=flaws[line.instance].problem) if line.instance in flaws else line for line in lines),
        *never_applied,
    )


def statuses_of_instances(
    world: World, statuses: Mapping[FlowId, FlowStatus], aggregation_of: Callable[[str], Aggregation]
) -> dict[str, FlowStatus]:
    """Return the status of each instance from those of its flows, by name; `aggregation_of` as above."""
    by_instance: dict[str, set[FlowStatus]] = {}
    for flow_id, status in statuses.items():
        by_instance.setdefault(world[flow_id].instance, set()).add(status)
    return {name: _aggregated(name, of_flows, aggregation_of) for name, of_flows in by_instance.items()}


def _aggregated(name: str, statuses: set[FlowStatus], aggregation_of: Callable[[str], Aggregation]) -> FlowStatus:
    decides = len(statuses - {FlowStatus.READY}) > 1
    return aggregate(statuses, aggregation_of(name) if decides else Aggregation())


def _instance_line(
    name: str, records: list[FlowRecord], world: World, aggregation_of: Callable[[str], Aggregation], now: dt.datetime
) -> InstanceStatus:
    lines = tuple(_flow_verdict(record, world, now) for record in records)
    status = _aggregated(name, {line.verdict.status for line in lines}, aggregation_of)
    deciding = next(line for line in lines if line.verdict.status is status)
    reason = deciding.verdict.reason if len(lines) == 1 else f"{deciding.flow}: {deciding.verdict.reason}"
    return InstanceStatus(name, records[0].type, status, reason, deciding.verdict.since, lines)


def _flow_verdict(record: FlowRecord, world: World, now: dt.datetime) -> FlowVerdict:
    flow = world[record.flow_id]
    return FlowVerdict(
        record.kind.value, judge(flow, world, now), record.deployment_id, flow.paused, flow.schedule_paused
    )
