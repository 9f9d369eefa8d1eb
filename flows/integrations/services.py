"""What every flow and every command needs, opened together and closed together."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from definitions.contract import Resources
from definitions.registry import Registry, default_registry
from flows.integrations.platform_reader import BlockCredentials, read_platform
from flows.integrations.prefect_api import PrefectApi
from instances.errors import OptaicError
from instances.specification.platform_settings import PlatformSettings
from instances.storage.advisory_locks import Lock, holder, try_to_take
from instances.storage.ledger import Ledger
from instances.storage.migrations import require_current
from instances.storage.repository import Repository
from instances.world.wording import span

if TYPE_CHECKING:  # they bring Polars along, which a command that only looks does not need
    from flows.integrations.evidently_monitoring import Monitoring
    from flows.integrations.mlflow_tracking import Tracking
    from instances.storage.writer import Writer


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

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"the extension database does not answer: {' '.join(cause.split())}. What was done before it stays; "
            "look whether Postgres runs (`optaic stack` shows the embedded one), and try again."
        )


@dataclass(frozen=True)
class Services:
    """All that a flow or a command talks to, open: Prefect, the extension database, the definitions and the rest."""

    prefect: PrefectApi
    platform: PlatformSettings
    engine: Engine

    @cached_property
    def repository(self) -> Repository:
        return Repository(self.engine)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.engine)

    @cached_property
    def writer(self) -> "Writer":
        from instances.storage.writer import Writer

        return Writer(self.engine)

    @property
    def registry(self) -> Registry:
        """The definitions of all installed packages, which are imported when they are first asked for."""
        return default_registry()

    @cached_property
    def resources(self) -> Resources:
        """What definitions need of the platform."""
        credentials = BlockCredentials(self.prefect.address)
        return Resources(data_root=self.platform.data_root, instance="", credentials=credentials)

    @property
    def owner_tag(self) -> str:
        """What resources made from this database carry, so that those of others are never touched."""
        return f"optaic-{self.repository.installation().hex[:12]}"

    @cached_property
    def tracking(self) -> "Tracking":
        """MLflow, opened when first asked for. Raises `NotConfigured`, `TrackingError`."""
        from flows.integrations.mlflow_tracking import Tracking

        uri = self.platform.mlflow_tracking_uri
        if uri is None:
            raise NotConfigured("MLflow", "mlflow_tracking_uri")
        return Tracking(uri, artifacts=self.platform.artifacts, owner_tag=self.owner_tag)

    @cached_property
    def monitoring(self) -> "Monitoring":
        """Evidently, opened when first asked for. Raises `NotConfigured`, `MonitoringError`."""
        from flows.integrations.evidently_monitoring import Monitoring

        workspace = self.platform.evidently_workspace
        if workspace is None:
            raise NotConfigured("Evidently", "evidently_workspace")
        return Monitoring(workspace, owner_tag=self.owner_tag)

    @asynccontextmanager
    async def exclusive(
        self, patience: dt.timedelta = dt.timedelta(minutes=5), waits: Callable[[str], None] = lambda message: None
    ) -> AsyncIterator[Callable[[], None]]:
        """Keep every other apply on this database waiting.

        Yields what raises `NotAlone` once the lock is lost. `waits` gets a message when another apply is under way.
        Raises `ApplyUnderWay` when that takes too long.
        """
        with holder(self.engine) as connection:
            deadline = time.monotonic() + patience.total_seconds()
            announced = False
            while not try_to_take(connection, Lock.APPLY):
                if time.monotonic() > deadline:
                    raise ApplyUnderWay(patience)
                if not announced:
                    waits(f"another apply is under way; waiting up to {span(patience)}")
                announced = True
                await asyncio.sleep(0.2)

            def check() -> None:
                try:
                    connection.scalar(select(1))  # after a loss it fails for good: it is not opened again
                except SQLAlchemyError as error:
                    raise NotAlone from error

            yield check


@asynccontextmanager
async def opened(platform: PlatformSettings | None = None) -> AsyncIterator[Services]:
    """Open everything for the length of a block; the platform is that of the Platform block, unless it is given.

    Raises `NoPrefectServer`, `PrefectSilent`, `NoPlatform`, `UnreadablePlatform`, `NotMigrated`, `DatabaseLost`.
    """
    async with PrefectApi() as prefect:
        platform = platform or await read_platform(prefect)
        engine = create_engine(platform.database_url, pool_pre_ping=True)
        try:
            with engine.connect() as connection:
                require_current(connection)
            yield Services(prefect, platform, engine)
        except OperationalError as error:
            raise DatabaseLost(str(error.orig)) from error
        finally:
            engine.dispose()
