"""Every command and option with wrong, huge and missing values, each once, from the command line's own tree."""

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from prefect import get_client
from sqlalchemy import create_engine

from flows.integrations.platform_reader import read_platform
from flows.integrations.prefect_api import PrefectApi
from prefect_optaic.cli import app
from prefect_optaic.stack import Target
from tests.flows.snapshot import snapshot
from tests.prefect_optaic.command_line import Ended, optaic

TREE: Any = typer.main.get_command(app)
_FRAME = re.compile("[\u2500-\u257f]")  # that errors of usage are shown in
HUGE = "9" * 10_000
# Values that are wrong for all that takes a word, and for all that takes a number.
WRONG = {"text": ["", "no-such-thing", "Wrong, too!", "../..", "h\u00fcbsch"], "number": ["", "many", "nan", "1,5"]}
OUT_OF_REACH = ["", "no/such/folder/x", "/dev/null/x", "."]
HANDS_OFF = ("up", "down", "env", "stack", "demo")  # they take flags alone, or nothing


def is_flag(parameter: Any) -> bool:
    return bool(getattr(parameter, "is_flag", False))


def is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def values_for(parameter: Any) -> list[str]:
    annotation = parameter.type_descriptor.annotation
    if annotation is Path:
        return [*OUT_OF_REACH, HUGE]
    return [*WRONG["number" if annotation in (int, float) else "text"], HUGE]


def needed(command: Any) -> list[str]:
    """Return a value for each argument that a command must have."""
    return ["no-such-thing" for parameter in command.params if is_argument(parameter) and parameter.required]


def lines() -> Iterator[list[str]]:
    """Yield command lines with one thing wrong in each."""
    yield ["no-such-command"]
    yield ["--no-such-option"]
    yield [HUGE]
    for name, command in TREE.commands.items():
        yield [name, *needed(command), "--no-such-option"]
        yield [name, *needed(command), "one", "two", "three", "four"] if not takes_many(command) else [name, "--x"]
        if needed(command):
            yield [name]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            if is_flag(parameter):
                yield [name, *needed(command), f"{parameter.opts[0]}=perhaps"]
            elif not is_argument(parameter):
                yield [name, *needed(command), parameter.opts[0]]
                for value in values_for(parameter):
                    yield [name, *needed(command), f"{parameter.opts[0]}={value}"]
            else:
                place = [each.name for each in command.params if is_argument(each)].index(parameter.name)
                for value in values_for(parameter):
                    yield [name, *["no-such-thing"] * place, value]


def takes_many(command: Any) -> bool:
    return any(parameter.nargs == -1 for parameter in command.params)


LINES = [line for line in lines() if line[0] not in HANDS_OFF or len(line) > 1]


def check(line: list[str], ended: Ended, seconds: float) -> None:
    said = ended.stderr + ended.stdout
    assert ended.returncode != 0, (line, said)
    assert "Traceback" not in said, (line, said)
    words = " ".join(_FRAME.sub(" ", ended.stderr).split())
    assert words, (line, said)
    assert len(words.partition("Error")[2] or words) <= 500, (line, words)
    assert seconds < 2, (line, seconds)


def the_world() -> Any:
    async def main() -> Any:
        async with PrefectApi() as prefect, get_client() as client:
            engine = create_engine((await read_platform(prefect)).database_url)
            try:
                return await snapshot(client, engine)
            finally:
                engine.dispose()

    return asyncio.run(main())


def test_each_wrong_value_is_told_in_a_sentence_and_nothing_is_written(
    stack: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    optaic("status")  # what is imported once is no wrong value's time
    before = the_world()
    for line in LINES:
        started = time.process_time()
        ended = optaic(*line)
        check(line, ended, time.process_time() - started)
    assert the_world() == before
    assert list(tmp_path.iterdir()) == []
