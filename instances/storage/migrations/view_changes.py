"""Changes of views, as steps of a new migration: Alembic itself compares tables only."""

from collections.abc import Iterable, Mapping
from typing import Any

from alembic.operations.ops import ExecuteSQLOp, MigrationScript
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from instances.storage.tables import SCHEMA
from instances.storage.views import VIEWS


def add_view_changes(context: MigrationContext, revision: Any, directives: list[MigrationScript]) -> None:
    """Add what brings the views from those that there are to those that this code has, round the changes of tables."""
    assert context.connection is not None
    before = _there(context.connection)
    changed = {name for name in before.keys() | VIEWS.keys() if not _same(context.connection, name, before)}
    (script,) = directives
    for ops, old, new in ((script.upgrade_ops, before, VIEWS), (script.downgrade_ops, VIEWS, before)):
        assert ops is not None
        ops.ops[:] = [*_dropped(changed & old.keys()), *ops.ops, *_created(changed & new.keys(), new)]


def _there(connection: Connection) -> dict[str, str]:
    views = text("SELECT viewname, definition FROM pg_views WHERE schemaname = :schema")
    return {name: definition.rstrip(";") for name, definition in connection.execute(views, {"schema": SCHEMA})}


def _same(connection: Connection, name: str, before: Mapping[str, str]) -> bool:
    """Say whether a view is there as this code has it: Postgres, which words it anew, is asked to word both."""
    if name not in before or name not in VIEWS:
        return False
    attempt = connection.begin_nested()
    try:
        connection.execute(text(f"DROP VIEW {SCHEMA}.{name}"))
        connection.execute(text(_create(name, VIEWS[name])))
        return _there(connection)[name] == before[name]
    except ProgrammingError:  # a column that it has is only made by the new migration
        return False
    finally:
        attempt.rollback()


def _create(name: str, select: str) -> str:
    return f"CREATE VIEW {SCHEMA}.{name} AS\n{select}"


def _created(names: Iterable[str], views: Mapping[str, str]) -> list[ExecuteSQLOp]:
    return [ExecuteSQLOp(_create(name, views[name])) for name in sorted(names)]


def _dropped(names: Iterable[str]) -> list[ExecuteSQLOp]:
    return [ExecuteSQLOp(f"DROP VIEW {SCHEMA}.{name}") for name in sorted(names)]
