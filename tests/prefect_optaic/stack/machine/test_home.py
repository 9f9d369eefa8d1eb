"""One command at a time works in a home."""

import threading
from pathlib import Path

import pytest

from prefect_optaic.stack.errors import HomeBusy
from prefect_optaic.stack.machine import home as module
from prefect_optaic.stack.machine.home import Home


def test_the_environment_moves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTAIC_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Home.current().root == tmp_path / ".optaic"
    monkeypatch.setenv("OPTAIC_HOME", str(tmp_path / "else"))
    assert Home.current().root == tmp_path / "else"


def test_git_leaves_it_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    assert (home.root / ".gitignore").read_text() == "*\n"


def test_the_second_waits_and_says_so(tmp_path: Path) -> None:
    home, notes, order = Home(tmp_path / "home"), list[str](), list[str]()

    def second() -> None:
        with home.lock(notes.append):
            order.append("second")

    thread = threading.Thread(target=second)
    with home.lock(notes.append):
        thread.start()
        while not notes:
            thread.join(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert notes == [f"another command is at work in {home.root}; waiting for its end"]


def test_patience_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.1)
    home = Home(tmp_path / "home")
    with (
        home.lock(lambda _: None),
        pytest.raises(HomeBusy, match=f"has been at work in {home.root} for more than"),
        home.lock(lambda _: None),
    ):
        pass
