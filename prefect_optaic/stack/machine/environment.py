"""The environments of the stack's processes: what is inherited, what is set."""

import os
from collections.abc import Mapping
from pathlib import Path

# Settings of the shell that would lead a process of the stack elsewhere; the others are passed on.
_FOREIGN = (
    "PREFECT_API_",
    "PREFECT_SERVER_API_",
    "PREFECT_SERVER_DATABASE_",
    "PREFECT_SERVER_UI_",
    "PREFECT_UI_",
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "PREFECT_PROFILE",
    "PREFECT_HOME",
    "PREFECT__",
    "PG",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_",
    "MLFLOW_BACKEND_",
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_",
)

NO_TELEMETRY: Mapping[str, str] = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}


def inherited() -> dict[str, str]:
    """Return this process's environment without what would lead a process of the stack elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def of_client(*, api_url: str, ui_url: str, prefect_home: Path | None) -> dict[str, str]:
    """Return what makes a Prefect client talk to one server."""
    home = {} if prefect_home is None else {"PREFECT_HOME": str(prefect_home)}
    return {"PREFECT_API_URL": api_url, "PREFECT_UI_URL": ui_url, **home, **NO_TELEMETRY}
