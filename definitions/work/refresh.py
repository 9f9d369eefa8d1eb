"""Refreshing a store from its pipeline."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace

import polars as pl

from definitions.contract import ExtractRequest, Input, Pipeline, Store, StoreVersion
from definitions.errors import StoreConflict
from definitions.markdown_table import frame_table
from definitions.work.commits import until_committed
from definitions.work.outcome import Outcome, rows_left

Describe = Callable[[pl.DataFrame | None, pl.DataFrame], list[str]]  # of the rows before and now, in Markdown


def refresh(
    pipeline: Pipeline,
    store: Store,
    *,
    inputs: Sequence[Input] = (),
    missing: Sequence[str] = (),
    everything: bool = False,
    check: Callable[[pl.DataFrame, StoreVersion | None], object] | None = None,
    describe: Describe | None = None,
) -> Outcome:
    """Bring a store up to date with its pipeline.

    Reads what is newer than the store's watermark; with `everything` all of it, and what the pipeline no
    longer gives is dropped. `check` sees the new rows before they are committed, and the version whose other rows
    stay, if any do; it raises if they must not be. `describe` says more of what is there now, and was before, than
    the last rows. A pipeline with inputs always computes all of its rows: a revised input may change any of them.
    Where another refresh commits meanwhile, the source is asked again: what was read before is older than that.
    Raises `SourceError`, `StoreError`, and what `check` raises; then nothing is committed.
    """
    whole = everything or bool(inputs)

    def read_and_write() -> tuple[pl.DataFrame, StoreVersion | None, StoreVersion]:
        head = store.head()
        since = head.watermark if head and not whole else None
        frame = pipeline.extract(ExtractRequest(since=since, inputs=tuple(inputs), missing=tuple(missing)))
        if check is not None:
            check(frame, head if not whole else None)
        if store.head() != head:  # what was read would take the place of what is newer
            raise StoreConflict("another refresh has committed while this one read its source. Run it again.")
        return frame, head, store.write(frame, replace=whole)

    frame, before, written = until_committed(read_and_write)
    left = rows_left(written)
    shown = _last_rows(frame) if describe is None else describe(*_rows_of(store, before, written))
    return replace(
        left,
        metrics=_metrics(frame, written),
        summary="\n".join([_said(frame, written, left.watermark), "", *shown]),
    )


def _metrics(frame: pl.DataFrame, written: StoreVersion) -> dict[str, float]:
    """Return how many rows were read, of how many bytes in memory, what became of them, and how many there are.

    Of a pipeline that gives all of its rows, `rows_deleted` are those that it gives no more.
    """
    changes = written.changes
    became = (
        {}
        if changes is None
        else {
            "rows_inserted": float(changes.inserted),
            "rows_updated": float(changes.updated),
            "rows_deleted": float(changes.deleted),
        }
    )
    return {
        "rows_read": float(frame.height),
        "bytes_processed": float(frame.estimated_size()),
        "rows": float(written.row_count),
        **became,
    }


def _said(frame: pl.DataFrame, written: StoreVersion, watermark: dt.date | None) -> str:
    version, rows = written.version, written.row_count
    said = f"committed version **{version}**" if written.changed else f"nothing new; version **{version}** stays"
    return f"{frame.height:,} rows read, {said}: {rows:,} rows up to {watermark or 'no date'}."


def _last_rows(frame: pl.DataFrame) -> list[str]:
    return ["Last rows read:", "", *frame_table(frame.tail(5))]


def _rows_of(
    store: Store, before: StoreVersion | None, written: StoreVersion
) -> tuple[pl.DataFrame | None, pl.DataFrame]:
    """Return the rows of two versions, which are read once where they are one."""
    now = store.scan(written.version).collect()
    if before is None:
        return None, now
    return now if before.version == written.version else store.scan(before.version).collect(), now
