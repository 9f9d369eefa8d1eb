"""What every flow needs of the platform: the extension database, the definitions, the secrets."""

import asyncio
import datetime as dt
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property

from prefect.blocks.system import Secret
from prefect.utilities.asyncutils import run_coro_as_sync
from prefect_sqlalchemy import SqlAlchemyConnector
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from blocks.platform import PLATFORM, Platform, connector_url
from definitions.contract import Resources
from definitions.errors import MissingSecret
from definitions.registry import Registry, default_registry
from flows.integrations.evidently_monitoring import Monitoring
from flows.integrations.mlflow_tracking import Tracking
from instances.errors import OptaicError
from instances.storage.advisory_locks import Lock, holder, try_to_take
from instances.storage.ledger import Ledger
from instances.storage.migrations import require_current
from instances.storage.repository import Repository
from instances.storage.writer import Writer
from instances.world.wording import span


class NoPlatform(OptaicError):
    """The Platform block is not there, so nobody knows where the extension data is."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no Platform block named {name!r} on this Prefect server. "
            "Run `optaic up`; with PREFECT_API_URL and OPTAIC_DATABASE_URL set it prepares servers of your own."
        )


class NotConfigured(OptaicError):
    """The Platform block does not say where a server is that is needed."""

    def __init__(self, server: str, field: str) -> None:
        super().__init__(
            f"no {server} is configured: set the field {field} of the Platform block. `optaic up` sets it, with "
            f"servers of your own to OPTAIC_{field.upper()}."
        )


class ApplyUnderWay(OptaicError):
    """Another apply on the same extension database has not ended."""

    def __init__(self, waited: dt.timedelta) -> None:
        super().__init__(
            f"another apply is under way on this extension database, and did not end within {span(waited)}. "
            "Try again when it has; if its process is gone, Postgres frees the lock by itself."
        )


class NotAlone(OptaicError):
    """The lock of an apply is lost, and with it the certainty that no other is under way."""

    def __init__(self) -> None:
        super().__init__(
            "the connection that keeps other applies waiting was lost, so this one stops. "
            "What was done before it stays; apply again."
        )


class DatabaseLost(OptaicError):
    """The extension database does not answer, or not any more."""

    def __init__(self, told: str) -> None:
        super().__init__(
            f"the extension database does not answer: {' '.join(told.split())}. What was done before it stays; "
            "look whether Postgres runs (`optaic stack` shows the embedded one), and try again."
        )


class BlockCredentials:
    """Secrets from Prefect blocks."""

    def secret(self, block_name: str) -> str:
        try:
            block: Secret[str] = run_coro_as_sync(Secret.aload(block_name))
            return str(block.get())
        except ValueError as error:
            raise MissingSecret("Secret", block_name) from error

    def database_url(self, block_name: str) -> str:
        try:
            connector = run_coro_as_sync(SqlAlchemyConnector.aload(block_name))
        except ValueError as error:
            raise MissingSecret("SqlAlchemyConnector", block_name) from error
        assert isinstance(connector, SqlAlchemyConnector)
        return connector_url(connector)


@dataclass(frozen=True)
class Services:
    """The platform, opened."""

    platform: Platform
    engine: Engine
    repository: Repository
    ledger: Ledger
    writer: Writer
    registry: Registry
    resources: Resources

    @property
    def owner_tag(self) -> str:
        """What things made from this database carry, so that those of others are never touched."""
        return f"optaic-{self.repository.installation().hex[:12]}"

    @cached_property
    def tracking(self) -> Tracking:
        """MLflow, opened when first asked for. Raises `NotConfigured`, `TrackingError`."""
        uri = self.platform.tracking_uri
        if uri is None:
            raise NotConfigured("MLflow", "mlflow_tracking_uri")
        return Tracking(uri, artifacts=self.platform.artifacts, owner_tag=self.owner_tag)

    @cached_property
    def monitoring(self) -> Monitoring:
        """Evidently, opened when first asked for. Raises `NotConfigured`, `MonitoringError`."""
        workspace = self.platform.evidently_workspace
        if workspace is None:
            raise NotConfigured("Evidently", "evidently_workspace")
        return Monitoring(workspace, owner_tag=self.owner_tag)

    @asynccontextmanager
    async def exclusive(
        self, patience: dt.timedelta = dt.timedelta(minutes=5), waits: Callable[[str], None] = lambda told: None
    ) -> AsyncIterator[Callable[[], None]]:
        """Keep every other apply on this database waiting.

        Yields what raises `NotAlone` once the lock is lost. `waits` is told when another apply is under way.
        Raises `ApplyUnderWay` when that takes too long.
        """
        with holder(self.engine) as connection:
            deadline = time.monotonic() + patience.total_seconds()
            told = False
            while not try_to_take(connection, Lock.APPLY):
                if time.monotonic() > deadline:
                    raise ApplyUnderWay(patience)
                if not told:
                    waits(f"another apply is under way; waiting up to {span(patience)}")
                told = True
                await asyncio.sleep(0.2)

            def check() -> None:
                try:
                    connection.scalar(select(1))  # after a loss it fails for good: it is not opened again
                except SQLAlchemyError as error:
                    raise NotAlone from error

            yield check


async def load_platform(name: str | None = None) -> Platform:
    """Return the platform block; `NoPlatform` when it is not there."""
    wanted = name or os.environ.get("OPTAIC_PLATFORM", PLATFORM)
    try:
        return await Platform.aload(wanted)
    except ValueError as error:
        raise NoPlatform(wanted) from error


@contextmanager
def opened(platform: Platform) -> Iterator[Services]:
    """Open the platform for the length of a block. Raises `NotMigrated`, `DatabaseLost`."""
    engine = platform.engine()
    try:
        with engine.connect() as connection:
            require_current(connection)
        yield Services(
            platform=platform,
            engine=engine,
            repository=Repository(engine),
            ledger=Ledger(engine),
            writer=Writer(engine),
            registry=default_registry(),
            resources=Resources(data_root=platform.data_root, instance="", credentials=BlockCredentials()),
        )
    except OperationalError as error:
        raise DatabaseLost(str(error.orig)) from error
    finally:
        engine.dispose()
