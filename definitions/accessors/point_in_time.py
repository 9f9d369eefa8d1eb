"""The `point-in-time` accessor: reads revised data as it was known at a date."""

from collections.abc import Collection

import polars as pl

from definitions.accessors.selection import between, ordered, selected
from definitions.contract import Definition, Kind, ReadRequest, Resources, Store
from definitions.errors import StoreError
from definitions.parameters import NoParameters
from research.frames.revisions import as_known, point_in_time


class PointInTimeAccessor:
    """Reads, for each (date, entity), the newest row that was known at `as_of`; see `research.frames.revisions`.

    The rows keep their `knowledge_date`. With `as_known` they are dated by when they were known instead, and
    the dates asked for are those. A table without it is refused with a `StoreError`.
    """

    def read(self, store: Store, request: ReadRequest) -> pl.DataFrame:
        rows = selected(store, request)
        if problem := _unfit(NoParameters(), rows.collect_schema()):
            raise StoreError(problem)
        if request.as_known:
            return ordered(between(as_known(rows, as_of=request.as_of), request))
        return ordered(point_in_time(between(rows, request), as_of=request.as_of))


def _unfit(parameters: NoParameters, columns: Collection[str]) -> str | None:
    if "knowledge_date" in columns:
        return None
    return (
        "the rows have no knowledge_date, which the accessor 'point-in-time' reads by: "
        "use the accessor 'simple', or give the pipeline the column that says when a row became known"
    )


def _accessor(parameters: NoParameters, resources: Resources) -> PointInTimeAccessor:
    return PointInTimeAccessor()


POINT_IN_TIME = Definition(
    kind=Kind.ACCESSOR,
    name="point-in-time",
    version=1,
    summary="Reads revised data as it was known at a date: no look-ahead.",
    parameters=NoParameters,
    factory=_accessor,
    unfit=_unfit,
)
