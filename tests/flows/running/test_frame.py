"""The frame around every flow, on the real servers: guard, work, record, and what comes after."""

import logging

import pytest
from prefect.client.schemas.objects import StateType

from flows.running.frame import NotThroughDeployment
from instances.rules.flow_status import FlowStatus
from tests.flows.lab import Lab, Play


def test_a_signal_is_blocked_before_its_prices_and_follows_them_by_the_cascade(
    play: Play,
) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices", {"2024-01-02": 1.0, "2024-01-03": 2.0})
        await lab.signal("signal", ["prices"], "close * 10")
        await lab.bootstrap()

        blocked = await lab.run("signal")
        assert (blocked.type, blocked.name) == (StateType.CANCELLED, "Blocked")
        label = f"{lab.prefix}prices.refresh"
        assert blocked.message == (
            f"{label} is NOT_INITIALIZED: it has not run yet. It is asked for, and starts when its inputs are ready."
        )
        assert (await lab.verdict("signal")).status is FlowStatus.NOT_INITIALIZED
        assert await lab.waiting("signal") == []

        prices = await lab.run("prices")
        assert prices.message == "v0, 2 rows up to 2024-01-03."
        (follower,) = await lab.waiting("signal")
        assert "asked for at" in ((follower.state and follower.state.message) or "")

        assert (await lab.execute(follower)).message == "v0, 2 rows up to 2024-01-03."
        assert lab.rows("signal") == {"2024-01-02": 10.0, "2024-01-03": 20.0}
        assert (await lab.verdict("signal")).status is FlowStatus.READY
        assert await lab.waiting("signal", "prices") == []

    play(scenario)


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_a_blocked_run_logs_no_error_and_one_that_fails_does(play: Play) -> None:
    kept = Kept()

    def ends() -> list[tuple[str, str]]:
        told = [(each.levelname, each.getMessage().partition("(")[0]) for each in kept.records]
        kept.records.clear()
        return [each for each in told if each[0] == "ERROR" or each[1].startswith("Finished in state")]

    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("signal", ["prices"])
        await lab.bootstrap()
        logging.getLogger("prefect.flow_runs").addHandler(kept)
        await lab.run("signal")
        assert ends() == [("INFO", "Finished in state Blocked")]
        lab.write("prices", {"no date": 1.0})
        await lab.run("prices")
        assert ("ERROR", "Finished in state Failed") in ends()

    try:
        play(scenario)
    finally:
        logging.getLogger("prefect.flow_runs").removeHandler(kept)


def test_a_run_with_the_same_inputs_is_skipped_and_confirms(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("prices", "signal")

        skipped = await lab.run("signal")
        assert (skipped.type, skipped.name) == (StateType.COMPLETED, "Skipped")
        verdict = await lab.verdict("signal")
        assert verdict.status is FlowStatus.READY
        assert verdict.reason.startswith("confirmed by run")
        forced = await lab.run("signal", force=True)
        assert forced.name == "Completed"
        assert forced.message == "v0, 1 row up to 2024-01-02, nothing new."

    play(scenario)


def test_a_second_refresh_of_unchanged_data_commits_no_version_and_starts_no_child(
    play: Play,
) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("prices", "signal")
        again = await lab.run("prices")
        assert again.message == "v0, 1 row up to 2024-01-02, nothing new."
        assert await lab.waiting("signal") == []

        lab.write("prices", {"2024-01-02": 1.0, "2024-01-03": 3.0})
        assert (await lab.run("prices")).message == "v1, 2 rows up to 2024-01-03."
        assert await lab.drain("signal") == 1
        assert lab.rows("signal") == {"2024-01-02": 1.0, "2024-01-03": 3.0}

    play(scenario)


def test_force_goes_on_whatever_the_guard_says(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("prices", "signal")
        lab._file("prices").unlink()
        assert (await lab.run("prices")).type is StateType.FAILED
        assert (await lab.run("signal")).name == "Blocked"
        forced = await lab.run("signal", force=True)
        assert forced.type is StateType.COMPLETED

    play(scenario)


def test_a_signal_out_of_bounds_fails_and_the_last_good_version_stays(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices", {"2024-01-02": 0.5})
        await lab.signal("signal", ["prices"], signal_spec={"min": 0, "max": 1})
        await lab.bootstrap()
        await lab.run("prices")
        await lab.drain("signal")

        lab.write("prices", {"2024-01-02": 0.5, "2024-01-03": 7.0})
        await lab.run("prices")
        (follower,) = await lab.waiting("signal")
        failed = await lab.execute(follower)
        assert failed.type is StateType.FAILED
        assert "(2024-01-03, A, 7): clip the values or raise max" in (failed.message or "")
        assert lab.rows("signal") == {"2024-01-02": 0.5}
        assert (await lab.verdict("signal")).status is FlowStatus.ERROR
        assert await lab.waiting("signal") == []  # the same inputs would fail again

        lab.write("prices", {"2024-01-02": 0.5, "2024-01-03": 0.7})
        await lab.run("prices")
        assert await lab.drain("signal") == 1
        assert lab.rows("signal") == {"2024-01-02": 0.5, "2024-01-03": 0.7}

    play(scenario)


def test_a_changed_configuration_reads_everything_again(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        sample = {"tickers": ["AAPL"], "start": "2022-12-20"}
        await lab.describe("prices", "dataset", "sp500-sample", sample)
        await lab.bootstrap()
        assert (await lab.run("prices")).message == "v0, 6 rows up to 2022-12-28."

        await lab.describe("prices", "dataset", "sp500-sample", sample | {"tickers": ["AAPL", "JPM"]})
        await lab.bootstrap()
        verdict = await lab.verdict("prices")
        assert (verdict.status, verdict.reason) == (
            FlowStatus.STALE,
            "its configuration has changed since its last completed run",
        )
        assert (await lab.run("prices")).message == "v1, 12 rows up to 2022-12-28."

    play(scenario)


def test_a_run_that_names_another_instance_is_refused(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.source("other")
        await lab.bootstrap()
        state = await lab.run("prices", instance=f"{lab.prefix}other")
        assert state.type is StateType.FAILED
        with pytest.raises(NotThroughDeployment, match=f"belongs to the deployment of {lab.prefix}prices.refresh"):
            await state.result()

    play(scenario)
