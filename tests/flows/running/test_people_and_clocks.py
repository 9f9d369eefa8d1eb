"""What people, clocks and retention do to runs, on the real server: what is judged of it stays right."""

import datetime as dt
from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.states import Scheduled

from flows.dataset import refresh
from flows.sweep import sweep
from instances.rules.deadlines import missed_deadline
from instances.rules.status import FlowStatus
from instances.world.facts import FlowFacts, RunId
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
