"""The servers that commands talk to: found, and made Prefect's own."""

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from definitions.addresses import without_user
from prefect_optaic.stack.errors import HalfExternal, NoStack
from prefect_optaic.stack.machine import environment
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.machine.processes import alive, died
from prefect_optaic.stack.machine.state import State
from prefect_optaic.stack.servers import postgres
from prefect_optaic.stack.servers import prefect_server as server


@dataclass(frozen=True)
class Target:
    """A Prefect server with its UI, and the extension database where it is known without asking the server."""

    api_url: str
    ui_url: str
    home: Home
    embedded: bool
    database_url: str | None = None

    def environment(self) -> dict[str, str]:
        """Return the variables that make a Prefect client talk to this server."""
        prefect_home = self.home.prefect if self.embedded else None
        return environment.of_client(api_url=self.api_url, ui_url=self.ui_url, prefect_home=prefect_home)


def connect(home: Home | None = None) -> Target:
    """Return the server of PREFECT_API_URL, or else the embedded one of this home.

    Raises `NoStack` when there is neither.
    """
    state = State.load(home or Home.current())
    address = os.environ.get("PREFECT_API_URL")
    if address and address != state.api_url:
        return _of_address(address, state.home, os.environ.get("OPTAIC_DATABASE_URL"))
    return recorded(state)


def recorded(state: State) -> Target:
    """Return the embedded stack of a home. Raises `NoStack`, which names what has died."""
    for name in ("postgres", "server"):
        service = state.services.get(name)
        if service is None:
            raise NoStack(state.home.root)
        if not alive(service):
            raise NoStack(state.home.root, because=died(service))
    return embedded(state)


def embedded(state: State) -> Target:
    """Return the target that a complete state describes."""
    port = state.services["server"].port
    assert port is not None
    assert state.socket_dir is not None
    ui_url, api_url = server.urls(port)
    database_url = postgres.url(state.socket_dir, "optaic")
    return Target(api_url=api_url, ui_url=ui_url, home=state.home, embedded=True, database_url=database_url)


def external(state: State) -> Target | None:
    """Return the servers of one's own, if PREFECT_API_URL and OPTAIC_DATABASE_URL name them.

    Those of the recorded embedded stack don't count. Raises `HalfExternal`.
    """
    address, database_url = os.environ.get("PREFECT_API_URL"), os.environ.get("OPTAIC_DATABASE_URL")
    if not database_url or (address and address == state.api_url):
        return None
    if not address:
        raise HalfExternal
    return _of_address(address, state.home, database_url)


def use(target: Target) -> None:
    """Make Prefect in this process, and in those that it starts, talk to a target; imported already or not."""
    os.environ.update(target.environment())
    if target.embedded:
        # A profile named by the shell would not be found in the stack's own PREFECT_HOME.
        os.environ.pop("PREFECT_PROFILE", None)
    # At the end of a process Prefect warns that an event is still on its way, and then waits for it.
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)
    if "prefect.context" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def checkout() -> Path:
    """Return the folder that holds the packages: that of `prefect.yaml`, where there is one."""
    return Path(__file__).resolve().parents[2]


def _of_address(address: str, home: Home, database_url: str | None) -> Target:
    ui_url = os.environ.get("PREFECT_UI_URL") or without_user(address.rstrip("/").removesuffix("/api"))
    return Target(api_url=address, ui_url=ui_url, home=home, embedded=False, database_url=database_url)
