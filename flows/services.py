"""What every flow needs of the platform: the extension database, the definitions, the secrets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from prefect.blocks.system import Secret
from prefect.utilities.asyncutils import run_coro_as_sync
from prefect_sqlalchemy import SqlAlchemyConnector
from sqlalchemy import Engine

from blocks.platform import PLATFORM, Platform, connector_url
from definitions.contract import Resources
from definitions.errors import MissingSecret
from definitions.registry import Registry, default_registry
from instances.errors import OptaicError
from instances.ledger import Ledger
from instances.migrations import require_current
from instances.repository import Repository


class NoPlatform(OptaicError):
    """The Platform block is not there, so nobody knows where the extension data is."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no Platform block named {name!r} on this Prefect server. "
            "Run `optaic up`; with PREFECT_API_URL and OPTAIC_DATABASE_URL set it prepares servers of your own."
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

    engine: Engine
    repository: Repository
    ledger: Ledger
    registry: Registry
    resources: Resources

    def resources_for(self, instance: str) -> Resources:
        """Return what the plugins of one instance need."""
        return replace(self.resources, instance=instance)


async def load_platform(name: str | None = None) -> Platform:
    """Return the platform block; `NoPlatform` when it is not there."""
    wanted = name or os.environ.get("OPTAIC_PLATFORM", PLATFORM)
    try:
        return await Platform.aload(wanted)
    except ValueError as error:
        raise NoPlatform(wanted) from error


@contextmanager
def opened(platform: Platform) -> Iterator[Services]:
    """Open the platform for the length of a block. Raises `NotMigrated`."""
    engine = platform.engine()
    try:
        with engine.connect() as connection:
            require_current(connection)
        yield Services(
            engine=engine,
            repository=Repository(engine),
            ledger=Ledger(engine),
            registry=default_registry(),
            resources=Resources(data_root=platform.data_root, instance="", credentials=BlockCredentials()),
        )
    finally:
        engine.dispose()
