"""The work of flows: plain functions over plugins, with no server in sight."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from definitions.contract import ExtractRequest, Input, Pipeline, Store


@dataclass(frozen=True)
class Outcome:
    """What a run left: a version of data with its watermark and row count, metrics, and a summary.

    `found_new` is false when the source had nothing that the store did not have. `summary` is Markdown.
    """

    version: str | None
    watermark: dt.date | None = None
    row_count: int | None = None
    found_new: bool = True
    metrics: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""


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
    Raises `SourceError`, `StoreError`, and what `check` raises; then nothing is committed.
    """
    head = store.head()
    whole = everything or bool(inputs)
    since = head.watermark if head and not whole else None
    frame = pipeline.extract(ExtractRequest(since=since, inputs=tuple(inputs), missing=tuple(missing)))
    if check is not None:
        check(frame)
    written = store.write(frame, replace=whole)
    watermark = written.watermark.date if written.watermark else None
    return Outcome(
        version=written.version,
        watermark=watermark,
        row_count=written.row_count,
        found_new=written.changed,
        metrics={"rows_read": float(frame.height), "rows": float(written.row_count)},
        summary=_summary(frame, written.version, written.row_count, changed=written.changed, watermark=watermark),
    )


def _summary(frame: pl.DataFrame, version: str, rows: int, *, changed: bool, watermark: dt.date | None) -> str:
    said = f"committed version **{version}**" if changed else f"nothing new; version **{version}** stays"
    lines = [
        f"{frame.height:,} rows read, {said}: {rows:,} rows up to {watermark or 'no date'}.",
        "",
        "Last rows read:",
        "",
        *_table(frame.tail(5)),
    ]
    return "\n".join(lines)


def _table(frame: pl.DataFrame) -> list[str]:
    header = "| " + " | ".join(frame.columns) + " |"
    rule = "|" + " --- |" * frame.width
    return [header, rule, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in frame.iter_rows())]
