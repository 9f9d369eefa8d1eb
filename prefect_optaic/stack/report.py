"""What runs, for a person and for a script."""

from dataclasses import dataclass

from definitions.addresses import redacted
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.machine.processes import Record, alive
from prefect_optaic.stack.machine.state import PAGES, SERVICES, State
from prefect_optaic.stack.prepare import database_answers
from prefect_optaic.stack.servers import http_api as api
from prefect_optaic.stack.servers import pages, postgres, worker
from prefect_optaic.stack.servers import prefect_server as server
from prefect_optaic.stack.target import external


@dataclass(frozen=True)
class ServiceReport:
    """One service of the stack; `health` is `up`, `unwell` (does not answer), `dead` or `stopped`.

    A server of one's own has no pid, port, start or log that could be known here.
    """

    name: str
    health: str
    address: str | None
    pid: int | None
    port: int | None
    since: str | None
    log: str | None


def report(home: Home) -> tuple[ServiceReport, ...]:
    """Look at each service: its process, and whether it answers. Those of one's own if the environment names them."""
    state = State.load(home)
    own = external(state)
    if own is not None:
        database, server_address = redacted(own.database_url or ""), redacted(own.api_url)
        return (
            _look_at_own("postgres", database, database_answers(own)),
            _look_at_own("server", server_address, api.healthy(own.api_url)),
        )
    return tuple(_look(state, name) for name in SERVICES if name not in PAGES or name in state.services)


def _look_at_own(name: str, address: str, answers: bool) -> ServiceReport:
    return ServiceReport(name, "up" if answers else "unwell", address, None, None, None, None)


def _look(state: State, name: str) -> ServiceReport:
    record = state.services.get(name)
    if record is None:
        return ServiceReport(name, "stopped", None, None, None, None, str(state.home.log(name)))
    health = "dead" if not alive(record) else "up" if _answers(state, record) else "unwell"
    port = None if name == "worker" else record.port
    return ServiceReport(name, health, _address(state, record), record.pid, port, record.since, record.log)


def _answers(state: State, record: Record) -> bool:
    match record.name:
        case "postgres":
            return postgres.ready(record, state.home.postgres)
        case "server":
            return server.healthy(record)
        case name if name in PAGES:
            return pages.healthy(record)
        case _:
            return state.api_url is not None and worker.has_heartbeat(record, state.api_url)


def _address(state: State, record: Record) -> str:
    match record.name:
        case "postgres":
            return postgres.url(state.socket_dir or "", "optaic")
        case "server":
            return server.urls(record.port or 0)[0]
        case name if name in PAGES:
            return pages.url(record.port or 0)
        case _:
            return f"pool {worker.POOL}"
