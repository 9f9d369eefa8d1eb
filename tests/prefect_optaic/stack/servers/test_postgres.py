"""The embedded Postgres starts wherever its home is, and after any death."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from prefect_optaic.stack.errors import ServiceDied
from prefect_optaic.stack.machine.processes import Record, alive, stop
from prefect_optaic.stack.servers import postgres


@pytest.fixture
def folder(servers_room: Path, request: pytest.FixtureRequest) -> Path:
    """A folder too long for a Unix socket, and of characters that no URL likes."""
    path = servers_room / str(request.node.name)[:20] / "with spaces, 100% & ünïcode" / ("x" * 100)
    path.mkdir(parents=True)
    return path


@pytest.fixture
def socket_dir(folder: Path) -> Iterator[Path]:
    chosen = postgres.choose_socket_dir(folder / "run")
    assert not chosen.is_relative_to(folder)
    yield chosen
    chosen.rmdir()


@pytest.fixture
def start(folder: Path, socket_dir: Path) -> Iterator["Starter"]:
    starter = Starter(folder, socket_dir)
    yield starter
    for record in starter.started:
        stop(record, postgres.STOP_SIGNALS)


class Starter:
    """Starts one cluster again and again."""

    def __init__(self, folder: Path, socket_dir: Path) -> None:
        self.data = folder / "data"
        self.log = folder / "log"
        self.socket_dir = socket_dir
        self.started: list[Record] = []

    def __call__(self) -> Record:
        record = postgres.start(self.data, socket_dir=self.socket_dir, log=self.log, durable=False)
        self.started.append(record)
        postgres.wait_ready(record, self.data)
        return record


def test_a_plain_short_folder_holds_the_socket(tmp_path: Path) -> None:
    assert postgres.choose_socket_dir(tmp_path / "run") == tmp_path / "run"


def test_databases_are_created_once(start: Starter) -> None:
    start()
    postgres.ensure_databases(start.socket_dir)
    postgres.ensure_databases(start.socket_dir)
    engine = create_engine(postgres.url(start.socket_dir, "optaic"))
    with engine.connect() as connection:
        names = set(connection.execute(text("SELECT datname FROM pg_database")).scalars())
    engine.dispose()
    assert names >= {"prefect", "optaic", "mlflow"}


def test_only_its_owner_reaches_the_socket(start: Starter) -> None:
    start()
    assert start.socket_dir.stat().st_mode & 0o077 == 0


def test_it_starts_again_after_a_kill(start: Starter) -> None:
    first = start()
    os.kill(first.pid, signal.SIGKILL)
    while alive(first):
        pass
    assert start().pid != first.pid


def test_a_pid_file_that_names_another_program_is_no_obstacle(start: Starter) -> None:
    stop(start(), postgres.STOP_SIGNALS)
    (start.data / "postmaster.pid").write_text(f"{os.getpid()}\n{start.data}\n")
    start()
    with psycopg.connect(host=str(start.socket_dir), port=5432, user="postgres") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_broken_cluster_is_named_with_its_log(start: Starter) -> None:
    stop(start(), postgres.STOP_SIGNALS)
    (start.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(ServiceDied, match=r"postgres \(pid \d+\) has died(.|\n)*incompatible with server"):
        start()
