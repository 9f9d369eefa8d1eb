"""Evidently's page as the stack starts it, on a folder that others write to."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from watchdog.events import FileCreatedEvent, FileModifiedEvent

from flows.integrations.evidently_monitoring import Monitoring
from prefect_optaic.stack.machine.ports import HOST, choose


@dataclass(frozen=True)
class Served:
    """A workspace and its page."""

    folder: Path
    url: str

    def projects(self) -> list[str]:
        """Return the names of those that the page lists."""
        with urllib.request.urlopen(f"{self.url}/api/projects", timeout=5) as answer:
            return [project["name"] for project in json.load(answer)]

    def delete(self, project_id: UUID) -> None:
        """Delete a project as a person does it on the page."""
        request = urllib.request.Request(f"{self.url}/api/projects/{project_id}", method="DELETE")
        urllib.request.urlopen(request, timeout=5).close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, port = tmp_path_factory.mktemp("workspace"), choose(8000)
    log = tmp_path_factory.mktemp("log") / "log"
    # fmt: off
    command = [
        sys.executable, "-P", "-m", "prefect_optaic.stack.servers.evidently_page", "ui",
        "--workspace", str(folder), "--host", HOST, "--port", str(port),
    ]
    # fmt: on
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, "DO_NOT_TRACK": "1"})
    try:
        page = Served(folder, f"http://{HOST}:{port}")
        assert eventually(lambda: process.poll() is not None or answers(page), seconds=60), log.read_text()
        assert process.poll() is None, log.read_text()
        yield page
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(page: Served) -> bool:
    try:
        return page.projects() == []
    except OSError:
        return False


def eventually(happens: Callable[[], bool], *, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not (happened := happens()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return happened


def test_a_project_deleted_on_the_page_and_made_again_is_listed(served: Served) -> None:
    monitoring = Monitoring(str(served.folder), owner_tag="optaic-here")
    made = monitoring.ensure("alpha")
    assert eventually(lambda: served.projects() == ["alpha"])
    served.delete(made.id)
    assert served.projects() == []
    assert monitoring.find("alpha") is None
    assert monitoring.ensure("alpha") == made
    assert eventually(lambda: served.projects() == ["alpha"])
    monitoring.ensure("beta")
    assert eventually(lambda: sorted(served.projects()) == ["alpha", "beta"])
    monitoring.delete("alpha")
    assert eventually(lambda: served.projects() == ["beta"])


def test_half_a_file_is_read_when_it_is_whole(tmp_path: Path) -> None:
    from evidently.ui.service.storage.local.base import LocalState

    from prefect_optaic.stack.servers.evidently_page import Watcher

    monitoring = Monitoring(str(tmp_path), owner_tag="optaic-here")
    state = LocalState.load(str(tmp_path), None)
    made = monitoring.ensure("alpha")
    file = tmp_path / str(made.id) / "metadata.json"
    whole = file.read_text()
    file.write_text("")
    watcher = Watcher(state)
    watcher.dispatch(FileCreatedEvent(str(file)))
    assert state.projects == {}
    file.write_text(whole)
    watcher.dispatch(FileModifiedEvent(str(file)))
    assert [project.name for project in state.projects.values()] == ["alpha"]
    assert state.snapshots == {made.id: {}}
