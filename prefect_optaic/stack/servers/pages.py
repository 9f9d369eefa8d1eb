"""The pages of MLflow and of Evidently: servers of their own, started by `optaic up --with-ui`."""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from definitions.addresses import served
from prefect_optaic.stack.machine.environment import NO_TELEMETRY, inherited
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.machine.ports import HOST
from prefect_optaic.stack.machine.processes import Record, listens, spawn
from prefect_optaic.stack.servers import http_api as api

if TYPE_CHECKING:
    from instances.specification.platform_settings import PlatformSettings

STOP_SIGNALS = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))


@dataclass(frozen=True)
class Page:
    """One of them: its name as a service, as a person says it, and where it can be asked whether it is well."""

    name: str
    title: str
    usual_port: int
    health: str


MLFLOW = Page("mlflow", "MLflow", 5000, "/health")
EVIDENTLY = Page("evidently", "Evidently", 8000, "/api/version")
PAGES = {page.name: page for page in (MLFLOW, EVIDENTLY)}


def starters(home: Home, platform: "PlatformSettings") -> dict[str, Callable[[int], Record]]:
    """Return what starts each page on a port, by name; none for a server that has a page already."""
    uri, workspace = platform.mlflow_tracking_uri, platform.evidently_workspace
    found = dict[str, Callable[[int], Record]]()
    if uri is not None and "://" in uri and not served(uri):
        found[MLFLOW.name] = lambda port: _start_mlflow(home, uri=uri, artifacts=platform.artifacts, port=port)
    if workspace is not None and not served(workspace):
        found[EVIDENTLY.name] = lambda port: _start_evidently(home, workspace=workspace, port=port)
    return found


def healthy(record: Record) -> bool:
    """Does this very page, and not another server on the same port, answer?"""
    return record.port is not None and listens(record) and api.answers(url(record.port) + PAGES[record.name].health)


def url(port: int) -> str:
    """Return the address of a page."""
    return f"http://{HOST}:{port}"


def _start_mlflow(home: Home, *, uri: str, artifacts: str, port: int) -> Record:
    env = {
        **inherited(),
        **NO_TELEMETRY,
        "MLFLOW_BACKEND_STORE_URI": uri,  # not an argument: it may hold a password, which `ps` would show
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    # fmt: off
    command = [
        sys.executable, "-P", "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1",
        "--default-artifact-root", artifacts, "--no-serve-artifacts",
    ]
    # fmt: on
    return spawn(MLFLOW.name, command, log=home.log(MLFLOW.name), cwd=home.root, env=env, port=port)


def _start_evidently(home: Home, *, workspace: str, port: int) -> Record:
    from flows.integrations.evidently_monitoring import set_aside_half_files

    set_aside_half_files(workspace)
    # fmt: off
    command = [
        sys.executable, "-P", "-m", "prefect_optaic.stack.servers.evidently_page", "ui",
        "--workspace", workspace, "--host", HOST, "--port", str(port),
    ]
    # fmt: on
    env = {**inherited(), **NO_TELEMETRY}
    return spawn(EVIDENTLY.name, command, log=home.log(EVIDENTLY.name), cwd=home.root, env=env, port=port)
