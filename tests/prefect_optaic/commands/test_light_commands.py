"""The commands that only look import nothing heavy: they are to answer at once."""

import os
import subprocess
import sys

import pytest

from tests.flows.lab import Lab, Play
from tests.prefect_optaic.commands.test_changes import prefix

__all__ = ["prefix"]

HEAVY = [
    "prefect",
    "prefect_sqlalchemy",
    "alembic",
    "polars",
    "numpy",
    "pandas",
    "deltalake",
    "pyarrow",
    "mlflow",
    "evidently",
    "skfolio",
    "bt",
    "sklearn",
    "scipy",
    "matplotlib",
    "blocks",
]
WATCHED = f"""
import atexit, sys
HEAVY = set({HEAVY!r})
atexit.register(lambda: print("heavy:", *sorted(HEAVY & sys.modules.keys()), file=sys.stderr))
from prefect_optaic.cli import main
main()
"""


def watched(*arguments: str) -> tuple[str, str]:
    """Return what a command prints, and what heavy packages it has imported when it ends."""
    command = [sys.executable, "-c", WATCHED, *arguments]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, timeout=120)
    *told, last = done.stderr.splitlines()
    assert last.startswith("heavy:"), done.stderr
    assert all(line.startswith("warning: ") for line in told), done.stderr  # of what stands still in the tests' stack
    return done.stdout, last.removeprefix("heavy:").strip()


def test_the_command_line_itself_needs_no_pydantic_and_no_database() -> None:
    command = "import sys, prefect_optaic.cli; print(*sorted({'pydantic', 'sqlalchemy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("command", ["--version", "--help"])
def test_help_imports_nothing_heavy(command: str) -> None:
    assert watched(command)[1] == ""


def test_a_look_imports_nothing_heavy(prefix: str) -> None:
    for command in (["status"], ["why", "--help"], ["freshness"], ["requests"], ["stack"]):
        assert watched(*command)[1] == "", command


def test_a_look_at_what_has_run_imports_nothing_heavy(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.bootstrap()
        await lab.run("prices")
        flow = f"{lab.prefix}prices"
        for command in (["status"], ["status", "--json"], ["freshness"], ["why", flow]):
            printed, imported = watched(*command)
            assert flow in printed
            assert "READY" in printed
            assert imported == "", command

    play(scenario)
