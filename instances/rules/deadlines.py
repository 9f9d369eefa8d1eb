"""Deadlines: what each flow's freshness asks of it, and until when it is met."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from instances.rules.freshness import FreshnessContext, missed
from instances.world.calendars import CalendarError, next_session
from instances.world.clock import ClockError, next_tick
from instances.world.facts import FlowFacts
from instances.world.moments import plain_moment
from instances.world.wording import span

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Deadline:
    """The moment from which a flow is no longer fresh unless something new has come, and by which rule."""

    due: dt.datetime
    rule: str


@dataclass(frozen=True)
class MissedDeadline:
    """A deadline that has passed, and why it was not met."""

    due: dt.datetime
    reason: str


def policy_text(flow: FlowFacts) -> str:
    """Return a flow's freshness policy in a few words: 'follows its inputs; at most 7 days old'."""
    return "; ".join(_words(flow)) or "fresh once it has completed"


def _words(flow: FlowFacts) -> Iterator[str]:
    policy = flow.policy
    if policy.follow_inputs and flow.edges:
        yield "follows its inputs"
    if policy.max_age is not None:
        yield f"at most {span(policy.max_age)} old"
    if policy.clock is not None:
        tick = policy.clock.cron or f"every {span(policy.clock.interval or dt.timedelta(0))}"
        yield f"by {tick} ({policy.clock.timezone}) + {span(policy.grace)}"
    if policy.calendar is not None:
        yield f"{policy.calendar.exchange} sessions, {span(policy.calendar.after_close)} after the close"


def next_deadline(flow: FlowFacts, now: dt.datetime) -> Deadline | None:
    """Return the earliest deadline that is still ahead; None without one, or without a completed run.

    A deadline that has passed is what the flow's status and reason tell. Raises nothing: what can't be
    computed is left out, and makes the flow's status UNKNOWN.
    """
    now = plain_moment("now", now)
    try:
        ahead = [deadline for deadline in _deadlines(flow, now) if deadline.due > now]
    except (ClockError, CalendarError):
        return None
    return min(ahead, key=lambda deadline: deadline.due, default=None)


def missed_deadline(flow: FlowFacts, now: dt.datetime) -> MissedDeadline | None:
    """Return the earliest deadline that the newest completed run does not meet, whatever the flow is doing now.

    A flow that waits for a worker or has failed misses its deadline too. None without a completed run, and
    where it can't be computed: the flow's status is then UNKNOWN.
    """
    run = flow.completed
    if run is None or run.provenance is None:
        return None
    try:
        unmet_rules = missed(FreshnessContext(flow, run, run.provenance, now))
    except (ClockError, CalendarError):
        return None
    first = min(unmet_rules, key=lambda check: check.since, default=None)
    return MissedDeadline(first.since, first.reason) if first else None


def _deadlines(flow: FlowFacts, now: dt.datetime) -> Iterator[Deadline]:
    policy, run = flow.policy, flow.completed
    if run is None or run.provenance is None:
        return
    watermark = run.provenance.watermark
    if policy.max_age is not None and watermark is not None:
        reached = dt.datetime.combine(watermark, dt.time(), tzinfo=dt.UTC) + _DAY
        yield Deadline(reached + policy.max_age, f"data at most {span(policy.max_age)} old")
    elif policy.max_age is not None:
        yield Deadline(run.at + policy.max_age, f"at most {span(policy.max_age)} old")
    if policy.clock is not None and (tick := next_tick(policy.clock, max(run.at, now - policy.grace))):
        yield Deadline(tick + policy.grace, "its schedule")
    if policy.calendar is not None:
        session = next_session(policy.calendar.exchange, now, policy.calendar.after_close)
        yield Deadline(session.close + policy.calendar.after_close, f"the {session.date} session")
