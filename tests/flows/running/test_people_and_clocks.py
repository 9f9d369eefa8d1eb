"""What people, clocks and retention do to runs, on the real server: what is judged of it stays right."""

import asyncio
import datetime as dt
import io
from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Crashed, Failed, Running, Scheduled
from rich.console import Console

from definitions.contract import FlowKind
from definitions.work.outcome import Outcome
from flows.dataset import refresh, refresh_rows
from flows.running.context import Context
from flows.running.frame import Options, guarded_run
from flows.sweep import sweep
from instances.rules.deadlines import missed_deadline
from instances.rules.flow_status import FlowStatus
from instances.world.facts import FlowFacts, RunId
from prefect_optaic.actions import withdraw
from prefect_optaic.show import requests_table
from tests.flows.lab import Lab, Play
from tests.instances.sample_world import hours, minutes

# The same flow without its hooks: what is left when a process is killed between its commit and its cascade.
CUT = Flow(refresh.fn, name=refresh.name, persist_result=False)


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


async def facts(lab: Lab, name: str) -> FlowFacts:
    return (await lab.world())[lab.flow_id(name)]


async def version(lab: Lab, name: str) -> str | None:
    completed = (await facts(lab, name)).completed
    return completed.provenance.version if completed is not None and completed.provenance is not None else None


async def due(lab: Lab, name: str, ago: dt.timedelta, **parameters: Any) -> FlowRun:
    """Create a run that was due some time ago, as a tick is while no worker is there."""
    state: State[Any] = Scheduled(scheduled_time=now() - ago)
    return await lab.client.create_flow_run_from_deployment(lab.deployment(name), state=state, parameters=parameters)


# Late runs


def test_one_run_does_for_all_that_were_due_before_it(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("child", ["prices"])
        await lab.bootstrap()
        late = [await due(lab, "prices", hours(n)) for n in range(14, 0, -1)]
        more = await due(lab, "prices", hours(2), everything=True)
        assert (await lab.execute(late[0])).name == "Completed"
        ended = {run.id: run for run in await lab.runs("prices")}
        for run in late[1:]:
            assert ended[run.id].state_name == "Skipped"
            state = ended[run.id].state
            assert state is not None
            assert f"run {late[0].id.hex[:8]} has begun since, and completed at" in (state.message or "")
        assert (await lab.verdict("prices")).status is FlowStatus.RUNNING  # what was asked for more is still to be done
        assert (await lab.execute(more)).name == "Completed"
        verdict = await lab.verdict("prices")
        assert (verdict.status, verdict.evidence) == (FlowStatus.READY, more.id)
        assert len(await lab.waiting("child")) == 1

    play(scenario)


def test_a_late_run_that_a_worker_has_taken_finds_out_by_itself(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.bootstrap()
        late = await due(lab, "prices", hours(1))
        tick = await lab.start("prices")
        assert (await lab.execute(tick, CUT)).name == "Completed"
        assert (await lab.verdict("prices")).status is FlowStatus.READY
        lab._file("prices").unlink()  # the source is not asked
        skipped = await lab.execute(late, CUT)
        assert (skipped.name, (skipped.message or "").partition(":")[0][:10]) == ("Skipped", "It was due")
        verdict = await lab.verdict("prices")
        assert (verdict.status, verdict.evidence) == (FlowStatus.READY, tick.id)
        assert lab.services.ledger.provenance([RunId(late.id)]) == {}
        now_due = await lab.start("prices")
        assert (await lab.execute(now_due, CUT)).name == "Failed"

    play(scenario)


# Deleted runs


def test_a_run_that_was_deleted_leaves_its_version(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("child", ["prices"])
        await lab.bootstrap()
        for number in (1.0, 2.0):
            lab.write("prices", {"2024-01-02": number})
            await lab.run("prices")
            await lab.drain("child")
        skipped = await lab.run("child")
        assert skipped.name == "Skipped"
        before = {name: (await version(lab, name), (await lab.verdict(name)).status) for name in ("prices", "child")}
        assert {status for _, status in before.values()} == {FlowStatus.READY}
        for run in reversed(await lab.runs("prices", "child")):
            await lab.client.delete_flow_run(run.id)
            after = {name: (await version(lab, name), (await lab.verdict(name)).status) for name in before}
            assert after == before
        assert await lab.runs("prices", "child") == []
        await sweep()
        assert await lab.waiting("prices", "child") == []  # nothing is newer
        completed = (await facts(lab, "child")).completed
        assert completed is not None
        assert completed.skipped  # what it has confirmed counts by its row
        assert (await lab.run("child")).name == "Skipped"

    play(scenario)


def test_a_run_that_failed_after_one_that_was_deleted_still_decides(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.bootstrap()
        await lab.run("prices")
        (completed,) = await lab.runs("prices")
        lab._file("prices").unlink()
        await lab.run("prices")
        await lab.client.delete_flow_run(completed.id)
        assert (await lab.verdict("prices")).status is FlowStatus.ERROR
        assert await version(lab, "prices") is not None

    play(scenario)


# Schedules


def test_a_schedule_that_is_applied_after_its_tick_owes_the_next_one(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.bootstrap()
        await lab.run("prices")
        tick = now() - minutes(1)
        schedule = {"type": "cron", "expression": f"{tick.minute} {tick.hour} * * *"}
        policy: dict[str, Any] = {"schedule": schedule, "freshness": {"grace": "0s"}}
        await lab.source("prices", **policy)
        await lab.bootstrap()
        assert (await lab.verdict("prices")).status is FlowStatus.READY
        found = await facts(lab, "prices")
        assert missed_deadline(found, now()) is None
        assert found.policy.clock_since is not None
        await lab.source("prices", **policy, description="Daily closes.")
        await lab.bootstrap()
        assert (await facts(lab, "prices")).policy.clock_since == found.policy.clock_since

    play(scenario)


# Cancels


def test_a_cancel_before_the_claim_holds_until_something_is_newer(play: Play) -> None:
    """The run was created by a person, and cancelled before a worker took it: it has no fingerprint."""

    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("child", ["prices"], auto=False)
        await lab.bootstrap()
        await lab.run("prices")
        run = await lab.start("child")
        await lab.client.set_flow_run_state(run.id, Cancelled(message="not now"))
        await lab.signal("child", ["prices"], description="Kept ready from now on.")
        await lab.bootstrap()
        await sweep()
        assert await lab.waiting("child") == []
        await lab.run("prices")  # which has nothing new
        await sweep()
        assert await lab.waiting("child") == []
        await lab.signal("child", ["prices"], "close * 2")
        await lab.bootstrap()
        await sweep()
        assert len(await lab.waiting("child")) == 1

    play(scenario)


# Crashes


async def crash(lab: Lab, run: FlowRun) -> None:
    """Let a run end as one does whose process is killed."""
    await lab.client.set_flow_run_state(run.id, Running(), force=True)
    await lab.client.set_flow_run_state(run.id, Crashed(message="killed"), force=True)


def test_the_retry_after_a_crash_does_all_that_the_run_was_asked_for(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices", {"2024-01-02": 1.0, "2024-01-03": 2.0}, auto=True)
        await lab.bootstrap()
        assert await lab.drain("prices") == 0
        await lab.run("prices")
        lab.write("prices", {"2024-01-03": 2.0})  # a row was withdrawn at the source
        assert ((await lab.run("prices")).message or "").endswith("nothing new.")
        everything = await lab.start("prices", everything=True)
        await crash(lab, everything)
        await sweep()
        (retry,) = await lab.waiting("prices")
        assert retry.parameters["everything"] is True
        await lab.execute(retry)
        assert lab.rows("prices") == {"2024-01-03": 2.0}

    play(scenario)


def test_a_streak_of_crashes_is_over_when_the_configuration_has_changed(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("child", ["prices"])
        await lab.bootstrap()
        await lab.run("prices")
        for _ in range(3):
            (waiting,) = await lab.waiting("child")
            await crash(lab, waiting)
            await sweep()
        assert await lab.waiting("child") == []
        await lab.signal("child", ["prices"], "close + 1")
        await lab.bootstrap()
        await sweep()
        assert await lab.drain("child") == 1
        assert (await lab.verdict("child")).status is FlowStatus.READY

    play(scenario)


# Retries


def test_every_attempt_of_a_run_uses_the_configuration_that_its_guard_wrote_down(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        retry: dict[str, Any] = {"schedule": {"retry_policy": {"max_retries": 1, "backoff": "0s"}}}
        await lab.source("prices", {"2024-01-02": 1.0}, **retry)
        await lab.bootstrap()
        lab.write("other", {"2024-01-02": 7.0})
        loop, attempts = asyncio.get_running_loop(), 0

        async def point_elsewhere() -> None:
            await lab.describe("prices", "dataset", "csv", {"path": str(lab._file("other"))}, **retry)
            await lab.bootstrap()

        def interrupted(context: Context) -> Outcome:
            """Let the path be changed and applied in the middle of the run, then fail; the second try does the work."""
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                asyncio.run_coroutine_threadsafe(point_elsewhere(), loop).result()
                raise ConnectionError("the first try is over")
            return refresh_rows(context)

        async def refresh_interrupted(instance: str) -> State[None]:
            return await guarded_run(FlowKind.REFRESH, instance, interrupted, Options())

        run = await lab.start("prices")
        state = await lab.execute(run, Flow(refresh_interrupted, name="refresh", persist_result=False))
        assert (state.name, attempts) == ("Completed", 2)
        assert lab.rows("prices") == {"2024-01-02": 1.0}
        verdict = await lab.verdict("prices")
        assert verdict.status is FlowStatus.STALE
        assert verdict.reason == "its configuration has changed since its last completed run"
        await lab.run("prices")
        assert lab.rows("prices") == {"2024-01-02": 7.0}

    play(scenario)


def test_a_run_that_is_retried_in_the_ui_goes_on_as_it_was_admitted(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices", {"2024-01-02": 1.0})
        await lab.bootstrap()
        lab._file("prices").rename(lab._file("away"))
        run = await lab.start("prices")
        assert (await lab.execute(run)).name == "Failed"
        lab._file("away").rename(lab._file("prices"))
        lab.write("other", {"2024-01-02": 7.0})
        await lab.describe("prices", "dataset", "csv", {"path": str(lab._file("other"))})
        await lab.bootstrap()
        assert (await lab.retry(run)).name == "Completed"
        assert lab.rows("prices") == {"2024-01-02": 1.0}
        assert (await lab.verdict("prices")).status is FlowStatus.STALE

    play(scenario)


def test_a_run_that_another_one_has_overtaken_is_judged_anew(play: Play) -> None:
    """Else its old inputs would take the place of the newer ones."""

    async def scenario(lab: Lab) -> None:
        await lab.source("prices", {"2024-01-02": 1.0})
        await lab.signal("child", ["prices"], auto=False)
        await lab.bootstrap()
        await lab.run("prices")
        first = await lab.start("child")

        async def broken(instance: str) -> State[None]:
            def fail(context: Context) -> Outcome:
                raise ConnectionError("not now")

            return await guarded_run(FlowKind.REFRESH, instance, fail, Options())

        assert (await lab.execute(first, Flow(broken, name="refresh", persist_result=False))).name == "Failed"
        lab.write("prices", {"2024-01-02": 2.0})
        await lab.run("prices")
        await lab.run("child")
        assert lab.rows("child") == {"2024-01-02": 2.0}
        assert (await lab.retry(first)).name == "Skipped"
        assert lab.rows("child") == {"2024-01-02": 2.0}

    play(scenario)


def test_a_blocked_run_that_is_retried_is_asked_for_anew(play: Play) -> None:
    """It ends twice: under the claim of its first end nothing would ever start again."""

    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("child", ["prices"], auto=False)
        await lab.bootstrap()
        run = await lab.start("child")
        assert (await lab.execute(run)).name == "Blocked"
        await lab.run("prices")
        (asked_for,) = await lab.waiting("child")
        await lab.client.set_flow_run_state(asked_for.id, Failed(message="by a person"), force=True)
        lab._file("prices").rename(lab._file("away"))
        await lab.run("prices")
        assert (await lab.retry(run)).name == "Blocked"
        lab._file("away").rename(lab._file("prices"))
        await lab.run("prices")
        await sweep()
        assert await lab.drain("child") == 1
        assert (await lab.verdict("child")).status is FlowStatus.READY

    play(scenario)


def test_a_request_can_be_seen_and_taken_back(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("child", ["prices"], auto=False)
        await lab.bootstrap()
        assert (await lab.run("child", everything=True)).name == "Blocked"
        world = await lab.world()
        asked_for = world[lab.flow_id("child")]
        out = io.StringIO()
        Console(file=out, width=200).print(requests_table([asked_for], world, now()))
        line = out.getvalue().splitlines()[1]
        assert line.startswith(f"{lab.prefix}child.refresh")
        assert "everything=True" in line
        assert "starts by itself when its inputs are ready" in line
        first, second = [await withdraw(lab.services, lab.flow("child")) for _ in range(2)]
        assert (first.count, second.count) == (1, 0)
        await lab.run("prices")
        await sweep()
        assert await lab.waiting("child") == []

    play(scenario)


# Two at once


def test_of_two_refreshes_at_once_both_complete(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices", concurrency=2)
        await lab.bootstrap()
        runs = [await lab.start("prices", everything=True) for _ in range(2)]
        ended = await asyncio.gather(*(lab.execute(run) for run in runs))
        assert {state.name for state in ended} == {"Completed"}
        assert lab.rows("prices") == {"2024-01-02": 1.0}
        assert (await version(lab, "prices") or "").startswith("0-")

    play(scenario)
