"""Events: changes that automations can react to, sent to Prefect."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

from prefect.events import emit_event

from definitions.work.outcome import Event
from flows.integrations.prefect_api import PrefectApi
from instances.rules.deadlines import MissedDeadline, missed_deadline
from instances.specification.applied import FlowRecord
from instances.storage.repository import Repository
from instances.world.facts import FlowFacts

OVERDUE = "optaic.flow.overdue"
DRIFT_DETECTED = "optaic.model.drift-detected"


@dataclass(frozen=True)
class OverdueFlow:
    """A flow that has missed a deadline. The same one has the same id, whoever finds it and whenever."""

    flow: FlowFacts
    missed: MissedDeadline

    @property
    def event_id(self) -> UUID:
        return uuid5(self.flow.flow_id, self.missed.due.astimezone(dt.UTC).isoformat())

    def emit(self) -> None:
        """Send the event; it is on its way when this returns."""
        flow = self.flow
        emit_event(
            event=OVERDUE,
            id=self.event_id,
            resource={
                "prefect.resource.id": f"optaic.flow.{flow.flow_id}",
                "prefect.resource.name": flow.label,
                "optaic.instance": flow.instance,
                "optaic.kind": flow.kind.value,
            },
            related=[_deployment(flow.deployment_id, flow.instance)] if flow.deployment_id else [],
            payload={"reason": self.missed.reason, "due": self.missed.due.isoformat()},
        )


def emit_instance_event(repository: Repository, flow: FlowRecord, event: Event) -> None:
    """Send what a run of `flow` has found, as an event of its instance, with the deployment that could help."""
    siblings = {each.kind: each.deployment_id for each in repository.flows(instances=[flow.instance])}
    remedy = siblings.get(event.remedy) if event.remedy is not None else None
    emit_event(
        related=[_deployment(remedy, flow.instance)] if remedy is not None else [],
        event=event.name,
        resource={
            "prefect.resource.id": instance_resource(flow.instance),
            "prefect.resource.name": flow.instance,
            "optaic.instance": flow.instance,
            "optaic.kind": flow.kind.value,
        },
        payload=dict(event.payload),
    )


def _deployment(deployment_id: UUID, instance: str) -> dict[str, str]:
    return {
        "prefect.resource.id": f"prefect.deployment.{deployment_id}",
        "prefect.resource.role": "deployment",
        "prefect.resource.name": instance,
    }


def instance_resource(name: str) -> str:
    """Return the id by which events name an instance."""
    return f"optaic.instance.{name}"


async def emit_overdue(prefect: PrefectApi, flows: Iterable[FlowFacts], now: dt.datetime) -> tuple[OverdueFlow, ...]:
    """Send the event `optaic.flow.overdue` for each deadline that was missed, and return those not sent before.

    Prefect itself knows an id only for a quarter of an hour, so its events are asked: for as long as it keeps
    them, a week unless it is set up otherwise, a missed deadline is sent once.
    """
    found = [OverdueFlow(flow, missed) for flow in flows if (missed := missed_deadline(flow, now))]
    known = await prefect.events_with_ids([overdue.event_id for overdue in found], OVERDUE)
    told = {UUID(event["id"]) for event in known}
    new = tuple(overdue for overdue in found if overdue.event_id not in told)
    for overdue in new:
        overdue.emit()
    return new
