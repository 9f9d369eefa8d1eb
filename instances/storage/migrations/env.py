"""Alembic's entry: runs the migrations on the connection that `instances.storage.migrations` hands over."""

from alembic import context

from instances.storage.migrations.view_changes import add_view_changes
from instances.storage.tables import SCHEMA, Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=lambda name, type_, _: name == SCHEMA if type_ == "schema" else True,
    compare_type=True,
    compare_server_default=True,
    process_revision_directives=add_view_changes,
)
with context.begin_transaction():
    context.run_migrations()
