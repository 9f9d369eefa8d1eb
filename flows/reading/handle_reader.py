"""Handles of instances: what is stored, with what is derived from the world as it was read."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace

from definitions.stores.locations import delta_location
from flows.integrations.services import Services
from instances.rules.instance_status import InstanceStatus
from instances.specification.handles import InstanceHandles
from instances.specification.shapes import SHAPES, Output
from instances.specification.types import DELTA
from instances.storage.handle_rows import stored_handles
from instances.world.clock import ClockError, next_tick
from instances.world.facts import FlowFacts, World


def handles_in(
    services: Services, lines: Iterable[InstanceStatus], world: World, now: dt.datetime
) -> dict[str, InstanceHandles]:
    """Return the handles of all instances on record, by name, with what is derived as `lines` and `world` have it."""
    stored = stored_handles(services.engine)
    facts = {(flow.instance, flow.kind): flow for flow in world.values()}
    judged = {line.instance: line for line in lines}

    def completed(handles: InstanceHandles) -> InstanceHandles:
        line = judged.get(handles.name)
        verdicts = {flow.flow: flow.verdict.status.value.lower() for flow in line.flows} if line else {}
        root = _root(services, handles, stored)
        return replace(
            handles,
            flows=tuple(
                replace(
                    flow,
                    next_run_at=_next_run(facts.get((handles.name, flow.flow)), now),
                    freshness_status=verdicts.get(flow.flow),
                )
                for flow in handles.flows
            ),
            freshness_status=line.status.value.lower() if line else None,
            physical_path=delta_location(root, handles.kept_as) if root is not None else None,
        )

    return {name: completed(handles) for name, handles in stored.items()}


def _next_run(flow: FlowFacts | None, now: dt.datetime) -> dt.datetime | None:
    """Return the next tick at which a flow's schedule starts it; None where it has none, or where it is paused."""
    if flow is None or flow.policy.clock is None or flow.deployment_id is None or flow.paused or flow.schedule_paused:
        return None
    try:
        return next_tick(flow.policy.clock, now)
    except ClockError:  # its status is UNKNOWN, and says why
        return None


def _root(services: Services, handles: InstanceHandles, stored: Mapping[str, InstanceHandles]) -> str | None:
    """Return under which root the rows of an instance lie; None where it keeps none, or its store does not say."""
    if not any(SHAPES[flow.flow].leaves is Output.ROWS for flow in handles.flows):
        return None
    if handles.store_instance is None:
        return services.platform.data_root
    store = stored.get(handles.store_instance)
    if store is None or store.definition != DELTA:
        return None
    return (store.config or {}).get("root") or services.platform.data_root
