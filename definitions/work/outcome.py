"""Outcome: what the work of a run leaves behind."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from definitions.contract import FlowKind, StoreVersion
from research.frames.pictures import Picture

TRAINED_VERSION = "trained_version"  # the fact of a training that says which version it has registered


@dataclass(frozen=True)
class Event:
    """Something that a run has found and that others may want to react to; the payload is JSON.

    `remedy` is the flow of the same instance that could put it right.
    """

    name: str
    remedy: FlowKind | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a run left: a version of data with its watermark and row count, metrics, and a summary.

    `found_new` is false when the source had nothing that the store did not have. `facts` are what metrics can't
    say, in words, like the solver's status; `further_versions` those of the second stores, by their names.
    `message` is what the run's state says, where version and rows don't tell enough. `summary` is Markdown; the
    pictures follow it in the run's artifact. `handles` are what the instance's row is to hold from now on;
    `events` are sent when all is recorded.
    """

    version: str | None
    watermark: dt.date | None = None
    row_count: int | None = None
    found_new: bool = True
    metrics: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    further_versions: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    summary: str = ""
    pictures: tuple[Picture, ...] = ()
    handles: Mapping[str, str] = field(default_factory=dict)
    events: tuple[Event, ...] = ()


def rows_left(written: StoreVersion) -> Outcome:
    """Return the outcome of a write, as the store tells of it; what else the run leaves is added to it."""
    return Outcome(
        version=written.version,
        watermark=written.watermark.date if written.watermark else None,
        row_count=written.row_count,
        found_new=written.changed,
    )
