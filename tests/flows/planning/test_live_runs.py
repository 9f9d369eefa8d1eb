"""Instances that are destroyed while a run of them is at work, on the real servers: told, waited for, fenced off."""

import asyncio
import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled, Running

from definitions.contract import FlowKind
from definitions.work.outcome import Outcome
from flows.dataset import refresh_rows
from flows.planning.planner import apply_plan
from flows.planning.resources import live_runs
from flows.planning.resources.resource import StepsRefused
from flows.running.context import Context
from flows.running.frame import Options, guarded_run
from instances.errors import InvalidSpec
from instances.specification.plugins import stores
from instances.specification.types import PARTS
from prefect_optaic import actions
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import described, said
from tests.flows.snapshot import snapshot, writes


async def at_work(lab: Lab, name: str, state: State[Any] | None = None) -> FlowRun:
    """Start a run that is at work in some other process."""
    run = await lab.start(name)
    await lab.client.set_flow_run_state(run.id, state or Running(), force=True)
    return run


async def destroy_scope(lab: Lab, *names: str, **fields: Any) -> dict[str, Any]:
    scope = await actions.destroy_scope(lab.services, tuple(lab.prefix + name for name in names), data=True)
    return vars(scope) | fields


async def problem(lab: Lab, **scope: Any) -> str:
    with writes(lab.services.prefect, lab.services.engine) as written, pytest.raises(InvalidSpec) as caught:
        await lab.bootstrap(**scope)
    assert written.nothing
    (only,) = caught.value.problems
    return only


def test_what_a_run_is_at_work_on_is_neither_destroyed_nor_pruned(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "ab"), *described(lab, "other"))
        await lab.bootstrap(manifest=specs)
        states: list[State[Any]] = [Running(), AwaitingRetry(scheduled_time=dt.datetime.now(dt.UTC))]
        for state in states:
            run = await at_work(lab, "ab", state)
            told = await problem(lab, **await destroy_scope(lab, "ab"))
            assert told.startswith(f"{lab.prefix}ab: its run {run.id.hex[:8]} is at work since ")
            assert told.endswith(" UTC. Wait until it has ended, or cancel it with --cancel")
            # Another one can go all the same.
            assert (await lab.plan(**await destroy_scope(lab, "other"))).plan.changes
            await lab.client.set_flow_run_state(run.id, Cancelled(), force=True)
        waiting = await lab.start("ab")  # what has not begun goes with its deployment
        await lab.bootstrap(**await destroy_scope(lab, "ab"))
        with pytest.raises(ObjectNotFound):
            await lab.client.read_flow_run(waiting.id)

    play(scenario)


def test_a_run_that_begins_after_the_plan_was_made_keeps_its_instance(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=described(lab, "ab"))
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        changeset = await lab.plan(**await destroy_scope(lab, "ab"))
        run = await at_work(lab, "ab")
        with pytest.raises(StepsRefused) as caught:
            await apply_plan(changeset, lab.services, lambda step: None)
        assert str(caught.value).startswith(
            f"optaic refused to delete the deployment refresh/{lab.prefix}ab: its run {run.id.hex[:8]} is at work since"
        )
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before

    play(scenario)


def test_a_run_is_cancelled_and_waited_for_when_that_is_asked_for(
    play: Play, stack: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=described(lab, "ab"))
        run = await at_work(lab, "ab")
        scope = await destroy_scope(lab, "ab", cancel=True)
        warnings = (await lab.plan(**scope)).plan.warnings
        assert any(f"its run {run.id.hex[:8]} is at work since" in each for each in warnings)
        with monkeypatch.context() as patched:  # no worker ends it
            patched.setattr(live_runs, "PATIENCE", dt.timedelta(seconds=1))
            with pytest.raises(StepsRefused, match=r"is cancelling since .* UTC; apply again when it has ended"):
                await lab.bootstrap(**scope)
        asked = (await lab.client.read_flow_run(run.id)).state
        assert asked is not None
        assert (asked.type, asked.message) == (StateType.CANCELLING, "Its instance is being destroyed.")

        async def as_a_worker_does() -> None:
            await asyncio.sleep(1)
            await lab.client.set_flow_run_state(run.id, Cancelled(), force=True)

        ending = asyncio.create_task(as_a_worker_does())
        plan = await lab.bootstrap(**scope)
        await ending
        assert f"delete deployment refresh/{lab.prefix}ab" in said(plan)
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert (left.blocks, left.rows, left.deployments) == ({}, {}, {})
        ended = await lab.client.read_flow_run(run.id)
        assert ended.state_type is StateType.CANCELLED

    play(scenario)


def interrupted(lab: Lab, meanwhile: Callable[[], Any]) -> Flow[..., Any]:
    """Return the flow of datasets, in whose work something else happens before it writes."""
    loop, done = asyncio.get_running_loop(), [False]

    def work(context: Context) -> Outcome:
        if not done[0]:
            done[0] = True
            asyncio.run_coroutine_threadsafe(meanwhile(), loop).result()
        return refresh_rows(context)

    async def refresh_interrupted(instance: str) -> State[None]:
        return await guarded_run(FlowKind.REFRESH, instance, work, Options())

    return Flow(refresh_interrupted, name="refresh", persist_result=False)


@pytest.mark.parametrize("made_again", [False, True])
def test_a_run_whose_instance_was_destroyed_behind_its_back_writes_nothing(
    play: Play, stack: Target, made_again: bool
) -> None:
    async def scenario(lab: Lab) -> None:
        specs = described(lab, "ab")
        await lab.bootstrap(manifest=specs)
        full = f"{lab.prefix}ab"
        services = lab.services
        applied = services.repository.applied([full])[full]
        (store,) = stores(applied, services.registry, services.resources)
        messages: list[str] = []

        async def destroyed() -> None:
            # By hand, so that nothing asks about the run.
            await services.prefect.delete_deployment(lab.deployment("ab"))
            services.writer.remove([full, *(f"{full}-{type_}" for type_ in PARTS.values())])
            if made_again:
                await lab.bootstrap()

        async def scene() -> None:
            state = await lab.execute(await lab.start("ab"), interrupted(lab, destroyed))
            messages.append(state.message or "")

        with suppress(Exception):  # Prefect can't set a state any more: the deployment holds the slot
            await scene()
        assert store.head() is None
        if made_again:
            assert services.repository.applied([full])[full].spec == specs[-1]
            assert (await lab.run("ab")).name == "Completed"
            assert store.head() is not None

    play(scenario)
