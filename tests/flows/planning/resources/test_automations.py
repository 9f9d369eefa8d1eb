"""The automations that bootstrap owns, on the real server: they fire when they should, and people may change them."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psutil
from prefect import State, get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.events import emit_event
from prefect.events.actions import ChangeFlowRunState, DoNothing, RunDeployment
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger
from prefect.events.schemas.events import ResourceSpecification
from prefect.settings.models.flows import FlowsSettings
from prefect.states import AwaitingRetry, Completed, Running
from prefect.workers.process import ProcessWorker

from flows.planning.resources.automations import SILENT_AFTER, common_automations
from flows.running.events import OVERDUE, OverdueFlow, emit_overdue
from flows.running.stuck_runs import HEARTBEAT
from flows.sweep import sweep
from instances.plans.plan import Action
from instances.rules.deadlines import missed_deadline
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play

SILENT, MISSED = common_automations()
WITHIN = timedelta(seconds=10)
T = TypeVar("T")

SLEEPER = """
import asyncio
from prefect import flow

@flow
async def sleeper() -> None:
    await asyncio.sleep(600)
"""


async def until(look: Callable[[], Awaitable[T | None]], seconds: float = 60) -> T:
    """Return the first thing that a look finds."""
    end = time.monotonic() + seconds
    while (found := await look()) is None:
        assert time.monotonic() < end, f"nothing within {seconds} seconds"
        await asyncio.sleep(0.3)
    return found


async def events(client: PrefectClient, **wanted: Any) -> list[dict[str, Any]]:
    response = await client.request("POST", "/events/filter", json={"limit": 50, "filter": wanted})
    found: list[dict[str, Any]] = response.json()["events"]
    return found


async def one_event(client: PrefectClient, **wanted: Any) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found = await events(client, **wanted)
        return found[0] if found else None

    return await until(look)


# Runs without a heartbeat


def test_a_run_may_miss_two_heartbeats_before_it_counts_as_dead() -> None:
    assert timedelta(seconds=3 * FlowsSettings.model_fields["heartbeat_frequency"].default) < SILENT_AFTER


def test_a_run_that_died_with_its_worker_is_ended_and_no_other(stack: Target, tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)

    async def main() -> None:
        async with get_client() as client:
            deployment = await deployed(client, tmp_path)
            automation = await client.create_automation(impatient(deployment))
            try:
                later: State[None] = AwaitingRetry(scheduled_time=datetime.now(UTC) + timedelta(hours=1))
                waits = await run_without_process(client, deployment, later)
                done = await run_without_process(client, deployment, Completed(name="Skipped"), late=True)
                died = await kill_with_its_worker(client, deployment)

                async def ended() -> str | None:
                    state = await state_of(client, died)
                    return state.message if state.is_crashed() else None

                assert await until(ended) == "Its process has sent no heartbeat for 10 minutes."
                await asyncio.sleep(1)  # the others, with older heartbeats, would have been ended before or with it
                assert (await state_of(client, waits)).name == "AwaitingRetry"
                assert (await state_of(client, done)).name == "Skipped"
            finally:
                await client.delete_automation(automation)

    asyncio.run(main())


async def deployed(client: PrefectClient, folder: Path) -> UUID:
    pool = f"dies-{uuid4().hex[:6]}"
    template = ProcessWorker.get_default_base_job_template()
    await client.create_work_pool(WorkPoolCreate(name=pool, type="process", base_job_template=template))
    return await client.create_deployment(
        flow_id=await client.create_flow_from_name("sleeper"),
        name=pool,
        entrypoint="sleeper.py:sleeper",
        tags=["optaic"],
        work_pool_name=pool,
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}],
    )


def impatient(deployment: UUID) -> AutomationCore:
    """Return bootstrap's automation, but for less patience, and for the runs of one deployment only."""
    automation = common_automations()[SILENT]
    assert isinstance(automation.trigger, EventTrigger)
    of_deployment = ResourceSpecification(
        {"prefect.resource.role": "deployment", "prefect.resource.id": f"prefect.deployment.{deployment}"}
    )
    assert isinstance(automation.trigger.match_related, ResourceSpecification)
    both = [automation.trigger.match_related, of_deployment]
    trigger = automation.trigger.model_copy(update={"within": WITHIN, "match_related": both})
    return automation.model_copy(update={"name": f"impatient {deployment}", "trigger": trigger})


async def kill_with_its_worker(client: PrefectClient, deployment: UUID) -> UUID:
    """Let a worker start a run, and end both with SIGKILL after the run's first heartbeat."""
    pool = (await client.read_deployment(deployment)).work_pool_name
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", str(pool), "--type", "process"],
        env=os.environ | {"PREFECT_WORKER_QUERY_SECONDS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        run = await client.create_flow_run_from_deployment(deployment)
        beat = await one_event(client, event={"name": [HEARTBEAT]}, resource={"id": [f"prefect.flow-run.{run.id}"]})
        assert "prefect.tag.optaic" in [related["prefect.resource.id"] for related in beat["related"]]
    finally:
        for process in [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]:
            process.kill()
        worker.wait()
    assert (await state_of(client, run.id)).is_running()
    return run.id


async def run_without_process(
    client: PrefectClient, deployment: UUID, state: State[Any], *, late: bool = False
) -> UUID:
    """Make a run that sends one heartbeat and comes to `state`; `late` when its heartbeat arrives after that."""
    run = await client.create_flow_run_from_deployment(deployment)
    await client.set_flow_run_state(run.id, Running(), force=True)
    if late:
        await client.set_flow_run_state(run.id, state, force=True)
    related = [
        {"prefect.resource.id": f"prefect.deployment.{deployment}", "prefect.resource.role": "deployment"},
        {"prefect.resource.id": "prefect.tag.optaic", "prefect.resource.role": "tag"},
    ]
    beat = emit_event(HEARTBEAT, resource={"prefect.resource.id": f"prefect.flow-run.{run.id}"}, related=related)
    assert beat is not None
    await one_event(client, id={"id": [str(beat.id)]})
    if not late:
        await client.set_flow_run_state(run.id, state, force=True)
    return run.id


async def state_of(client: PrefectClient, run: UUID) -> State[Any]:
    state = (await client.read_flow_run(run)).state
    assert state is not None
    return state


# Missed deadlines


def test_a_missed_deadline_is_told_once_and_fires_the_automation_once(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices", {"2024-01-02": 1.0}, freshness={"max_age": "1d"})
        await lab.bootstrap()
        assert (await overdue(lab, "prices")) is None
        await lab.run("prices")
        await sweep()

        found = await overdue(lab, "prices")
        assert found is not None
        event = await one_event(lab.client, id={"id": [str(found.event_id)]})
        assert event["event"] == OVERDUE
        assert event["resource"] == {
            "prefect.resource.id": f"optaic.flow.{found.flow.flow_id}",
            "prefect.resource.name": f"{lab.prefix}prices.refresh",
            "optaic.instance": f"{lab.prefix}prices",
            "optaic.kind": "refresh",
        }
        assert event["related"][0]["prefect.resource.id"] == f"prefect.deployment.{lab.deployment('prices')}"
        assert event["payload"] == {
            "due": "2024-01-04T00:00:00+00:00",
            "reason": "its data ends at 2024-01-02, more than 1 day ago",
        }

        assert await emit_overdue(lab.services.prefect, [found.flow], datetime.now(UTC)) == ()
        found.emit()  # as two sweeps at once would
        await sweep()
        await asyncio.sleep(3)
        assert len(await firings(lab.client, event["id"])) == 1

    play(scenario)


async def overdue(lab: Lab, name: str) -> OverdueFlow | None:
    world = await lab.world()
    flow = world[lab.services.repository.flow(lab.prefix + name, "refresh").flow_id]
    missed = missed_deadline(flow, datetime.now(UTC))
    return OverdueFlow(flow, missed) if missed else None


async def firings(client: PrefectClient, event_id: str) -> list[dict[str, Any]]:
    """Return the events by which Prefect says that our automation was triggered by an event."""
    automation = await ours(client, MISSED)
    wanted = {"event": {"name": ["prefect.automation.triggered"]}}
    found = await events(client, **wanted, resource={"id": [f"prefect.automation.{automation.id}"]})
    return [each for each in found if f"prefect.event.{event_id}" in str(each["related"])]


# Changes by people


def test_an_apply_repairs_the_trigger_and_keeps_the_pause_and_the_actions_of_people(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.bootstrap()
        before = await ours(lab.client, MISSED)
        own = RunDeployment(source="selected", deployment_id=lab.deployment("prices"))
        trigger = before.trigger
        assert isinstance(trigger, EventTrigger)
        edited = AutomationCore(
            name=before.name,
            description=before.description,
            tags=before.tags,
            enabled=False,
            trigger=trigger.model_copy(update={"threshold": 3}),
            actions=[DoNothing(), own],
        )
        await lab.client.update_automation(before.id, edited)
        try:
            (step,) = (await lab.plan()).plan.of("automation")
            assert (step.name, step.action) == (MISSED, Action.UPDATE)
            assert [(c.field, c.before, c.after) for c in step.changes] == [("trigger.threshold", 3, 1)]
            await lab.bootstrap()

            after = await ours(lab.client, MISSED)
            assert isinstance(after.trigger, EventTrigger)
            assert (after.id, after.enabled, after.trigger.threshold) == (before.id, False, 1)
            assert [type(action) for action in after.actions] == [DoNothing, RunDeployment]
            assert (await lab.plan()).plan.of("automation") == ()
        finally:
            await lab.client.delete_automation(before.id)

    play(scenario)


def test_an_apply_puts_our_own_action_and_name_back_beside_what_people_added(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.bootstrap()
        before = await ours(lab.client, SILENT)
        own = RunDeployment(source="selected", deployment_id=lab.deployment("prices"))
        edits: dict[str, dict[str, Any]] = {
            "actions": {"actions": [DoNothing(), own]},
            "name": {"name": "mine"},
            "actions, ours by half": {"actions": [ChangeFlowRunState(state=StateType.FAILED), own]},
        }
        for field, edit in edits.items():
            edited = AutomationCore.model_validate(
                before.model_dump(include=set(AutomationCore.model_fields) - {"owner_resource"}) | edit
            )
            await lab.client.update_automation(before.id, edited)
            (step,) = (await lab.plan()).plan.of("automation")
            assert (step.name, step.action) == (SILENT, Action.UPDATE)
            assert [change.field for change in step.changes] == [field.partition(",")[0]]
            await lab.bootstrap()
            after = await ours(lab.client, SILENT)
            assert (after.id, after.actions[0]) == (before.id, before.actions[0])
            assert [own in after.actions, len(after.actions)] == {
                "actions": [True, 3], "name": [False, 1], "actions, ours by half": [True, 2]
            }[field]  # fmt: skip
            assert (await lab.plan()).plan.of("automation") == ()

    play(scenario)


async def ours(client: PrefectClient, name: str) -> Automation:
    (automation,) = await client.read_automations_by_name(name)
    return automation
