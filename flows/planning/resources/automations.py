"""The automations that bootstrap owns, pausable in the Prefect UI: two for all instances, one for a model that asks."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, DoNothing, RunDeployment
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.integrations.services import Services
from flows.planning.resources.resource import DesiredState, Proposal, run_concurrently
from flows.running.events import DRIFT_DETECTED, OVERDUE, instance_resource
from flows.running.stuck_runs import HEARTBEAT, StuckTimeouts
from instances.plans.plan import Action, Fields, Step, compare
from instances.specification.specs import ModelSpec
from instances.world.wording import span

# What a run sends, by the name of its state, when it has ended or sends no heartbeats for a good reason.
_ENDS = ("Completed", "Skipped", "Failed", "TimedOut", "Cancelled", "Blocked", "Crashed")
_RESTS = ("Paused", "Suspended", "AwaitingRetry")
TAG = "optaic"
SILENT_AFTER = StuckTimeouts().heartbeat


def desired_automations(state: DesiredState) -> Mapping[str, AutomationCore]:
    """Return the automations that there must be, by name."""
    models = [i.spec.name for i in state.instances if isinstance(i.spec, ModelSpec) and i.spec.retrain_on_drift]
    return {**common_automations(), **{retraining_name(name): _retraining(name) for name in models}}


def retraining_name(model: str) -> str:
    """Return the name of the automation that trains a model again."""
    return f"optaic: retrain {model} on drift"


def renamed_automation(name: str, names: Mapping[str, str]) -> str:
    """Return the name that an automation has once these instances are renamed."""
    return {retraining_name(old): retraining_name(new) for old, new in names.items()}.get(name, name)


def common_automations() -> Mapping[str, AutomationCore]:
    """Return the automations that are for all instances together, by name."""
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


def _retraining(model: str) -> AutomationCore:
    return AutomationCore(
        name=retraining_name(model),
        description=f"Trains {model} again on {DRIFT_DETECTED}, as its setting retrain_on_drift asks.",
        tags=[TAG],
        trigger=EventTrigger(
            posture=Posture.Reactive,
            expect={DRIFT_DETECTED},
            match=ResourceSpecification({"prefect.resource.id": instance_resource(model)}),
            threshold=1,
            within=timedelta(0),
        ),
        # The event names the deployment of `train`: it may be another one than when this was made.
        actions=[RunDeployment(source="inferred")],
    )


class Automations:
    """An operator's pause is kept, and so are the actions that people add to ours."""

    kind = "automation"

    async def plan(self, state: DesiredState, services: Services) -> Proposal:
        wishes, names = desired_automations(state), state.renames.names
        recorded = {renamed_automation(name, names): each for name, each in services.repository.automations().items()}
        actual = {
            name: _fields(automation, wishes.get(name, automation)) | {"on_record": recorded.get(name) == automation.id}
            for name, automation in (await _ours(services, _names(state, recorded), recorded)).items()
        }
        desired = {name: _fields(wish, wish) | {"on_record": True} for name, wish in wishes.items()}
        return Proposal(compare(self.kind, desired, actual, deleted=actual.keys() - wishes.keys()))

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, services: Services, done: Callable[[Step], None]
    ) -> None:
        wishes = desired_automations(state)
        ours = await _ours(services, {step.name for step in steps}, services.repository.automations())

        async def one(step: Step) -> None:
            existing = ours.get(step.name)
            if step.action is Action.DELETE:
                if existing is not None:
                    await services.prefect.delete_automation(existing.id)
                services.writer.forget_automation(step.name)
                done(step)
                return
            wish = wishes[step.name]
            if existing is None:
                automation_id = await services.prefect.create_automation(wish.model_dump(mode="json"))
            else:
                automation_id = existing.id
                kept = {"enabled": existing.enabled, "actions": _with_ours(existing.actions, wish.actions)}
                update = wish.model_copy(update=kept).model_dump(mode="json", exclude_unset=True)
                await services.prefect.replace_automation(automation_id, update)
            services.writer.note_automation(step.name, automation_id)
            done(step)

        await run_concurrently(one, steps)


def _names(state: DesiredState, recorded: Iterable[str]) -> set[str]:
    """Return the names that automations of ours may have, also those that a killed apply has left off the record."""
    instances = {instance.spec.name for instance in state.instances} | set(state.deleted)
    models = instances - {i.spec.name for i in state.instances if not isinstance(i.spec, ModelSpec)}
    untouched = set(map(retraining_name, state.left_out))
    return {*recorded, *desired_automations(state), *map(retraining_name, models)} - untouched


async def _ours(services: Services, names: Collection[str], recorded: Mapping[str, UUID]) -> dict[str, Automation]:
    """Return our automations that are there: by the id on record or, after a crash, by name and tag."""
    wanted_ids = {recorded[name]: name for name in names if name in recorded}
    found = {wanted_ids[each.id]: each for each in await _read(services, "id", wanted_ids)}
    missing = [name for name in names if name not in found]
    return {each.name: each for each in await _read(services, "name", missing) if TAG in each.tags} | found


async def _read(services: Services, field: str, values: Iterable[object]) -> list[Automation]:
    found = await services.prefect.automations_with(field, values)
    return [Automation.model_validate(automation) for automation in found]


def _fields(automation: AutomationCore, wish: AutomationCore) -> Fields:
    """Return what of an automation is to be as wished; of its actions those that are ours."""
    trigger = automation.trigger.model_dump(mode="json", exclude={"id"})
    return {
        "name": automation.name,
        "description": automation.description,
        "tags": sorted(automation.tags),
        "trigger": {name: sorted(value) if isinstance(value, list) else value for name, value in trigger.items()},
        "actions": [_plain(ours) for ours in _needed(wish.actions) if _plain(ours) in map(_plain, automation.actions)],
    }


def _with_ours(existing: Sequence[ActionTypes], ours: Sequence[ActionTypes]) -> list[ActionTypes]:
    """Return the actions with ours among them, in the place of what somebody has made of them; others stay."""
    needed = _needed(ours)
    own = {_target(action) for action in needed}
    return [*needed, *(action for action in existing if _target(action) not in own)]


def _needed(ours: Sequence[ActionTypes]) -> list[ActionTypes]:
    """Return those of our actions that do something: the other is a place for the actions of people."""
    return [action for action in ours if not isinstance(action, DoNothing)]


def _target(action: ActionTypes) -> tuple[str, object]:
    """Return what an action does and to what, whatever its further settings are."""
    return action.type, getattr(action, "deployment_id", None)


def _plain(action: ActionTypes) -> dict[str, Any]:
    return action.model_dump(mode="json")
