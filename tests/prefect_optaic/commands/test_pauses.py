"""`optaic pause` and `resume`, and what is told of a sweep that does not run, as they are called."""

import asyncio
import datetime as dt
import json
import time
from pathlib import Path

from prefect import State, get_client
from prefect.states import Completed, Failed

from flows.integrations.services import opened
from flows.reading.standstill_reader import read_standstills, read_sweep
from flows.sweep import KEPT, _keep_few
from instances.rules.standstills import SweepFacts
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play
from tests.prefect_optaic.command_line import done, optaic
from tests.prefect_optaic.commands.test_changes import manifest, prefix

__all__ = ["prefix"]


def paused(deployment: str) -> tuple[bool, bool]:
    """Return whether a deployment is paused, and whether one of its schedules is."""

    async def read() -> tuple[bool, bool]:
        async with get_client() as client:
            found = await client.read_deployment_by_name(deployment)
            return found.paused, any(not schedule.active for schedule in found.schedules)

    return asyncio.run(read())


def set_schedules(deployment: str, *, active: bool) -> None:
    async def work() -> None:
        async with get_client() as client:
            found = await client.read_deployment_by_name(deployment)
            for schedule in found.schedules:
                await client.update_deployment_schedule(found.id, schedule.id, active=active)

    asyncio.run(work())


def test_a_pause_outlives_applies_until_it_is_taken_back(tmp_path: Path, prefix: str) -> None:
    done("apply", manifest(tmp_path, prefix))
    assert done("pause", f"{prefix}-prices") == (
        f"✓ {prefix}-prices.refresh is paused: neither its schedule nor the cascade starts it; an apply leaves it so\n"
    )
    assert done("pause", f"{prefix}-prices", "refresh") == f"✓ {prefix}-prices.refresh is paused already\n"
    assert "0 to update" in done("plan", manifest(tmp_path, prefix))
    done("apply", manifest(tmp_path, prefix, description="Other prices."))
    assert paused(f"refresh/{prefix}-prices") == (True, False)
    assert "its deployment is paused" in done("why", f"{prefix}-prices")
    assert done("resume", f"{prefix}-prices") == f"✓ {prefix}-prices.refresh is resumed\n"
    assert done("resume", f"{prefix}-prices") == f"✓ {prefix}-prices.refresh was not paused\n"
    assert paused(f"refresh/{prefix}-prices") == (False, False)


def test_a_schedule_that_was_paused_in_the_ui_is_resumed_too(tmp_path: Path, prefix: str) -> None:
    done("apply", manifest(tmp_path, prefix))
    set_schedules(f"refresh/{prefix}-signal", active=False)
    assert done("resume", f"{prefix}-signal") == f"✓ {prefix}-signal.refresh is resumed\n"
    assert paused(f"refresh/{prefix}-signal") == (False, False)


def test_a_flow_that_does_not_exist_can_not_be_paused(tmp_path: Path, prefix: str) -> None:
    done("apply", manifest(tmp_path, prefix))
    assert optaic("pause", f"{prefix}-price").stderr.startswith(f"error: there is no instance named '{prefix}-price'")
    assert optaic("pause", f"{prefix}-prices", "train").returncode == 1
    assert paused(f"refresh/{prefix}-prices") == (False, False)


def test_all_commands_tell_of_a_sweep_that_does_not_run(tmp_path: Path, prefix: str) -> None:
    done("apply", manifest(tmp_path, prefix))  # the fixture has paused the schedule of the sweep
    reason = ": its schedule is paused, or gone"
    for command in (["status"], ["why", f"{prefix}-prices"], ["stack"], ["plan"]):
        told = optaic(*command)
        assert "warning: the sweep has n" in told.stdout, told
        assert reason in told.stdout
    as_json = optaic("status", "--json")
    assert json.loads(as_json.stdout)
    assert reason in as_json.stderr
    assert any(reason in warning for warning in json.loads(optaic("plan", "--json").stdout)["warnings"])


def test_a_sweep_that_has_run_is_known_by_its_installation(prefix: str) -> None:
    async def swept() -> tuple[SweepFacts, SweepFacts]:
        async with opened() as services, get_client() as client:
            deployment = await client.read_deployment_by_name("sweep/sweep")
            begun = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5)
            run = await client.create_flow_run_from_deployment(deployment.id)
            deadline = time.monotonic() + 100
            while not (seen := await client.read_flow_run(run.id)).state.is_final():  # type: ignore[union-attr]
                assert time.monotonic() < deadline
                await asyncio.sleep(0.5)
            assert seen.name.startswith("sweep 20")
            now = dt.datetime.now(dt.UTC)
            ours = await read_sweep(services.prefect, services.owner_tag, now)
            assert ours.swept_at is not None
            assert ours.swept_at > begun
            return ours, await read_sweep(services.prefect, "optaic-0123456789ab", now)

    ours, theirs = asyncio.run(swept())
    assert (ours.deployed, ours.paused, ours.scheduled) == (True, False, False)
    assert ours.for_others_at is None
    assert (theirs.swept_at, theirs.for_others_at) == (None, ours.swept_at)


def test_a_pool_without_a_worker_is_told_of(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.bootstrap()
        pools = {flow.work_pool for flow in (await lab.world()).values() if flow.label.startswith(lab.prefix)}
        now = dt.datetime.now(dt.UTC)
        found = await read_standstills(lab.services, [*pools, "optaic", "not-there"], now)
        assert {name: pool.sentence(now) for name, pool in found.pools.items()} == {
            "served-by-no-worker": "the work pool 'served-by-no-worker' has never had a worker",
            "not-there": "the work pool 'not-there' is not there",
        }

    play(scenario)


def test_only_the_oldest_of_its_own_completed_runs_go(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        flow_id = await lab.client.create_flow_from_name("sweep")
        own, others = [
            await lab.client.create_deployment(flow_id=flow_id, name=f"{lab.prefix}{name}")
            for name in ("own", "others")
        ]
        for number in range(KEPT + 3):
            for deployment in (own, others):
                ended: State[None] = Failed() if number < 2 else Completed(message=str(number))
                await lab.client.create_flow_run_from_deployment(deployment, state=ended)
        await _keep_few(lab.services.prefect, own)

        async def left(deployment: object) -> list[str]:
            page = await lab.services.prefect.runs([deployment], {}, sort="END_TIME_DESC")  # type: ignore[list-item]
            return [run["state"]["message"] or "" for run in page.entries]

        assert sorted(await left(own)) == sorted(["", "", *(str(number) for number in range(3, KEPT + 3))])
        assert len(await left(others)) == KEPT + 3

    play(scenario)


def test_the_stack_is_well_only_with_its_servers(stack: Target) -> None:
    assert optaic("stack").returncode == 0
