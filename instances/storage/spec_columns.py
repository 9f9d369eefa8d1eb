"""Fields in columns: what is particular to a type of instances, in the table of that type, for whoever asks by SQL.

The whole spec in the base row is what counts; nothing of this project reads these columns but the views. Postgres
can't generate a column from another table's, so the writer fills them, each time that it writes a spec: they are
JSON, so that whatever a spec may hold they can hold. Which fields a type has columns for is what its class in
`instances.specification.fields` has; a test holds the two to each other.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, MappedColumn, class_mapper, mapped_column

_MARK = "of_spec"  # in a column's info


class _Row(Protocol):
    """The row of an instance."""


def of_spec(*, nullable: bool = True) -> MappedColumn[Any]:
    """Return a column that repeats the field of its name of the spec."""
    return mapped_column(JSONB(none_as_null=True), nullable=nullable, info={_MARK: True})


class SignalColumns:
    signal_spec: Mapped[Any] = of_spec(nullable=False)


class ExperimentColumns:
    date_range: Mapped[Any] = of_spec()
    universe: Mapped[Any] = of_spec()


class ModelColumns:
    target: Mapped[Any] = of_spec()
    validation: Mapped[Any] = of_spec()
    promotion: Mapped[Any] = of_spec()
    monitoring: Mapped[Any] = of_spec()
    retrain_on_drift: Mapped[Any] = of_spec()
    champion_max_age: Mapped[Any] = of_spec()
    train: Mapped[Any] = of_spec()
    infer: Mapped[Any] = of_spec()
    monitor: Mapped[Any] = of_spec()


class PortfolioOptimizerColumns:
    settings: Mapped[Any] = of_spec()


class BacktestColumns:
    assets: Mapped[Any] = of_spec()
    signals: Mapped[Any] = of_spec()
    optimizer: Mapped[Any] = of_spec()
    benchmark: Mapped[Any] = of_spec()
    date_range: Mapped[Any] = of_spec()
    config: Mapped[Any] = of_spec()


def spec_columns(row: type[_Row]) -> tuple[str, ...]:
    """Return the fields of the spec that rows of this type have columns for."""
    return tuple(column.key for table in class_mapper(row).tables for column in table.columns if column.info.get(_MARK))


def of_spec_values(row: type[_Row], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what these columns are by a spec, as JSON."""
    return {name: spec[name] for name in spec_columns(row) if name in spec}
