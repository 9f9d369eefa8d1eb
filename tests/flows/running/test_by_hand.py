"""What people do to runs in the Prefect UI, at each moment of a run: the lines of the table in docs/freshness.md."""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Completed, Crashed, Failed, Paused

from definitions.contract import FlowKind
from definitions.work.outcome import Outcome
from flows.dataset import refresh_rows
from flows.running.context import Context
from flows.running.frame import Options, guarded_run
from flows.running.run_starter import cascade_hook
from flows.running.stuck_runs import StuckTimeouts, end_stuck_runs
from flows.sweep import sweep
from instances.rules.flow_status import FlowStatus
from tests.flows.lab import Lab, Play

Deed = Callable[[FlowRun], Coroutine[Any, Any, None]]


def interrupted(deed: Deed, run: FlowRun, *, before_work: bool) -> Flow[..., Any]:
    """Return the flow of a refresh in the midst of which something happens: before it has worked, or after."""
    loop = asyncio.get_running_loop()

    def work(context: Context) -> Outcome:
        if before_work:
            asyncio.run_coroutine_threadsafe(deed(run), loop).result()
        outcome = refresh_rows(context)
        if not before_work:
            asyncio.run_coroutine_threadsafe(deed(run), loop).result()
        return outcome

    async def refresh(instance: str, everything: bool = False) -> State[None]:
        return await guarded_run(FlowKind.REFRESH, instance, work, Options(everything=everything))

    hooks: dict[str, Any] = {
        on: [cascade_hook] for on in ("on_completion", "on_failure", "on_crashed", "on_cancellation")
    }
    return Flow(refresh, name="refresh", persist_result=False, **hooks)


def set_by_hand(lab: Lab, state: State[Any], *, force: bool) -> Deed:
    async def deed(run: FlowRun) -> None:
        await lab.client.set_flow_run_state(run.id, state, force=force)

    return deed


async def family_with_news(lab: Lab) -> None:
    """A dataset and its reader, both READY, and one more day at the source."""
    await lab.ran_pair("prices", "child")
    lab.write("prices", {"2024-01-02": 1.0, "2024-01-03": 2.0})


NEWS = {"2024-01-02": 1.0, "2024-01-03": 2.0}
STATES: dict[str, tuple[State[Any], bool]] = {  # what is set, and whether against Prefect's rules, as its dialog does
    "Failed": (Failed(message="by hand"), True),
    "Crashed": (Crashed(message="by hand"), True),
    "Completed": (Completed(message="by hand"), True),
    "Paused": (Paused(timeout_seconds=3600), False),
}
AFTER = pytest.mark.torture  # the same, once the work has committed


@pytest.mark.parametrize(
    ("state", "before_work"),
    [
        pytest.param(state, before, marks=() if before == (state != "Crashed") else AFTER)
        for state in STATES
        for before in (True, False)
    ],
)
def test_whatever_state_is_set_while_a_run_works_its_own_end_counts(play: Play, state: str, before_work: bool) -> None:
    async def scenario(lab: Lab) -> None:
        await family_with_news(lab)
        run = await lab.start("prices")
        wanted, force = STATES[state]
        deed = set_by_hand(lab, wanted, force=force)
        ended = await lab.execute(run, interrupted(deed, run, before_work=before_work))
        assert (ended.name, ended.message) == ("Completed", "v1, 2 rows up to 2024-01-03.")
        verdict = await lab.verdict("prices")
        assert (verdict.status, verdict.evidence) == (FlowStatus.READY, run.id)
        await sweep()
        assert await lab.drain("prices", "child") == 1
        assert lab.rows("child") == NEWS

    play(scenario)


@pytest.mark.parametrize("before_work", [True, pytest.param(False, marks=AFTER)])
def test_a_run_cancelled_at_work_leaves_no_version_and_its_rows_come_with_the_next(
    play: Play, before_work: bool
) -> None:
    """A worker would kill its process; here it goes on until it asks Prefect to let it complete."""

    async def scenario(lab: Lab) -> None:
        await family_with_news(lab)
        run = await lab.start("prices", everything=True)
        deed = set_by_hand(lab, Cancelling(), force=False)
        assert (await lab.execute(run, interrupted(deed, run, before_work=before_work))).name == "Cancelling"
        assert (await lab.verdict("prices")).status is FlowStatus.RUNNING
        later = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=16)
        (sentence,) = await end_stuck_runs(
            lab.services.prefect, [(await lab.world())[lab.flow_id("prices")]], later, StuckTimeouts()
        )
        assert "it has been cancelling since" in sentence
        verdict = await lab.verdict("prices")
        assert (verdict.status, verdict.evidence != run.id) == (FlowStatus.READY, True)
        await sweep()
        assert await lab.waiting("prices", "child") == []
        assert lab.rows("child") == {"2024-01-02": 1.0}
        assert (await lab.run("prices")).message == "v1, 2 rows up to 2024-01-03, nothing new."
        assert await lab.drain("child") == 1
        assert lab.rows("child") == NEWS

    play(scenario)


def test_a_run_deleted_at_work_leaves_what_its_row_says(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await family_with_news(lab)
        run = await lab.start("prices")

        async def delete(run: FlowRun) -> None:
            await lab.client.delete_flow_run(run.id)

        with pytest.raises(ObjectNotFound):  # nobody is there to be told how it ended, and no hook runs
            await lab.execute(run, interrupted(delete, run, before_work=False))
        verdict = await lab.verdict("prices")
        assert (verdict.status, verdict.evidence) == (FlowStatus.READY, run.id)
        assert (await lab.verdict("child")).status is FlowStatus.STALE
        await sweep()
        assert await lab.drain("prices", "child") == 1
        assert lab.rows("child") == NEWS

    play(scenario)


def test_a_completed_run_that_is_retried_finds_nothing_new(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("prices", "child")
        (run,) = await lab.runs("prices")
        assert (await lab.retry(run)).message == "v0, 1 row up to 2024-01-02, nothing new."
        await sweep()
        assert await lab.waiting("prices", "child") == []
        assert (await lab.verdict("child")).status is FlowStatus.READY

    play(scenario)


def test_a_run_that_never_worked_is_judged_anew_when_it_is_retried(play: Play) -> None:
    """One that was skipped, and one that was cancelled while it waited: no guard has written down what to work from."""

    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("prices", "child")
        cancelled = await lab.start("child")
        await lab.client.set_flow_run_state(cancelled.id, Cancelling())
        assert (await lab.client.read_flow_run(cancelled.id)).state_name == "Cancelled"
        skipped = await lab.start("child")
        assert (await lab.execute(skipped)).name == "Skipped"
        assert (await lab.retry(cancelled)).name == "Skipped"
        lab.write("prices", NEWS)
        await lab.run("prices")
        assert (await lab.retry(skipped)).name == "Completed"
        assert lab.rows("child") == NEWS

    play(scenario)


def test_a_completed_run_that_is_called_failed_keeps_its_version_and_blocks_what_reads_it(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("prices", "child")
        (run,) = await lab.runs("prices")
        await set_by_hand(lab, Failed(message="these prices are wrong"), force=True)(run)
        verdict = await lab.verdict("prices")
        assert (verdict.status, "these prices are wrong" in verdict.reason) == (FlowStatus.ERROR, True)
        assert (await lab.run("child")).name == "Blocked"
        assert (await lab.run("prices")).message == "v0, 1 row up to 2024-01-02, nothing new."
        assert (await lab.verdict("prices")).status is FlowStatus.READY

    play(scenario)


def test_a_paused_deployment_is_left_alone_and_catches_up_once(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("prices", "child")
        await lab.client.pause_deployment(lab.deployment("child"))
        for close in (2.0, 3.0):
            lab.write("prices", {"2024-01-02": close})
            assert (await lab.run("prices")).is_completed()
        await sweep()
        assert await lab.waiting("child") == []
        assert (await lab.verdict("child")).status is FlowStatus.STALE
        await lab.client.resume_deployment(lab.deployment("child"))
        await sweep()
        assert await lab.drain("child") == 1
        assert lab.rows("child") == {"2024-01-02": 3.0}

    play(scenario)


def test_a_block_edited_in_the_ui_changes_nothing_before_it_is_applied(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("prices", "child")
        await lab.signal("child", ["prices"], "close * 2")
        assert (await lab.run("child")).name == "Skipped"
        assert (await lab.verdict("child")).status is FlowStatus.READY
        await lab.bootstrap()
        assert (await lab.verdict("child")).status is FlowStatus.STALE
        await sweep()
        assert await lab.drain("child") == 1
        assert lab.rows("child") == {"2024-01-02": 2.0}

    play(scenario)
