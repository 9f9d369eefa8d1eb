"""What runs, for a person and for a script."""

from dataclasses import dataclass

from optaic.stack import postgres, server, worker
from optaic.stack.home import Home
from optaic.stack.processes import Record, alive
from optaic.stack.state import SERVICES, State


@dataclass(frozen=True)
class ServiceReport:
    """One service of the stack; `health` is `up`, `unwell` (runs, does not answer), `dead` or `stopped`."""

    name: str
    health: str
    address: str | None
    pid: int | None
    port: int | None
    since: str | None
    log: str


def report(home: Home) -> tuple[ServiceReport, ...]:
    """Look at each service of a home: its process, and whether it answers."""
    state = State.load(home)
    return tuple(_look(state, name) for name in SERVICES)


def _look(state: State, name: str) -> ServiceReport:
    record = state.services.get(name)
    if record is None:
        return ServiceReport(name, "stopped", None, None, None, None, str(state.home.log(name)))
    health = "dead" if not alive(record) else "up" if _answers(state, record) else "unwell"
    return ServiceReport(name, health, _address(state, record), record.pid, record.port, record.since, record.log)


def _answers(state: State, record: Record) -> bool:
    match record.name:
        case "postgres":
            return postgres.ready(record, state.home.postgres)
        case "server":
            return server.healthy(record)
        case _:
            return state.api_url is not None and worker.heard_of(record, state.api_url)


def _address(state: State, record: Record) -> str:
    match record.name:
        case "postgres":
            return postgres.url(state.socket_dir or "", "optaic")
        case "server":
            return server.urls(record.port or 0)[0]
        case _:
            return f"pool {worker.POOL}"
