"""The `point-in-time` accessor: reads revised data as it was known at a date."""

import polars as pl

from definitions.accessors.selection import ordered, selected
from definitions.contract import Definition, Kind, ReadRequest, Resources, Store
from definitions.errors import StoreError
from definitions.parameters import NoParameters
from research.point_in_time import point_in_time


class PointInTimeAccessor:
    """Reads, for each (date, entity), the newest row that was known at `as_of`; see `research.point_in_time`.

    The rows keep their `knowledge_date`. A table without it is refused with a `StoreError`.
    """

    def read(self, store: Store, request: ReadRequest) -> pl.DataFrame:
        rows = selected(store, request)
        if "knowledge_date" not in rows.collect_schema():
            raise StoreError(
                "the table has no knowledge_date, which the accessor 'point-in-time' reads by: "
                "use the accessor 'simple', or give the pipeline the column that says when a row became known"
            )
        return ordered(point_in_time(rows, as_of=request.as_of))


def _accessor(parameters: NoParameters, resources: Resources) -> PointInTimeAccessor:
    return PointInTimeAccessor()


POINT_IN_TIME = Definition(
    kind=Kind.ACCESSOR,
    name="point-in-time",
    version=1,
    summary="Reads revised data as it was known at a date: no look-ahead.",
    parameters=NoParameters,
    factory=_accessor,
)
