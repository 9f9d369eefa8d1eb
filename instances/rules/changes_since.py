"""Changes since a moment, in what a flow depends on: what a person's cancel and a streak of crashes wait for.

By moments, all of them by the clock of Prefect's server: a run that ended before its guard had judged has no
fingerprint to compare.
"""

import datetime as dt
from collections.abc import Iterator

from instances.rules.freshness import first_duty
from instances.specification.shapes import SHAPES
from instances.world.calendars import CalendarError
from instances.world.clock import ClockError
from instances.world.expected_dates import next_expected
from instances.world.facts import FlowFacts, World
from instances.world.wording import moment, version_of


def change_since(flow: FlowFacts, world: World, since: dt.datetime, now: dt.datetime) -> str | None:
    """Return what `flow` depends on that is newer than `since`, in words; None when nothing is.

    That is its configuration, the version of an input, a tick or a session. What can't be computed is no change: it
    makes the flow's status UNKNOWN.
    """
    return next(_changes(flow, world, since, now), None)


def _changes(flow: FlowFacts, world: World, since: dt.datetime, now: dt.datetime) -> Iterator[str]:
    if flow.configured_at is not None and flow.configured_at > since:
        yield f"its configuration was changed at {moment(flow.configured_at, now)}"
    for edge in flow.edges:
        upstream = world.get(edge.upstream)
        left_at, version = _newest(upstream)
        learned = edge.role in SHAPES[flow.kind].learns_from
        if learned and upstream is not None and upstream.configured_at is not None and upstream.configured_at > since:
            yield f"{upstream.instance} was defined anew at {moment(upstream.configured_at, now)}"
        if upstream is not None and left_at is not None and left_at > since:
            yield f"{upstream.label} is at {version_of(version)} since {moment(left_at, now)}"
    try:
        yield from _due(flow, since, now)
    except (ClockError, CalendarError):
        return


def _newest(upstream: FlowFacts | None) -> tuple[dt.datetime | None, str]:
    """Return since when a flow's newest version is its newest, and which that is; no moment where there is none."""
    run = upstream.completed if upstream is not None and upstream.unreadable is None else None
    if run is None or run.provenance is None or run.provenance.version is None:
        return None, ""
    return run.provenance.version_since or run.at, run.provenance.version


def _due(flow: FlowFacts, since: dt.datetime, now: dt.datetime) -> Iterator[str]:
    tick = first_duty(flow.policy, since)
    if tick is not None and tick <= now:
        yield f"its schedule has ticked at {moment(tick, now)}"
    for source in flow.policy.expected:
        expected = next_expected(source, since)
        if expected is not None and expected.due <= now:
            yield f"{expected.name} was due at {moment(expected.due, now)}"
