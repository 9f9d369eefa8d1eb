"""Messages: what a run says of itself, in the state that it is in and on its page."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from definitions.work.outcome import Outcome
from instances.rules.readiness import FreshnessReport
from instances.world.facts import RunFact, RunId
from instances.world.wording import counted, moment, short, version_of

# In its state


def started_message(reason: str) -> str:
    """Return what a run says that nobody has started by hand."""
    return f"Started by the cascade: {reason}"


def blocked_message(report: FreshnessReport, *, upstreams_asked: bool) -> str:
    """Return what a run says that its guard has stopped; its request stands, and maybe those of its upstreams."""
    later = "It is asked for, and starts when its inputs are ready."
    if upstreams_asked:
        later = "Its upstream flows are asked for too, and it starts when they are ready."
    return f"{report.why}. {later}"


def skipped_message(confirmed: RunFact, now: dt.datetime) -> str:
    """Return what a run says that had nothing new to do."""
    return (
        f"Its inputs and its configuration are those of run {short(confirmed.run_id)}, "
        f"completed at {moment(confirmed.at, now)}."
    )


def superfluous_message(done: RunFact, due: dt.datetime, now: dt.datetime) -> str:
    """Return what a run says that was due before another one began, which has done its work."""
    at = moment(due, now)
    return f"It was due at {at}: run {short(done.run_id)} has begun since, and completed at {moment(done.at, now)}."


def superfluous_sweep_message(done: RunId) -> str:
    """Return what a sweep says that was due when another one began."""
    return f"Sweep {short(done)} replaces it: it was due before that one began."


def unreadable_message(labels: Iterable[str]) -> str:
    """Return what a run says that was to work whatever its guard says, and has no version of these flows to read."""
    return f"There is no version to read of {', '.join(labels)}. Run that first."


def completed_message(outcome: Outcome) -> str:
    """Return what a run says that has done its work: what it left, in the work's own words where it has any."""
    if outcome.message:
        return outcome.message
    if outcome.version is None:
        return "It leaves no version."
    rows = f", {counted(outcome.row_count, 'row')}" if outcome.row_count is not None else ""
    reach = f" up to {outcome.watermark}" if outcome.watermark else ""
    new = "" if outcome.found_new else ", nothing new"
    return f"{version_of(outcome.version)}{rows}{reach}{new}."


def ended_message(why: str) -> str:
    """Return what a run says that was stuck."""
    return f"Ended by the sweep: {why}."


# On its page


def verdict_line(report: FreshnessReport) -> str:
    """Return the guard's verdict in a sentence or two, as Markdown."""
    if not report.upstreams:
        return f"**{report.label}** has no upstream flows."
    if report.all_ready:
        count = len(report.upstreams)
        which = "its upstream flow is" if count == 1 else f"all {count} upstream flows that count are"
        return f"**{report.label}** may work: {which} ready."
    return f"**{report.label}** is blocked. {report.why}"


def upstream_table(report: FreshnessReport) -> list[dict[str, Any]]:
    """Return a row for each upstream flow, root causes first."""
    pinned = {pin.upstream: pin.version for pin in report.pins}
    rows = [
        {
            "upstream": upstream.label,
            "status": str(upstream.verdict.status),
            "blocks": ("root cause" if upstream.root else "yes") if upstream.blocks else "no",
            "pinned version": pinned.get(upstream.flow_id, ""),
            "reason": upstream.blocks or upstream.verdict.reason,
        }
        for upstream in report.upstreams
    ]
    return rows or [{"upstream": "none"}]


def outcome_page(outcome: Outcome) -> str:
    """Return what a run left as Markdown: the summary, then the pictures."""
    return "\n\n".join([outcome.summary, *(picture.markdown for picture in outcome.pictures)])
