"""Handles: the columns of an instance's row that name things outside, or the data that its runs leave.

One more handle is one more column here, made with `handle`, and its migration. All that lists, reads or sets handles
asks which columns of a row are made so; which types of instances have a column, the rows in tables.py say by the
class that they take over. The deployment of a flow is no handle in this sense: it is a column of the flow's row.
"""

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy.orm import Mapped, MappedColumn, class_mapper, mapped_column

from definitions.work.outcome import Outcome
from instances.errors import UnknownHandle

_MARK = "handle"  # in a column's info


class HandleKind(StrEnum):
    """What handles name."""

    OUTSIDE = "outside"
    DATA = "data"


def handle(kind: HandleKind) -> MappedColumn[Any]:
    """Return a column that is a handle."""
    return mapped_column(info={_MARK: kind})


class ModelHandles:
    """Of things outside that belong to a model; `mlflow_registered_model_name` from its first promotion on."""

    mlflow_experiment_id: Mapped[str | None] = handle(HandleKind.OUTSIDE)
    mlflow_registered_model_name: Mapped[str | None] = handle(HandleKind.OUTSIDE)
    evidently_project_id: Mapped[str | None] = handle(HandleKind.OUTSIDE)


class DataHandles:
    """Of instances that leave rows: how far those of the last recorded run reach."""

    last_data_date: Mapped[dt.date | None] = handle(HandleKind.DATA)
    row_count: Mapped[int | None] = handle(HandleKind.DATA)
    data_version: Mapped[str | None] = handle(HandleKind.DATA)


def data_handles(outcome: Outcome) -> dict[str, Any]:
    """Return what the `DataHandles` of an instance are after a run that left this."""
    return {
        "last_data_date": outcome.watermark,
        "row_count": outcome.row_count,
        "data_version": outcome.version,
    }


class _Row(Protocol):
    """The row of an instance."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...


def handles_of(row: type[_Row], kind: HandleKind | None = None) -> tuple[str, ...]:
    """Return the handles that rows of this type have columns for, of things outside first; or one kind of them."""
    kinds = (kind,) if kind is not None else tuple(HandleKind)
    columns = [column for table in class_mapper(row).tables for column in table.columns]
    return tuple(column.key for each in kinds for column in columns if column.info.get(_MARK) is each)


def outside_handles(row: _Row) -> dict[str, str]:
    """Return the handles of things outside that a row has, by name."""
    found = {name: getattr(row, name) for name in handles_of(type(row), HandleKind.OUTSIDE)}
    return {name: value for name, value in found.items() if value is not None}


def set_handles(row: _Row, handles: Mapping[str, Any]) -> None:
    """Set handles of an instance's row. Raises `UnknownHandle` for one that its type has no column for."""
    there = handles_of(type(row))
    for name, value in handles.items():
        if name not in there:
            raise UnknownHandle(row.name, row.type, name, there)
        setattr(row, name, value)
