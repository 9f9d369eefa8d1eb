"""The command `optaic` in this process: what a process of its own does, without the seconds of its imports."""

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from prefect_optaic.cli import main

ENVIRONMENT = {"COLUMNS": "200", "NO_COLOR": "1"}


@dataclass(frozen=True)
class Ended:
    """How a command has ended, and what it has printed."""

    returncode: int
    stdout: str
    stderr: str


def optaic(*arguments: object) -> Ended:
    """Run a command to its end."""
    out, err = io.StringIO(), io.StringIO()
    alone = _as_alone(["optaic", *map(str, arguments)])
    with alone, redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main()
    return Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def done(*arguments: object) -> str:
    """Run a command that must succeed; return what it prints."""
    ended = optaic(*arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@contextmanager
def _as_alone(arguments: list[str]) -> Iterator[None]:
    """Let nothing of what a command sets in its process outlive it."""
    argv, environment = sys.argv, dict(os.environ)
    levels = {handler: handler.level for handler in logging.getLogger().handlers}
    sys.argv = arguments
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        for handler, level in levels.items():
            handler.setLevel(level)
