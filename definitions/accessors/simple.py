"""The `simple` accessor: reads a table whose rows are never revised."""

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
        if "knowledge_date" in rows.collect_schema():
            raise StoreError(
                "the table has a knowledge_date, so its rows may be revised, and the accessor 'simple' can't say "
                "which revision to read: use the accessor 'point-in-time'"
            )
        if request.as_of is not None:
            rows = rows.filter(pl.col("date") <= request.as_of)
        return ordered(between(rows, request))


def _accessor(parameters: NoParameters, resources: Resources) -> SimpleAccessor:
    return SimpleAccessor()


SIMPLE = Definition(
    kind=Kind.ACCESSOR,
    name="simple",
    version=1,
    summary="Reads a table whose rows are never revised.",
    parameters=NoParameters,
    factory=_accessor,
)
