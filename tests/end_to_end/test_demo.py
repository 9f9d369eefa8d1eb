"""The demo as a user runs it: the command line, the deployments of `prefect.yaml`, and a real worker."""

import asyncio
import json
import os
import subprocess
import sys

import polars as pl
from prefect import get_client

from prefect_optaic.stack import Target
from prefect_optaic.stack.prepare import deploy_missing
from tests.prefect_optaic.command_line import done, optaic


def run_demo() -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "prefect_optaic.cli", "demo"]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"}, timeout=600)


def test_the_demo_ends_ready_with_the_real_prices(stack: Target) -> None:
    deploy_missing(stack)
    for deployment in ("sweep/sweep", "bootstrap/bootstrap"):
        asyncio.run(_pause(deployment))  # the other tests of this session decide themselves when they run

    demo = run_demo()
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "momentum.refresh Blocked: prices.refresh is NOT_INITIALIZED: it has not run yet" in demo.stdout
    assert "prices.refresh Completed: v0, 166,260 rows up to 2022-12-28" in demo.stdout

    status = optaic("status", "--json")
    lines = {line["instance"]: line for line in json.loads(status.stdout)}
    for name in ("prices", "momentum", "reversal"):
        assert lines[name]["status"] == "READY"
        (flow,) = lines[name]["flows"]
        assert flow["flow"] == "refresh"
        assert flow["deployment_id"]
    prices = pl.read_delta(str(stack.home.root / "data" / "prices"))
    assert prices.height == prices.n_unique(["date", "entity"]) == 20 * 8_313

    again = optaic("run", "momentum")
    assert again.returncode == 0
    assert "momentum.refresh Skipped: Its inputs and its configuration are those of run" in again.stdout

    done("destroy", "--all", "--yes")
    assert json.loads(done("status", "--json")) == []


async def _pause(deployment: str) -> None:
    async with get_client() as client:
        found = await client.read_deployment_by_name(deployment)
        for schedule in found.schedules:
            await client.update_deployment_schedule(found.id, schedule.id, active=False)
