"""The board: reads the world of all flows, and judges it for people."""

import asyncio
import datetime as dt
from collections.abc import Collection

from definitions.contract import Aggregation
from definitions.errors import DefinitionError
from flows.integrations.services import Services
from flows.reading.left_out import read_flaws
from flows.reading.run_reader import PrefectReader
from flows.reading.world_reader import read_world
from instances.rules.instance_status import Flaw, InstanceStatus, instance_statuses
from instances.specification.applied import AppliedInstance, FlowRecord
from instances.specification.plugins import defining
from instances.world.facts import World


async def read_all_flows(services: Services, now: dt.datetime) -> tuple[tuple[FlowRecord, ...], World]:
    """Return every flow, and the world of them all with what deciding on them needs."""
    flows = services.repository.flows()
    starts = [flow.flow_id for flow in flows]
    reader = PrefectReader(services.prefect)
    world = await read_world(services.repository, services.ledger, reader, starts, now=now, deciding=True)
    return flows, world


async def read_statuses(
    services: Services, now: dt.datetime, *, instances: Collection[str] | None = None
) -> tuple[InstanceStatus, ...]:
    """Return the board of all instances, with what is wrong with their blocks; or of those named."""
    (flows, world), flaws = await asyncio.gather(
        read_all_flows(services, now), read_flaws(services) if instances is None else _none()
    )
    applied = services.repository.applied({flow.instance for flow in flows}, readable=True)
    aggregations = {name: _aggregation(services, each) for name, each in applied.items()}
    wanted = [flow for flow in flows if instances is None or flow.instance in instances]
    return instance_statuses(wanted, world, aggregations, now, flaws)


async def _none() -> dict[str, Flaw]:
    return {}


def _aggregation(services: Services, applied: AppliedInstance) -> Aggregation:
    try:
        definition = defining(applied, services.registry)
    except DefinitionError:  # not installed here: the statuses of its flows are known all the same
        return Aggregation()
    return definition.aggregation if definition is not None else Aggregation()
