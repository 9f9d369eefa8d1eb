"""The process worker of the stack."""

import datetime as dt
import os
import signal
import sys
import tempfile
from pathlib import Path

from prefect_optaic.stack.machine.environment import inherited, of_client
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.machine.processes import Record, spawn, wait_until
from prefect_optaic.stack.servers import http_api as api
from prefect_optaic.stack.servers.prefect_server import urls

POOL = "optaic"
NAME = "local"
STOP_SIGNALS = ((signal.SIGTERM, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


def start(home: Home, *, server_port: int) -> Record:
    """Start a worker of the pool `optaic`; it is not ready yet."""
    ui_url, api_url = urls(server_port)
    env = {
        **inherited(),
        **of_client(api_url=api_url, ui_url=ui_url, prefect_home=home.prefect),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "TMPDIR": str(_temporary()),
    }
    # fmt: off
    command = [
        sys.executable, "-P", "-m", "prefect", "worker", "start",
        "--pool", POOL, "--type", "process", "--name", NAME, "--no-create-pool-if-not-found",
    ]
    # fmt: on
    return spawn("worker", command, log=home.log("worker"), cwd=home.root, env=env, port=server_port)


def _temporary() -> Path:
    """Return a temporary folder of this user: Prefect's runner fails where another user made /tmp/runner_storage."""
    folder = Path(tempfile.gettempdir()) / f"optaic-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    mine = folder.stat().st_uid == os.getuid() and not folder.is_symlink()
    return folder if mine else Path(tempfile.mkdtemp(prefix="optaic-"))


def wait_ready(record: Record, api_url: str, *, needs: Record) -> None:
    """Wait until the server has heard of the worker. Raises `ServiceDied` or `ServiceSlow`."""
    wait_until(record, lambda: has_heartbeat(record, api_url), patience_seconds=120, needs=[needs])


def has_heartbeat(record: Record, api_url: str) -> bool:
    """Has the server had a heartbeat of this very worker, and not too long ago?"""
    since = dt.datetime.fromisoformat(record.since)
    return any(
        worker["name"] == NAME
        and worker["status"] == "ONLINE"
        and dt.datetime.fromisoformat(worker["last_heartbeat_time"]) >= since
        for worker in api.workers(api_url, POOL)
    )
