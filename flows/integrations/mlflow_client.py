"""The edge to MLflow: its client, opened with care, and its errors in our words."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from definitions.addresses import redacted
from instances.errors import OptaicError
from instances.storage.advisory_locks import Lock, held
from research.errors import first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CONNECT_SECONDS = 10
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # MLflow's own 7 take minutes where no server is
}


class TrackingError(OptaicError):
    """MLflow does not answer, or does not do what is asked of it."""

    remedy = (
        "Check that it runs and lets this machine in; the field mlflow_tracking_uri of the Platform block says "
        "where it is."
    )

    def __init__(self, uri: str, doing: str, why: str) -> None:
        super().__init__(
            f"MLflow at {redacted(uri)} could not {doing}: {redacted(why).strip().rstrip('.')}. {self.remedy}"
        )


class DeletedInMlflow(TrackingError):
    """MLflow answers, and does not have what it is asked for any more."""

    remedy = (
        "It was deleted there: restore it in MLflow. Where that is too late, `optaic run MODEL train --force` makes "
        "a new version, and `optaic promote` its champion."
    )


def is_database(uri: str) -> bool:
    """Is MLflow at this URI a database that its clients open themselves, not a server?"""
    return uri.startswith(("postgresql", "mysql", "mssql", "sqlite"))


def opened(uri: str) -> "MlflowClient":
    """Return a client; a database gets MLflow's tables first, where it has none. Raises `TrackingError`."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # of which MLflow makes its tables
    with translated(uri, "be opened"), _alone(uri):
        from mlflow import MlflowClient

        # It warns of every pickled model; who can write models can also write definitions, which are code.
        logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def translated(uri: str, doing: str) -> Iterator[None]:
    """Say in our words what went wrong in the block."""
    try:
        yield
    except (SQLAlchemyError, OSError, ImportError) as error:
        raise TrackingError(uri, doing, first_line(error)) from error
    except Exception as error:
        from mlflow.exceptions import MlflowException

        if not isinstance(error, MlflowException):
            raise
        kind = DeletedInMlflow if error.error_code == "RESOURCE_DOES_NOT_EXIST" else TrackingError
        raise kind(uri, doing, first_line(error)) from error


@contextmanager
def fluent(uri: str) -> Iterator[None]:
    """Lead what of MLflow has no client of its own, for the length of a block, to this URI."""
    import mlflow

    # None for none, which MLflow takes though its types don't say so.
    before: Any = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None  # type: ignore[no-untyped-call]
    # MLflow writes the URIs, passwords included, into the environment, for processes that it starts.
    environment = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        mlflow.set_registry_uri(environment["MLFLOW_REGISTRY_URI"] or "")
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Keep others on this Postgres database waiting: two that make MLflow's tables at once would fail.

    A database that can't be connected to is an error at once; MLflow itself would try for minutes.
    """
    if not uri.startswith("postgresql"):
        yield
        return
    engine = create_engine(uri, poolclass=NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS})
    with held(engine, Lock.MLFLOW_TABLES):
        yield
