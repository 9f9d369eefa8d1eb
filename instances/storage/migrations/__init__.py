"""Alembic migrations of the extension schema, and the three things done with them.

Alembic is imported by those who migrate. Whether the schema is current is asked at the beginning of every command
and of every run, in which that import would be half of the time.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from instances.errors import NotMigrated
from instances.storage.advisory_locks import Lock, take
from instances.storage.tables import SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent


def config(connection: Connection | None = None) -> "Config":
    """Return an Alembic config that needs no ini file; `connection` is what migrations run on."""
    from alembic.config import Config

    result = Config()
    result.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    result.attributes["connection"] = connection
    return result


def upgrade(engine: Engine) -> None:
    """Bring the extension schema to this code's version; safe to call from many processes at once."""
    from alembic import command

    with engine.begin() as connection:
        take(connection, Lock.MIGRATION)
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        command.upgrade(config(connection), "head")


def head() -> str:
    """Return the version of this code's schema: that of the last migration, by which its file is named."""
    return max(file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def require_current(connection: Connection) -> None:
    """Raise `NotMigrated` unless the schema is at this code's version."""
    there = connection.scalar(text(f"SELECT to_regclass('{SCHEMA}.alembic_version') IS NOT NULL"))
    found = connection.scalar(text(f"SELECT version_num FROM {SCHEMA}.alembic_version")) if there else None
    if found != head():
        raise NotMigrated(found, head())
