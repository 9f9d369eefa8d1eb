"""Which servers are meant: those of the environment, or the recorded ones."""

import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from prefect_optaic.stack.errors import HalfExternal, NoStack, UnreadableState
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.machine.processes import Record, birth_of
from prefect_optaic.stack.machine.state import State
from prefect_optaic.stack.target import connect, external

OWN = "http://prefect.example:4200/api"
DATABASE = "postgresql+psycopg://someone@db.example/optaic"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("PREFECT_API_URL", "PREFECT_UI_URL", "OPTAIC_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def recorded(home: Home) -> State:
    """A state whose server and Postgres are this very process."""
    me = Record(
        name="server",
        pid=os.getpid(),
        birth=birth_of(psutil.Process()),
        since="2026-01-01T00:00:00+00:00",
        log=str(home.log("server")),
        port=4299,
    )
    state = State(home, socket_dir="/run/sample")
    state.record(me)
    state.record(replace(me, name="postgres", port=None))
    return state


def test_nothing_to_talk_to(home: Home) -> None:
    with pytest.raises(NoStack) as caught:
        connect(home)
    assert str(caught.value) == f"no stack runs here ({home.root}): run `optaic up`, or set PREFECT_API_URL."


def test_the_recorded_stack(recorded: State) -> None:
    target = connect(recorded.home)
    assert target.embedded
    assert target.api_url == "http://127.0.0.1:4299/api"
    assert target.database_url == "postgresql+psycopg://postgres@/optaic?host=/run/sample&port=5432"
    assert target.environment()["PREFECT_HOME"] == str(recorded.home.prefect)
    assert "OPTAIC_DATABASE_URL" not in target.environment()


def test_a_dead_server_is_named(recorded: State) -> None:
    dead = replace(recorded.services["server"], birth=0.0)
    recorded.home.log("server").write_text("the last words\n")
    recorded.record(dead)
    with pytest.raises(NoStack, match=r"server \(pid \d+\) has died(.|\n)*the last words"):
        connect(recorded.home)


def test_the_environment_comes_first(recorded: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", OWN)
    target = connect(recorded.home)
    assert not target.embedded
    assert (target.api_url, target.ui_url) == (OWN, "http://prefect.example:4200")
    assert "PREFECT_HOME" not in target.environment()


def test_the_link_to_a_server_of_ones_own_has_no_password(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://me:hidden-word@prefect.example/api")
    target = connect(home)
    assert (target.api_url, target.ui_url) == ("https://me:hidden-word@prefect.example/api", "https://prefect.example")


def test_servers_of_ones_own_need_both_addresses(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert external(State.load(home)) is None
    monkeypatch.setenv("OPTAIC_DATABASE_URL", DATABASE)
    with pytest.raises(HalfExternal, match="OPTAIC_DATABASE_URL is set, but PREFECT_API_URL is not: set both"):
        external(State.load(home))
    monkeypatch.setenv("PREFECT_API_URL", OWN)
    target = external(State.load(home))
    assert target is not None
    assert (target.api_url, target.database_url) == (OWN, DATABASE)


def test_the_recorded_stack_is_not_ones_own(recorded: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", recorded.api_url or "")
    assert external(recorded) is None
    assert connect(recorded.home).embedded
    monkeypatch.setenv("OPTAIC_DATABASE_URL", DATABASE)
    assert external(recorded) is None


def test_a_state_file_that_cannot_be_read(home: Home) -> None:
    home.state_file.write_text("{")
    with pytest.raises(UnreadableState, match="cannot read the state file"):
        State.load(home)
