"""Alembic migrations of the extension schema, and the three things done with them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from instances.errors import NotMigrated
from instances.storage.advisory_locks import Lock, take
from instances.storage.tables import SCHEMA


def config(connection: Connection | None = None) -> Config:
    """Return an Alembic config that needs no ini file; `connection` is what migrations run on."""
    result = Config()
    result.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    result.attributes["connection"] = connection
    return result


def upgrade(engine: Engine) -> None:
    """Bring the extension schema to this code's version; safe to call from many processes at once."""
    with engine.begin() as connection:
        take(connection, Lock.MIGRATION)
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        command.upgrade(config(connection), "head")


def require_current(connection: Connection) -> None:
    """Raise `NotMigrated` unless the schema is at this code's version."""
    wanted = ScriptDirectory.from_config(config()).get_current_head() or "none"
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    found = context.get_current_revision()
    if found != wanted:
        raise NotMigrated(found, wanted)
