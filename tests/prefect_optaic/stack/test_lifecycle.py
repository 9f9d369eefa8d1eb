"""`optaic up`, `down`, `stack`, `env` and `logs` as a user has them: real processes, real servers.

The tests of a module run in order; these tell one story, on one stack.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from prefect_optaic.stack.errors import ServiceDied
from prefect_optaic.stack.lifecycle import down, up
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.machine.ports import HOST
from prefect_optaic.stack.machine.processes import Record, alive, spawn
from prefect_optaic.stack.machine.state import State
from prefect_optaic.stack.servers import prefect_server as server
from prefect_optaic.stack.servers.pages import PAGES
from prefect_optaic.stack.servers.prefect_server import USUAL_PORT

pytestmark = pytest.mark.integration
BIN = Path(sys.executable).parent


@dataclass
class Shell:
    """A shell whose OPTAIC_HOME is the stack of this module."""

    home: Path

    def __call__(self, command: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", command],
            env=self.env(env),
            cwd=self.home.parent,
            text=True,
            capture_output=True,
            timeout=300,  # on a loaded machine a server starts slowly
        )

    def env(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "OPTAIC_"))}
        return {**kept, "PATH": f"{BIN}:{kept['PATH']}", "COLUMNS": "200", "OPTAIC_HOME": str(self.home), **more}

    def stack(self) -> dict[str, dict[str, Any]]:
        return {service["name"]: service for service in json.loads(self("prefect-optaic stack --json").stdout)}


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Hold `port` for a while, as another program would."""
    with socket.socket() as other:
        # Taken by somebody else is as good. A port that was used a moment ago can be taken again.
        with suppress(OSError):
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((HOST, port))
            other.listen()
        yield


@pytest.fixture(scope="module")
def shell(servers_room: Path) -> Iterator[Shell]:
    shell = Shell(servers_room / "up")
    yield shell
    shell("prefect-optaic down")


@pytest.fixture(scope="module")
def first_up(shell: Shell) -> "subprocess.CompletedProcess[str]":
    """The first `up`, while another program holds the usual port."""
    with taken(USUAL_PORT):
        return shell("prefect-optaic up")


def test_up_starts_all_beside_a_taken_port(shell: Shell, first_up: "subprocess.CompletedProcess[str]") -> None:
    assert first_up.returncode == 0, first_up.stderr
    services = shell.stack()
    port = services["server"]["port"]
    assert port != USUAL_PORT
    assert f"the server gets port {port}, as {USUAL_PORT} is taken" in first_up.stdout
    assert f"http://{HOST}:{port}/api" in first_up.stdout
    assert {name: service["health"] for name, service in services.items()} == dict.fromkeys(services, "up")
    assert shell("prefect-optaic stack").returncode == 0
    with urllib.request.urlopen(f"http://{HOST}:{port}/ui-settings") as answer:
        assert json.load(answer)["api_url"] == f"http://{HOST}:{port}/api"


def test_prefect_keeps_its_files_in_the_home(shell: Shell, first_up: "subprocess.CompletedProcess[str]") -> None:
    assert any((shell.home / "prefect").iterdir())
    assert (shell.home / "logs" / "worker.log").read_text().startswith("Worker 'local' started!")
    assert "Worker 'local' started!" in shell("prefect-optaic logs worker --lines 3").stdout


def test_env_leads_the_plain_prefect_command(shell: Shell, first_up: "subprocess.CompletedProcess[str]") -> None:
    done = shell('eval "$(prefect-optaic env)" && prefect work-pool ls && prefect deployment ls && env')
    assert "optaic" in done.stdout
    assert "process" in done.stdout
    assert "bootstrap/bootstrap" in done.stdout
    assert "DO_NOT_TRACK=1" in done.stdout
    assert "OPTAIC_DATABASE_URL" not in done.stdout


def test_a_second_up_finds_what_runs(shell: Shell, first_up: "subprocess.CompletedProcess[str]") -> None:
    before = shell.stack()
    done = shell('eval "$(prefect-optaic env)" && prefect-optaic up')
    assert done.returncode == 0, done.stderr
    for service in before.values():
        assert f"pid {service['pid']} already runs" in done.stdout
    assert shell.stack() == before


def test_a_killed_worker_is_named_and_restarted_alone(
    shell: Shell, first_up: "subprocess.CompletedProcess[str]"
) -> None:
    before = shell.stack()
    os.kill(before["worker"]["pid"], signal.SIGKILL)
    time.sleep(0.2)
    looked = shell("prefect-optaic stack")
    assert looked.returncode == 1
    assert "worker    dead" in looked.stdout
    done = shell("prefect-optaic up")
    assert f"restarting: worker (pid {before['worker']['pid']}) has died." in done.stdout
    told = done.stdout.partition(f"The end of its log, {before['worker']['log']}:\n")[2].splitlines()
    logged = Path(before["worker"]["log"]).read_text().splitlines()
    assert told[0].startswith("  | ")
    assert told[0].removeprefix("  | ") in logged
    after = shell.stack()
    assert after["worker"]["health"] == "up"
    assert after["worker"]["pid"] != before["worker"]["pid"]
    assert (after["postgres"], after["server"]) == (before["postgres"], before["server"])


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The address of each page, once it was started."""
    return {}


def test_the_pages_of_mlflow_and_evidently_are_started_when_asked_for(
    shell: Shell, first_up: "subprocess.CompletedProcess[str]", pages: dict[str, str]
) -> None:
    before = shell.stack()
    assert "mlflow" not in before
    with taken(PAGES["mlflow"].usual_port):
        done = shell("prefect-optaic up --with-ui")
    assert done.returncode == 0, done.stderr
    after = shell.stack()
    assert not after["mlflow"]["address"].endswith(f":{PAGES['mlflow'].usual_port}")
    started = {name: after[name] for name in ("mlflow", "evidently")}
    assert {name: page["health"] for name, page in started.items()} == {"mlflow": "up", "evidently": "up"}
    pages |= {name: page["address"] for name, page in started.items()}
    assert {name: after[name] for name in before} == before
    for name, page in started.items():
        assert page["address"] in done.stdout
        with urllib.request.urlopen(page["address"]) as answer:
            assert name in answer.read().decode().lower()
    again = shell("prefect-optaic up")
    assert f"pid {started['mlflow']['pid']} already runs, {pages['mlflow']}" in again.stdout
    assert shell.stack() == after


def test_a_killed_page_is_started_again_at_its_address(
    shell: Shell, first_up: "subprocess.CompletedProcess[str]"
) -> None:
    before = shell.stack()
    left = psutil.Process(before["mlflow"]["pid"]).children(recursive=True)
    os.kill(before["mlflow"]["pid"], signal.SIGKILL)
    assert "mlflow    dead" in shell("prefect-optaic stack").stdout
    done = shell("prefect-optaic up")
    assert f"restarting: mlflow (pid {before['mlflow']['pid']}) has died." in done.stdout
    after = shell.stack()
    assert (after["mlflow"]["health"], after["mlflow"]["address"]) == ("up", before["mlflow"]["address"])
    assert after["evidently"] == before["evidently"]
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in left)
    assert "Uvicorn running" in shell("prefect-optaic logs mlflow").stdout


def test_servers_of_ones_own_are_prepared_and_left_alone(
    shell: Shell, first_up: "subprocess.CompletedProcess[str]", tmp_path: Path
) -> None:
    services = shell.stack()
    elsewhere = Shell(tmp_path / "home")
    own = {
        "PREFECT_API_URL": f"{services['server']['address']}/api",
        "OPTAIC_DATABASE_URL": services["postgres"]["address"],
    }
    done = elsewhere("prefect-optaic up && prefect-optaic stack && prefect-optaic down", **own)
    assert done.returncode == 0, done.stderr
    assert f"using the Prefect server at {own['PREFECT_API_URL']} and OPTAIC_DATABASE_URL; starting none" in done.stdout
    assert "'optaic' is there" in done.stdout
    assert "are your own: nothing stopped" in done.stdout
    assert shell.stack() == services


def test_down_stops_what_up_started_and_nothing_else(
    shell: Shell, first_up: "subprocess.CompletedProcess[str]"
) -> None:
    home = Home(shell.home)
    recorded = list(State.load(home).services.values())
    bystander = subprocess.Popen([BIN / "python", "-c", "import time; time.sleep(60)"], cwd=shell.home)
    try:
        done = shell("prefect-optaic down")
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if "stop" in line]
        for line, name in zip(lines, ("evidently", "mlflow", "worker", "server", "postgres"), strict=True):
            assert f"stop {name}" in line
        assert not any(alive(record) for record in recorded)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
    again = shell("prefect-optaic down")
    assert (again.returncode, again.stdout) == (0, f"• nothing runs here ({shell.home})\n")


def test_the_pages_come_back_where_the_links_in_artifacts_lead(
    shell: Shell, first_up: "subprocess.CompletedProcess[str]", pages: dict[str, str]
) -> None:
    done = shell("prefect-optaic up")
    assert done.returncode == 0, done.stderr
    assert "Still processing" not in done.stdout + done.stderr
    after = shell.stack()
    assert {name: after[name]["address"] for name in pages} == pages
    assert shell("prefect-optaic down").returncode == 0


def test_without_a_stack_env_says_what_to_do(shell: Shell) -> None:
    done = shell("prefect-optaic env")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: no stack runs here ({shell.home}): run `optaic up`, or set PREFECT_API_URL.\n"


@pytest.fixture
def started_here() -> Iterator[None]:
    """For what is started in this process: afterwards Prefect talks here to what it talked to before."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    if "prefect.context" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


@pytest.mark.usefixtures("started_here")
def test_a_server_that_dies_at_start_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, started = Home(tmp_path / "home"), list[Record]()

    def start(home: Home, *, socket_dir: Path, port: int) -> Record:
        command = [sys.executable, "-c", "print('no such table'); raise SystemExit(3)"]
        log = home.log("server")
        started.extend(State.load(home).services.values())
        return spawn("server", command, log=log, cwd=home.root, env=os.environ, port=port)

    monkeypatch.setattr(server, "start", start)
    with pytest.raises(ServiceDied, match=r"server \(pid \d+\) has died with exit code 3(.|\n)*\| no such table"):
        up(home)
    assert [record.name for record in started] == ["postgres"]
    assert not alive(started[0])
    assert not home.state_file.exists()
    down(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_up_cut_short_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    home = Home(tmp_path / "home")
    process = subprocess.Popen(
        [BIN / "prefect-optaic", "up"],
        env=Shell(home.root).env({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while "server" not in State.load(home).services and process.poll() is None:
        time.sleep(0.02)
    recorded = list(State.load(home).services.values())
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "not up: stopping again what was started" in output
    assert [record.name for record in recorded] == ["postgres", "server"]
    assert not any(alive(record) for record in recorded)
    assert not home.state_file.exists()


def test_the_command_line_starts_without_prefect() -> None:
    code = "import sys, prefect_optaic.cli; raise SystemExit('prefect' in sys.modules or 'sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
