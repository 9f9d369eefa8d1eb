"""The automations that bootstrap owns: few, for all instances together, and pausable in the Prefect UI."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from httpx import codes
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, DoNothing
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import PrefectHTTPStatusError

from flows.events import OVERDUE
from flows.stuck import HEARTBEAT, Patience
from flows.things.base import Proposed, Tools, Wanted
from instances.plan import Fields, Step, compare
from instances.wording import span

# What a run sends, by the name of its state, when it has ended or sends no heartbeats for a good reason.
_ENDS = ("Completed", "Skipped", "Failed", "TimedOut", "Cancelled", "Blocked", "Crashed")
_RESTS = ("Paused", "Suspended", "AwaitingRetry")
TAG = "optaic"
SILENT_AFTER = Patience().heartbeat


def wanted_automations() -> Mapping[str, AutomationCore]:
    """Return the automations, by name."""
    ours = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.optaic"}
    silent = AutomationCore(
        name="optaic: runs without a heartbeat",
        description="Ends runs whose process has died without a word as Crashed, so that they are tried again.",
        tags=[TAG],
        trigger=EventTrigger(
            posture=Posture.Proactive,
            after={HEARTBEAT},
            expect={HEARTBEAT, *(f"prefect.flow-run.{name}" for name in (*_ENDS, *_RESTS))},
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=ResourceSpecification(ours),
            for_each={"prefect.resource.id"},
            threshold=1,
            within=SILENT_AFTER,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message=f"Its process has sent no heartbeat for {span(SILENT_AFTER)}."
            )
        ],
    )
    overdue = AutomationCore(
        name="optaic: missed deadlines",
        description=f"Fires on {OVERDUE}, once for each missed deadline. Add an action: a notification, a webhook.",
        tags=[TAG],
        trigger=EventTrigger(
            posture=Posture.Reactive,
            expect={OVERDUE},
            match=ResourceSpecification({"prefect.resource.id": "optaic.flow.*"}),
            for_each={"prefect.resource.id"},
            threshold=1,
            within=timedelta(0),
        ),
        actions=[DoNothing()],
    )
    return {automation.name: automation for automation in (silent, overdue)}


class Automations:
    """An operator's pause is kept, and so are the actions that people add to ours."""

    kind = "automation"

    async def plan(self, wanted: Wanted, tools: Tools) -> Proposed:
        recorded = tools.services.repository.automations()
        actual = {
            name: _fields(automation) | {"on_record": recorded.get(name) == automation.id}
            for name, automation in (await _ours(tools)).items()
        }
        desired = {name: _fields(automation) | {"on_record": True} for name, automation in wanted_automations().items()}
        return Proposed(compare(self.kind, desired, actual))

    async def apply(self, steps: Sequence[Step], wanted: Wanted, tools: Tools, done: Callable[[Step], None]) -> None:
        ours = await _ours(tools)
        for step in steps:
            wish, existing = wanted_automations()[step.name], ours.get(step.name)
            if existing is None:
                automation_id = await tools.client.create_automation(wish)
            else:
                automation_id = existing.id
                kept = wish.model_copy(update={"enabled": existing.enabled, "actions": existing.actions})
                await tools.client.update_automation(automation_id, kept)
            tools.services.writer.note_automation(step.name, automation_id)
            done(step)


async def _ours(tools: Tools) -> dict[str, Automation]:
    """Return our automations that are there: by the id on record or, after a crash, by name and tag."""
    recorded, found = tools.services.repository.automations(), dict[str, Automation]()
    for name in wanted_automations():
        by_id = await _there(tools, recorded[name]) if name in recorded else None
        named = [by_id] if by_id else await tools.client.read_automations_by_name(name)
        ours = [automation for automation in named if automation is by_id or TAG in automation.tags]
        if ours:
            found[name] = ours[0]
    return found


async def _there(tools: Tools, automation_id: UUID) -> Automation | None:
    try:
        return await tools.client.read_automation(automation_id)
    except PrefectHTTPStatusError as error:
        if error.response.status_code == codes.NOT_FOUND:
            return None
        raise


def _fields(automation: AutomationCore) -> Fields:
    trigger = automation.trigger.model_dump(mode="json", exclude={"id"})
    return {
        "description": automation.description,
        "tags": sorted(automation.tags),
        "trigger": {name: sorted(value) if isinstance(value, list) else value for name, value in trigger.items()},
    }
