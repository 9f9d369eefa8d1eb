"""Statuses: reads the world of all flows, and judges it for people."""

import datetime as dt
from collections.abc import Collection
from functools import partial

from definitions.errors import DefinitionError
from definitions.status_aggregation import Aggregation
from flows.integrations.services import Services
from flows.reading.left_out import read_flaws
from flows.reading.run_reader import PrefectReader
from flows.reading.world_reader import read_world
from instances.rules.instance_status import InstanceStatus, instance_statuses
from instances.specification.applied import FlowRecord
from instances.world.facts import World


async def read_all_flows(services: Services, now: dt.datetime) -> tuple[tuple[FlowRecord, ...], World]:
    """Return every flow, and the world of them all with what deciding on them needs."""
    flows = services.repository.flows()
    starts = [flow.flow_id for flow in flows]
    reader = PrefectReader(services.prefect)
    world = await read_world(services.repository, services.ledger, reader, starts, now=now, deciding=True)
    return flows, world


async def read_statuses(services: Services, now: dt.datetime) -> tuple[InstanceStatus, ...]:
    """Return the statuses of all instances, with what is wrong with their blocks."""
    flows, world = await read_all_flows(services, now)
    return await statuses_in(services, flows, world, now)


async def statuses_in(
    services: Services, flows: Collection[FlowRecord], world: World, now: dt.datetime
) -> tuple[InstanceStatus, ...]:
    """Return the statuses of all instances, with what is wrong with their blocks; `world` is that of all `flows`."""
    flaws = await read_flaws(services)
    return instance_statuses(flows, world, partial(aggregation_of, services), now, flaws)


def aggregation_of(services: Services, instance: str) -> Aggregation:
    """Return by which contract the statuses of an instance's flows become one; rarely asked for, and dear to find."""
    from instances.specification.plugins import defining

    applied = services.repository.applied([instance], readable=True).get(instance)
    try:
        definition = defining(applied, services.registry) if applied is not None else None
    except DefinitionError:  # not installed here: the statuses of its flows are known all the same
        return Aggregation()
    return definition.aggregation if definition is not None else Aggregation()
