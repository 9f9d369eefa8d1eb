"""Real servers for the tests: a Postgres alone, or the whole stack, through the code of `optaic up`."""

import asyncio
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from instances.storage.migrations import upgrade
from prefect_optaic.stack import Home, Target
from prefect_optaic.stack.lifecycle import down, up
from prefect_optaic.stack.machine.environment import NO_TELEMETRY
from prefect_optaic.stack.machine.processes import stop
from prefect_optaic.stack.servers import postgres
from prefect_optaic.stack.target import use
from tests import properties

if TYPE_CHECKING:
    from tests.flows.lab import Play, Scenario

_TEMPLATE = "optaic_template"
properties.register_profiles()  # not in `pytest_configure`: the plugin of hypothesis chooses one there
_numbers = itertools.count(1)
_prefect_home = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests away from the developer's own servers and from ~/.prefect."""
    # A terminated session, like an interrupted one, stops its servers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "OPTAIC_"))]:
        del os.environ[name]
    config.stash[_prefect_home] = tempfile.mkdtemp(prefix="optaic-prefect-")
    os.environ.update(NO_TELEMETRY)
    # Without a stack, a call of the API is an error at once, not a server started behind one's back.
    os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "false"
    os.environ["PREFECT_HOME"] = config.stash[_prefect_home]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the temporary PREFECT_HOME."""
    shutil.rmtree(config.stash[_prefect_home], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the fixture `stack`, directly or not, as an integration test."""
    for item in items:
        if isinstance(item, pytest.Function) and "stack" in item.fixturenames:
            item.add_marker("integration")


@pytest.fixture(scope="session")
def servers_room() -> Iterator[Path]:
    """A folder for the files of servers, outside of pytest's own.

    PostgreSQL runs as another user where the tests run as root, and each new session of pytest takes the
    right to pass through its common folder from all others: the servers of the sessions before would die.
    """
    folder = Path(tempfile.mkdtemp(prefix="optaic-tests-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(servers_room: Path) -> Iterator[Target]:
    """A whole stack in a home of its own; Prefect in this process talks to it. Nothing is deployed on it."""
    home = Home(servers_room / "home")
    before = dict(os.environ)
    target = up(home, deploy=False)
    os.environ["OPTAIC_HOME"] = str(home.root)
    use(target)
    try:
        yield target
    finally:
        _send_what_waits()
        os.environ.clear()
        os.environ.update(before)
        down(home)


@pytest.fixture
def play(stack: Target, tmp_path: Path) -> "Play":
    """Play a scenario in a lab of its own."""
    from tests.flows.lab import lab  # imports all of Prefect, which most tests do without

    def run(scenario: "Scenario") -> None:
        async def main() -> None:
            async with lab(tmp_path) as opened_lab:
                await scenario(opened_lab)

        asyncio.run(main())

    return run


def _send_what_waits() -> None:
    """Let Prefect send its logs and events while its server is there: later it would try for a minute, in vain."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=10)
    EventsWorker.drain_all(timeout=10)


@pytest.fixture(scope="session")
def postgres_url(servers_room: Path) -> Iterator[str]:
    """The SQLAlchemy URL of the maintenance database of a Postgres that forgets all at the end."""
    folder = servers_room / "postgres"
    folder.mkdir()
    socket_dir = postgres.choose_socket_dir(folder / "run")
    record = postgres.start(folder / "data", socket_dir=socket_dir, log=folder / "log", durable=False)
    try:
        postgres.wait_ready(record, folder / "data")
        yield postgres.url(socket_dir, "postgres")
    finally:
        stop(record, postgres.STOP_SIGNALS)
        if not socket_dir.is_relative_to(Path(folder)):
            shutil.rmtree(socket_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def _maintenance(postgres_url: str) -> Iterator[Engine]:
    """The maintenance database, with a migrated template beside it."""
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {_TEMPLATE}"))
    template = create_engine(make_url(postgres_url).set(database=_TEMPLATE))
    upgrade(template)
    template.dispose()
    yield engine
    engine.dispose()


@pytest.fixture
def database(postgres_url: str, _maintenance: Engine) -> Iterator[Engine]:
    """An engine of a fresh, migrated extension database."""
    name = f"test_{next(_numbers)}"
    with _maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY file_copy"))
    engine = create_engine(make_url(postgres_url).set(database=name))
    yield engine
    engine.dispose()
    with _maintenance.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
