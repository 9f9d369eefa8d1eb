"""Deadlines: what each flow's freshness asks of it, and until when it is met."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from instances.rules.flow_status import judge
from instances.rules.freshness import FreshnessContext, first_duty, missed
from instances.world.calendars import CalendarError
from instances.world.clock import ClockError
from instances.world.expected_dates import expected_after, next_expected
from instances.world.facts import Clock, FlowFacts, Provenance, RunFact, SourceFrequency, UpdateDates, World
from instances.world.moments import plain_moment
from instances.world.wording import span
from research.portfolios.rebalancing import Weekday

_DAY = dt.timedelta(days=1)
_INSTANT = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Deadline:
    """The moment from which a flow has another status unless something new has come, and by which rule."""

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
        yield f"by {_ticks_in_words(policy.clock)} ({policy.clock.timezone}) + {span(policy.grace)}"
    if policy.calendar is not None:
        yield f"{policy.calendar.exchange} sessions, {span(policy.calendar.after_close)} after the close"
    if policy.update_dates is not None:
        yield _frequency_in_words(policy.update_dates)


def _frequency_in_words(dates: UpdateDates) -> str:
    day = ""
    if dates.frequency is SourceFrequency.WEEKLY:
        day = f" on {list(Weekday)[dates.day or 0].title()}"
    elif dates.day is not None:
        day = f" on day {dates.day}"
    grace = f" + {span(dt.timedelta(days=dates.grace_days))}" if dates.grace_days else ""
    return f"{dates.frequency} data{day}{', business days only' if dates.business_days else ''}{grace}"


def _ticks_in_words(clock: Clock) -> str:
    if clock.cron is not None:
        return clock.cron
    within = f" from {clock.window[0]:%H:%M} to {clock.window[1]:%H:%M}" if clock.window else ""
    return f"every {span(clock.interval or dt.timedelta(0))}{within}"


def next_deadline(flow: FlowFacts, world: World, now: dt.datetime) -> Deadline | None:
    """Return the first moment at which the flow's status changes if nothing runs; None where none is in sight.

    A deadline that has passed is what the flow's status and reason tell. Raises nothing: what can't be
    computed is left out, and makes the flow's status UNKNOWN.
    """
    now = plain_moment("now", now)
    run = flow.completed
    if run is None or run.provenance is None:
        return None
    try:
        ahead = [turn for turn in _turns(flow, run, run.provenance, now) if turn.due >= now]
    except (ClockError, CalendarError):
        return None
    status = judge(flow, world, now).status
    ahead.sort(key=lambda turn: turn.due)
    return next((turn for turn in ahead if judge(flow, world, turn.due + _INSTANT).status is not status), None)


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


def _turns(flow: FlowFacts, run: RunFact, left: Provenance, now: dt.datetime) -> Iterator[Deadline]:
    """Yield the moments at which one of the rules that look at the time says something else than before."""
    policy = flow.policy
    if policy.max_age is not None and left.watermark is not None:
        reached = dt.datetime.combine(left.watermark, dt.time(), tzinfo=dt.UTC) + _DAY
        yield Deadline(reached + policy.max_age, f"data at most {span(policy.max_age)} old")
    elif policy.max_age is not None:
        yield Deadline(run.at + policy.max_age, f"at most {span(policy.max_age)} old")
    if tick := first_duty(policy, run.at):
        yield Deadline(tick + policy.grace, "its schedule")
    for source in policy.expected:
        ahead = [next_expected(source, now)]
        if left.watermark is not None:
            ahead.append(expected_after(source, left.watermark))
        yield from (Deadline(each.due, each.name) for each in ahead if each is not None)
