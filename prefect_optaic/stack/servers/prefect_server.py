"""The Prefect server of the stack: its API, its UI and its services in one process."""

import signal
import sys
from pathlib import Path

from prefect_optaic.stack.machine.environment import NO_TELEMETRY, inherited
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.machine.ports import HOST
from prefect_optaic.stack.machine.processes import Record, listens, spawn
from prefect_optaic.stack.servers import http_api as api
from prefect_optaic.stack.servers import postgres

USUAL_PORT = 4200
STOP_SIGNALS = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0))


def start(home: Home, *, socket_dir: Path, port: int) -> Record:
    """Start a Prefect server on the embedded Postgres; it is not ready yet."""
    ui_url, api_url = urls(port)
    env = {
        **inherited(),
        **NO_TELEMETRY,
        # For each schedule that it reads or writes, Prefect looks through the folders of time zones, which takes
        # 20 ms; the package tzdata has them as a list.
        "PYTHONTZPATH": "",
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres.url(socket_dir, "prefect", "asyncpg"),
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_UI_API_URL": api_url,
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_UI_URL": ui_url,
    }
    command = [sys.executable, "-P", "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    return spawn("server", command, log=home.log("server"), cwd=home.root, env=env, port=port)


def healthy(record: Record) -> bool:
    """Does this very server, and not another one on the same port, answer?"""
    return listens(record) and record.port is not None and api.healthy(urls(record.port)[1])


def urls(port: int) -> tuple[str, str]:
    """Return the addresses of the UI and of the API."""
    return f"http://{HOST}:{port}", f"http://{HOST}:{port}/api"
