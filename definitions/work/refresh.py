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


def refresh(
    pipeline: Pipeline,
    store: Store,
    *,
    inputs: Sequence[Input] = (),
    missing: Sequence[str] = (),
    everything: bool = False,
    check: Callable[[pl.DataFrame], object] | None = None,
) -> Outcome:
    """Bring a store up to date with its pipeline.

    Reads what is newer than the store's watermark; with `everything` all of it, and what the pipeline no
    longer gives is dropped. `check` sees the new rows before they are committed, and raises if they must
    not be. A pipeline with inputs always computes all of its rows: a revised input may change any of them.
    Where another refresh commits meanwhile, the source is asked again: what was read before is older than that.
    Raises `SourceError`, `StoreError`, and what `check` raises; then nothing is committed.
    """
    whole = everything or bool(inputs)

    def read_and_write() -> tuple[pl.DataFrame, StoreVersion]:
        head = store.head()
        since = head.watermark if head and not whole else None
        frame = pipeline.extract(ExtractRequest(since=since, inputs=tuple(inputs), missing=tuple(missing)))
        if check is not None:
            check(frame)
        if store.head() != head:  # what was read would take the place of what is newer
            raise StoreConflict("another refresh has committed while this one read its source. Run it again.")
        return frame, store.write(frame, replace=whole)

    frame, written = until_committed(read_and_write)
    left = rows_left(written)
    return replace(
        left,
        metrics={"rows_read": float(frame.height), "rows": float(written.row_count)},
        summary=_summary(frame, written.version, written.row_count, changed=written.changed, watermark=left.watermark),
    )


def _summary(frame: pl.DataFrame, version: str, rows: int, *, changed: bool, watermark: dt.date | None) -> str:
    said = f"committed version **{version}**" if changed else f"nothing new; version **{version}** stays"
    lines = [
        f"{frame.height:,} rows read, {said}: {rows:,} rows up to {watermark or 'no date'}.",
        "",
        "Last rows read:",
        "",
        *frame_table(frame.tail(5)),
    ]
    return "\n".join(lines)
