"""What people delete, set by hand or ask for in vain, and how the cascade repairs it."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest
from prefect.client.schemas.objects import StateType
from prefect.states import Completed

import flows.integrations.services
from flows.integrations.platform_reader import NoPlatform
from flows.integrations.prefect_api import PrefectApi
from flows.running.run_starter import start_due
from flows.sweep import sweep
from instances.rules.cascade import Hold, Start
from instances.rules.flow_status import FlowStatus
from instances.specification.platform_settings import PlatformSettings
from instances.world.facts import FlowId
from tests.flows.lab import Lab, Play


async def prices_and_child(lab: Lab, **fields: Any) -> None:
    await lab.source("prices")
    await lab.signal("child", ["prices"], **fields)
    await lab.bootstrap()


def flow_id(lab: Lab, name: str) -> FlowId:
    return lab.services.repository.flow(lab.prefix + name, "refresh").flow_id


def ask_for(lab: Lab, name: str, parameters: Mapping[str, Any]) -> None:
    ledger = lab.services.ledger
    ledger.request([flow_id(lab, name)], parameters=parameters, run_id=None, now=dt.datetime.now(dt.UTC))


def requests(lab: Lab, *names: str) -> set[str]:
    """Return which of these instances are asked for."""
    ids = {flow_id(lab, name): name for name in names}
    return {ids[at] for at in lab.services.ledger.open_requests(list(ids))}


def test_a_deployment_made_anew_is_started_again(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await prices_and_child(lab)
        await lab.run("prices")
        assert await lab.drain("child") == 1
        old = lab.deployment("child")
        await lab.client.delete_deployment(old)
        assert (await lab.verdict("child")).status is FlowStatus.NOT_INITIALIZED
        await sweep()

        await lab.bootstrap()
        assert lab.deployment("child") != old
        await sweep()
        await sweep()
        (run,) = await lab.waiting("child")
        assert (await lab.execute(run)).type is StateType.COMPLETED
        assert (await lab.verdict("child")).status is FlowStatus.READY

    play(scenario)


def test_a_waiting_run_that_was_deleted_is_started_again(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await prices_and_child(lab)
        await lab.run("prices")
        (waiting,) = await lab.waiting("child")
        await sweep()
        assert [run.id for run in await lab.waiting("child")] == [waiting.id]
        await lab.client.delete_flow_run(waiting.id)
        await sweep()
        await sweep()
        (again,) = await lab.waiting("child")
        assert again.id != waiting.id
        assert (await lab.execute(again)).type is StateType.COMPLETED

    play(scenario)


def test_a_start_that_prefect_refuses_keeps_no_other_from_starting(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        for name in ("first", "second", "third"):
            await lab.source(name, auto=False)
        await lab.bootstrap()
        ask_for(lab, "first", {})
        ask_for(lab, "second", {"on_stale": "no such way"})
        ask_for(lab, "third", {"everything": True})
        looked = await start_due(lab.services, [flow_id(lab, name) for name in ("first", "second", "third")])
        assert all(isinstance(decision, Start) for decision in looked.decisions)
        assert set(looked.failed) == {flow_id(lab, "second")}
        assert set(looked.started) == {flow_id(lab, "first"), flow_id(lab, "third")}
        assert requests(lab, "first", "second", "third") == {"first", "third"}
        assert len(await lab.waiting("first", "third")) == 2
        assert await lab.waiting("second") == []
        again = await start_due(lab.services, [flow_id(lab, "second")])
        assert isinstance(again.decisions[0], Hold)

    play(scenario)


def test_a_run_that_fails_before_its_guard_is_tried_again(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_platform(prefect: PrefectApi) -> PlatformSettings:
        await asyncio.sleep(0)
        raise NoPlatform("nowhere")

    async def scenario(lab: Lab) -> None:
        await prices_and_child(lab)
        await lab.run("prices")
        for attempt in range(1, 4):
            (waiting,) = await lab.waiting("child")
            with monkeypatch.context() as patched:
                patched.setattr(flows.integrations.services, "read_platform", no_platform)
                failed = await lab.execute(waiting)
            assert failed.type is StateType.FAILED
            verdict = await lab.verdict("child")
            assert verdict.status is FlowStatus.ERROR
            assert "no Platform block named 'nowhere'" in verdict.reason
            await sweep()
            assert len(await lab.waiting("child")) == (attempt < 3)
        (left,) = (await start_due(lab.services, [flow_id(lab, "child")])).decisions
        assert left.reason.startswith("it has crashed 3 times in a row; run it by hand")
        assert (await lab.run("child")).type is StateType.COMPLETED

    play(scenario)


def test_a_run_called_completed_by_hand_left_nothing_that_counts(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await prices_and_child(lab, expression="no_such_column")
        await lab.run("prices")
        (waiting,) = await lab.waiting("child")
        assert (await lab.execute(waiting)).type is StateType.FAILED
        await lab.client.set_flow_run_state(waiting.id, Completed(message="it is fine"), force=True)
        verdict = await lab.verdict("child")
        assert verdict.status is FlowStatus.UNKNOWN
        assert verdict.reason.endswith("but recorded nothing that it left")
        await sweep()
        assert await lab.waiting("child") == []
        # A run by hand does not skip, though the inputs and the configuration are the same.
        assert (await lab.run("child")).type is StateType.FAILED

    play(scenario)


def test_a_forced_run_with_nothing_to_read_fails_and_says_of_what(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await prices_and_child(lab)
        state = await lab.run("child", force=True)
        assert state.type is StateType.FAILED
        assert state.message == f"There is no version to read of {lab.prefix}prices.refresh. Run that first."

    play(scenario)
