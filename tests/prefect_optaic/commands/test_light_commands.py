"""The commands that only look import nothing heavy: they are to answer at once."""

import os
import subprocess
import sys

import pytest

from tests.prefect_optaic.commands.test_changes import prefix

__all__ = ["prefix"]

HEAVY = [
    "prefect",
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


def heavy_imports(*arguments: str) -> str:
    """Return what heavy packages a command has imported when it ends."""
    command = [sys.executable, "-c", WATCHED, *arguments]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, timeout=120)
    assert "heavy:" in done.stderr, done.stderr
    assert "error:" not in done.stderr, done.stderr
    return done.stderr.rpartition("heavy:")[2].strip()


@pytest.mark.parametrize("command", ["--version", "--help"])
def test_help_imports_nothing_heavy(command: str) -> None:
    assert heavy_imports(command) == ""


def test_a_look_imports_nothing_heavy(prefix: str) -> None:
    for command in (["status"], ["why", "--help"], ["freshness"], ["requests"], ["stack"]):
        assert heavy_imports(*command) == "", command
