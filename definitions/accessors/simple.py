"""The `simple` accessor: reads a table whose rows are never revised."""

from collections.abc import Collection

import polars as pl

from definitions.accessors.selection import between, ordered, selected
from definitions.contract import Definition, Kind, ReadRequest, Resources, Store
from definitions.errors import StoreError
from definitions.parameters import NoParameters


class SimpleAccessor:
    """Reads `date`, `entity` and value columns; each row counts as known on its own date.

    So `as_of` hides the rows with a later date, and `as_known` changes nothing. A table with
    `knowledge_date` may hold several rows for one (date, entity), now or later, and is refused with a
    `StoreError`.
    """

    def read(self, store: Store, request: ReadRequest) -> pl.DataFrame:
        rows = selected(store, request)
        if problem := _unfit(NoParameters(), rows.collect_schema()):
            raise StoreError(problem)
        if request.as_of is not None:
            rows = rows.filter(pl.col("date") <= request.as_of)
        return ordered(between(rows, request))


def _unfit(parameters: NoParameters, columns: Collection[str]) -> str | None:
    if "knowledge_date" not in columns:
        return None
    return (
        "the rows have a knowledge_date, so they may be revised, and the accessor 'simple' can't say "
        "which revision to read: use the accessor 'point-in-time'"
    )


def _accessor(parameters: NoParameters, resources: Resources) -> SimpleAccessor:
    return SimpleAccessor()


SIMPLE = Definition(
    kind=Kind.ACCESSOR,
    name="simple",
    version=1,
    summary="Reads a table whose rows are never revised.",
    parameters=NoParameters,
    factory=_accessor,
    unfit=_unfit,
)
