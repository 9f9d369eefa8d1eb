"""Policy: a flow's freshness policy with the defaults filled in.

A flow is driven by its inputs or by its clock: the defaults follow from which.
"""

import datetime as dt

from definitions.contract import FlowKind
from instances.specification.fields import Freshness
from instances.specification.schedules import Schedule
from instances.specification.shapes import SHAPES
from instances.world.facts import Calendar, Clock, Policy


def policy_of(
    freshness: Freshness, schedule: Schedule, kind: FlowKind, *, scheduled_at: dt.datetime | None = None
) -> Policy:
    """Return the policy of a flow of `kind`, whose own schedule is `schedule`, applied at `scheduled_at`."""
    follow = freshness.follow_inputs
    if follow is None:
        follow = not schedule.ticks and SHAPES[kind].follow_inputs
    calendar, updates = freshness.calendar, freshness.update_frequency
    return Policy(
        follow_inputs=follow,
        max_age=freshness.max_age if freshness.max_age is not None else SHAPES[kind].max_age,
        clock=clock_of(schedule),
        clock_since=scheduled_at,
        grace=freshness.grace,
        calendar=Calendar(calendar.exchange, calendar.after_close) if calendar and calendar.exchange else None,
        update_dates=updates.dates if updates is not None else None,
    )


def clock_of(schedule: Schedule) -> Clock | None:
    """Return the clock that an enabled cron or interval schedule gives; None for any other."""
    if not schedule.ticks:
        return None
    if schedule.type == "cron":
        return Clock(cron=schedule.expression, timezone=schedule.timezone)
    interval = dt.timedelta(minutes=schedule.interval_minutes or 0)
    return Clock(interval=interval, timezone=schedule.timezone, window=schedule.window)


def auto_of(auto: bool | None, *, has_inputs: bool, schedule: Schedule) -> bool:
    """Say whether a flow is kept ready automatically: where unset, with inputs and no clock of its own."""
    return auto if auto is not None else has_inputs and not schedule.ticks
