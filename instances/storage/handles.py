"""Handles: what an instance's row holds of things outside, and of the data that its runs leave."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import inspect

from instances.errors import UnknownHandle
from instances.storage.tables import DATA_HANDLES, HANDLES, InstanceRow


def handles_of(row: type[InstanceRow]) -> tuple[str, ...]:
    """Return the handles that rows of this type have a column for."""
    columns = inspect(row).columns
    return tuple(name for name in (*HANDLES, *DATA_HANDLES) if name in columns)


def set_handles(row: InstanceRow, handles: Mapping[str, Any]) -> None:
    """Set handles of an instance's row. Raises `UnknownHandle` for one that its type has no column for."""
    there = handles_of(type(row))
    for name, value in handles.items():
        if name not in there:
            raise UnknownHandle(row.name, row.type, name, there)
        setattr(row, name, value)
