"""Status: one flow's status, derived from the facts at one moment."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from instances.rules.freshness import FreshnessContext, UnmetRule, UnreadableFacts, unmet_rules
from instances.rules.late_runs import runs_under_way
from instances.world.calendars import CalendarError
from instances.world.clock import ClockError
from instances.world.facts import FlowFacts, FlowId, RunFact, RunId, RunState, World
from instances.world.moments import plain_moment
from instances.world.wording import moment, short


class FlowStatus(StrEnum):
    """The statuses of a flow; only READY lets a strict downstream flow work."""

    UNKNOWN = "UNKNOWN"
    RUNNING = "RUNNING"
    NOT_INITIALIZED = "NOT_INITIALIZED"
    ERROR = "ERROR"
    STALE_SOURCE_DELAYED = "STALE_SOURCE_DELAYED"
    STALE = "STALE"
    READY = "READY"


@dataclass(frozen=True)
class Verdict:
    """A status with its reason for a person, the run that decided it, and since when it holds."""

    status: FlowStatus
    reason: str
    evidence: RunId | None = None
    since: dt.datetime | None = None

    @property
    def ready(self) -> bool:
        return self.status is FlowStatus.READY


_LIVE_ORDER = (RunState.RUNNING, RunState.CANCELLING, RunState.PAUSED, RunState.PENDING, RunState.SCHEDULED)


def judge(flow: FlowFacts, world: World, now: dt.datetime) -> Verdict:
    """Return the flow's status at `now` by the first rule in docs/freshness.md, Statuses, that applies.

    What can't be read is UNKNOWN, never an error; only a naive `now` raises (`NaiveMoment`).
    """
    now = plain_moment("now", now)
    if flow.unreadable is not None:
        return Verdict(FlowStatus.UNKNOWN, f"its facts can't be read: {flow.unreadable}")
    if under_way := runs_under_way(flow):
        return _running(under_way, now)
    if flow.deployment_id is None:
        return Verdict(FlowStatus.NOT_INITIALIZED, "it has no deployment yet")
    if flow.decisive is None:
        return Verdict(FlowStatus.NOT_INITIALIZED, "it has not run yet")
    match flow.decisive.state:
        case RunState.FAILED | RunState.CRASHED:
            return _error(flow.decisive, now)
        case RunState.COMPLETED:
            return _completed(flow, flow.decisive, world, now)
        case other:
            return Verdict(FlowStatus.UNKNOWN, f"a run that is {other} decides nothing", flow.decisive.run_id)


def unknown(flow_id: FlowId) -> Verdict:
    """Return the verdict on a flow of which there are no facts."""
    return Verdict(FlowStatus.UNKNOWN, f"nothing is known of the flow {short(flow_id)}")


def _running(under_way: tuple[RunFact, ...], now: dt.datetime) -> Verdict:
    run = min(under_way, key=lambda r: _LIVE_ORDER.index(r.state) if r.state in _LIVE_ORDER else len(_LIVE_ORDER))
    at = moment(run.at, now)
    match run.state:
        case RunState.SCHEDULED if not run.waiting:
            reason = f"waiting to run again at {at}" if run.at > now else f"due again since {at}"
        case RunState.SCHEDULED:
            reason = f"due since {at}, waiting for a worker"
        case RunState.PENDING:
            reason = f"pending since {at}, about to start"
        case _:
            reason = f"{run.state.lower()} since {at}"
    return Verdict(FlowStatus.RUNNING, f"{reason}, run {short(run.run_id)}", run.run_id, run.at)


def _error(run: RunFact, now: dt.datetime) -> Verdict:
    reason = f"{run.state.lower()} at {moment(run.at, now)}, run {short(run.run_id)}"
    if run.message:
        reason = f"{reason}: {run.message}"
    return Verdict(FlowStatus.ERROR, reason, run.run_id, run.at)


def _completed(flow: FlowFacts, run: RunFact, world: World, now: dt.datetime) -> Verdict:
    if flow.completed is None or flow.completed.run_id != run.run_id:
        reason = f"its newest completed run is not run {short(run.run_id)}, which decides"
        return Verdict(FlowStatus.UNKNOWN, reason, run.run_id)
    if run.provenance is None:
        reason = f"run {short(run.run_id)} completed at {moment(run.at, now)}, but its row is missing"
        return Verdict(FlowStatus.UNKNOWN, reason, run.run_id)
    if not run.provenance.recorded:
        reason = f"run {short(run.run_id)} completed at {moment(run.at, now)}, but recorded nothing that it left"
        return Verdict(FlowStatus.UNKNOWN, reason, run.run_id)
    try:
        missed = unmet_rules(FreshnessContext(flow, run, run.provenance, now), world)
    except (UnreadableFacts, ClockError, CalendarError) as error:
        return Verdict(FlowStatus.UNKNOWN, str(error), run.run_id)
    if missed:
        return _stale(missed, run, found_new=run.provenance.found_new, now=now)
    how = "confirmed by" if run.skipped else "completed by"
    return Verdict(FlowStatus.READY, f"{how} run {short(run.run_id)} at {moment(run.at, now)}", run.run_id, run.at)


def _stale(missed: tuple[UnmetRule, ...], run: RunFact, *, found_new: bool, now: dt.datetime) -> Verdict:
    reason = "; ".join(check.reason for check in missed)
    since = min(check.since for check in missed)
    asked_in_vain = not found_new and all(check.due is not None and run.at >= check.due for check in missed)
    if not asked_in_vain:
        return Verdict(FlowStatus.STALE, reason, run.run_id, since)
    asked = f"the source had nothing new at {moment(run.at, now)}"
    return Verdict(FlowStatus.STALE_SOURCE_DELAYED, f"{reason}; {asked}", run.run_id, since)
