"""The cascade on the real server: one run of a child for each wave of its parents, whoever starts it."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelled

from definitions.contract import FlowKind
from definitions.work.outcome import Outcome
from flows.dataset import refresh, refresh_rows
from flows.running.context import Context
from flows.running.frame import Options, guarded_run
from flows.sweep import sweep
from instances.rules.flow_status import FlowStatus
from tests.flows.lab import Lab, Play

# The same flow without its hooks: what is left when a process is killed between its commit and its cascade.
CUT = Flow(refresh.fn, name=refresh.name, persist_result=False)
AT_MOST = 4  # runs at a time


async def execute_all(lab: Lab, runs: Iterable[FlowRun], flow: Flow[..., Any] = refresh) -> list[State[None]]:
    """Execute runs in an order that nobody knows, a few at a time."""
    slots = asyncio.Semaphore(AT_MOST)
    shuffled = list(runs)
    random.Random(7).shuffle(shuffled)

    async def one(run: FlowRun) -> State[None]:
        async with slots:
            return await lab.execute(run, flow)

    return await asyncio.gather(*(one(run) for run in shuffled))


def states(runs: Iterable[FlowRun]) -> Counter[str]:
    return Counter(run.state_name or "" for run in runs)


async def wave(lab: Lab, number: int, parents: list[str], flow: Flow[..., Any] = refresh) -> None:
    """Give every parent new data, let all be due at once, and execute them."""
    for parent in parents:
        lab.write(parent, {"2024-01-02": float(number)})
    due = [await lab.start(parent) for parent in parents]
    ended = await execute_all(lab, due, flow)
    assert {state.name for state in ended} == {"Completed"}


def test_a_diamond_runs_its_bottom_once_per_wave(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("top")
        await lab.signal("left", ["top"], "close + 1", type="dataset")
        await lab.signal("right", ["top"], "close + 2", type="dataset")
        prefix = lab.prefix.replace("-", "_")
        await lab.signal("bottom", ["left", "right"], f"{prefix}left_value + {prefix}right_value")
        await lab.bootstrap()
        for number in (1, 2, 3):
            await wave(lab, number, ["top"])
            sides = await lab.waiting("left", "right")
            assert len(sides) == 2
            await execute_all(lab, sides)
            (bottom,) = await lab.waiting("bottom")
            assert bottom.name.startswith(f"{lab.prefix}bottom.refresh 20")  # also as long as it waits
            assert {"default", "signal", "flow:refresh", f"instance:{lab.prefix}bottom"} <= set(bottom.tags)
            await lab.execute(bottom)
            assert lab.rows("bottom") == {"2024-01-02": 2.0 * number + 3}
        assert states(await lab.runs("bottom")) == {"Completed": 3}

    play(scenario)


@pytest.mark.parametrize("waves", [2, pytest.param(4, marks=pytest.mark.torture)])
@pytest.mark.parametrize("cut", [False, True], ids=["cascade", "cut off, sweep"])
def test_a_fan_in_of_twenty_runs_the_child_once_per_wave(play: Play, cut: bool, waves: int) -> None:
    async def scenario(lab: Lab) -> None:
        parents = [f"parent{number}" for number in range(20)]
        for parent in parents:
            await lab.source(parent)
        prefix = lab.prefix.replace("-", "_")
        await lab.signal("child", parents, " + ".join(f"{prefix}{parent}_close" for parent in parents))
        await lab.bootstrap()
        for number in range(1, waves + 1):
            await wave(lab, number, parents, CUT if cut else refresh)
            if cut:
                assert await lab.waiting("child") == []
                await sweep()
            (child,) = await lab.waiting("child")
            assert (await lab.execute(child, CUT if cut else refresh)).name == "Completed"
            assert lab.rows("child") == {"2024-01-02": 20.0 * number}
        assert states(await lab.runs("child")) == {"Completed": waves}
        assert (await lab.verdict("child")).status is FlowStatus.READY

    play(scenario)


def test_a_run_reads_its_inputs_at_the_versions_that_its_guard_pinned(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("parent", {"2024-01-02": 1.0})
        retry = {"retry_policy": {"max_retries": 1, "backoff": "0s"}}
        await lab.signal("child", ["parent"], "close * 10", schedule=retry)
        await lab.bootstrap()
        await lab.run("parent")
        (waiting,) = await lab.waiting("child")
        loop, attempts = asyncio.get_running_loop(), []

        def interrupted(context: Context) -> Outcome:
            """Let the parent refresh in the middle of the child's run, then fail; the second try does the work."""
            attempts.append(context)
            if len(attempts) == 1:
                lab.write("parent", {"2024-01-02": 5.0})
                parent = asyncio.run_coroutine_threadsafe(lab.run("parent"), loop).result()
                assert parent.message == "v1, 1 row up to 2024-01-02."
                raise ConnectionError("the first try is over")
            return refresh_rows(context)

        async def refresh_interrupted(instance: str) -> State[None]:
            return await guarded_run(FlowKind.REFRESH, instance, interrupted, Options())

        state = await lab.execute(waiting, Flow(refresh_interrupted, name="refresh", persist_result=False))
        assert state.type is StateType.COMPLETED
        assert len(attempts) == 2
        assert lab.rows("child") == {"2024-01-02": 10.0}  # of the pinned version, though the parent is at the next
        verdict = await lab.verdict("child")
        assert verdict.status is FlowStatus.STALE
        assert verdict.reason == f"it consumed {lab.prefix}parent v0, {lab.prefix}parent is at v1"

        await sweep()
        assert await lab.drain("child") == 1
        assert lab.rows("child") == {"2024-01-02": 50.0}

    play(scenario)


def test_a_run_blocked_with_refresh_asks_for_its_ancestors(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("middle", ["prices"], type="dataset", auto=False)
        await lab.signal("child", ["middle"], "value", on_stale="refresh", auto=False)
        await lab.bootstrap()
        blocked = await lab.run("child")
        assert blocked.name == "Blocked"
        assert (blocked.message or "").endswith(
            "Its upstream flows are asked for too, and it starts when they are ready."
        )
        for name in ("prices", "middle", "child"):
            (run,) = await lab.waiting(name)
            assert (await lab.execute(run)).name == "Completed"
        assert await lab.waiting("prices", "middle", "child") == []

    play(scenario)


def test_a_warned_run_goes_on_with_what_there_is(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("prices", "child")
        lab._file("prices").unlink()
        assert (await lab.run("prices")).type is StateType.FAILED
        warned = await lab.run("child", on_stale="warn")
        assert warned.type is StateType.COMPLETED

    play(scenario)


def test_a_cancelled_run_is_not_started_again_for_the_same_inputs(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("child", ["prices"])
        await lab.bootstrap()
        await lab.run("prices")
        (waiting,) = await lab.waiting("child")
        await lab.client.set_flow_run_state(waiting.id, Cancelled(message="not now"))
        await sweep()
        assert await lab.waiting("child") == []

        lab.write("prices", {"2024-01-02": 2.0})
        await lab.run("prices")
        assert await lab.drain("child") == 1

    play(scenario)


def test_a_blocked_run_is_no_failure_and_never_the_last_success(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("prices", "child")
        lab._file("prices").unlink()
        await lab.run("prices")
        before = await lab.verdict("child")
        blocked = await lab.run("child")
        assert not blocked.is_failed()
        assert not blocked.is_crashed()
        assert not blocked.is_completed()
        after = await lab.verdict("child")
        assert (after.status, after.evidence) == (before.status, before.evidence)

    play(scenario)
