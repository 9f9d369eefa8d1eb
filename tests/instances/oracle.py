"""A second, slow and obvious reading of the rules in docs/freshness.md, to hold the real one against.

It shares nothing with it but the facts. Ticks come from a walk minute by minute, and sessions from a list
written by hand, which covers only the days around the tests' `NOW`.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

from instances.world.facts import Clock, Edge, FlowFacts, FlowId, Request, RunFact, RunId, UpdateDates, World

MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
WEEKDAYS = [dt.date(2026, 3, day) for day in (2, 3, 4, 5, 6, 9, 10, 11, 12, 13)]  # none of them is a holiday

Signature = tuple[str, frozenset[tuple[FlowId, str, str, str | None]]]
"""What a fingerprint is a hash of: the configuration, and each input as upstream, role, version and what made it."""


class CannotTell(Exception):
    """Evidence that is not there."""


@dataclass(frozen=True)
class Answer:
    """A run to start: for which fingerprint, after which ended run, with which parameters."""

    signature: Signature
    after: RunId | None
    parameters: Mapping[str, object]


@dataclass(frozen=True)
class Oracle:
    """Answers for one world at one moment; `signatures` tells what each run's fingerprint stands for."""

    world: World
    now: dt.datetime
    signatures: Mapping[str, Signature]

    # Section 3: the table

    def status(self, flow_id: FlowId) -> str:
        flow = self.world.get(flow_id)
        if flow is None or flow.unreadable is not None:
            return "UNKNOWN"
        if len(self.under_way(flow)) > 0:
            return "RUNNING"
        if flow.deployment_id is None or flow.decisive is None:
            return "NOT_INITIALIZED"
        if flow.decisive.state in ("FAILED", "CRASHED"):
            return "ERROR"
        if flow.decisive.state != "COMPLETED" or flow.decisive != flow.completed:
            return "UNKNOWN"
        try:
            own_fault, due_from_source = self._what_is_not_met(flow, flow.decisive)
            own_fault = (
                self.has_learned_other_features(flow_id) or own_fault
            )  # what can't be told is UNKNOWN all the same
        except CannotTell:
            return "UNKNOWN"
        if not own_fault and not due_from_source:
            return "READY"
        found_new = flow.decisive.provenance is not None and flow.decisive.provenance.found_new
        asked_since = all(flow.decisive.at >= due for due in due_from_source)
        if not own_fault and asked_since and not found_new:
            return "STALE_SOURCE_DELAYED"
        return "STALE"

    def under_way(self, flow: FlowFacts) -> list[RunFact]:
        """Return the live runs but those that are due, have not started, and have been done by another one."""
        return [run for run in flow.live if not self._waits(run) or not self.is_done(flow, run.at, run.parameters)]

    def _waits(self, run: RunFact) -> bool:
        return run.state == "SCHEDULED" and run.state_name != "AwaitingRetry"

    def is_done(self, flow: FlowFacts, due: dt.datetime, parameters: Mapping[str, object]) -> bool:
        """Say whether a run has completed that began after that moment, and did all that is asked for."""
        if flow.completed is None or flow.completed.provenance is None:
            return False
        row = flow.completed.provenance
        began_later = row.judged_at is not None and due < row.judged_at
        return row.recorded and began_later and not parameters.get("everything") and not parameters.get("force")

    def has_learned_other_features(self, flow_id: FlowId) -> bool:
        """Say whether a model's champion was trained on other definitions of its features than those of now."""
        flow = self.world[flow_id]
        if flow.kind != "train" or flow.trained_on is None or self.version(flow_id) is None:
            return False
        return self._differ(flow, flow.trained_on)

    def _differ(self, flow: FlowFacts, learned: Mapping[FlowId, str]) -> bool:
        now: dict[FlowId, str] = {}
        for edge in flow.edges:
            if edge.role == "features":
                if edge.upstream not in self.world:
                    raise CannotTell
                if edge.required or edge.upstream in learned:
                    now[edge.upstream] = self.world[edge.upstream].config_hash
        return now != dict(learned)

    def waits_for_a_promotion(self, flow_id: FlowId) -> bool:
        """Say whether a model has been trained on the features of now, and only its champion is of others."""
        flow = self.world[flow_id]
        if self.status(flow_id) != "STALE" or not self.has_learned_other_features(flow_id):
            return False
        assert flow.completed is not None
        assert flow.completed.provenance is not None
        own_fault, due_from_source = self._what_is_not_met(flow, flow.completed)
        return not own_fault and not due_from_source and not self._differ(flow, flow.completed.provenance.made_by)

    def _what_is_not_met(self, flow: FlowFacts, run: RunFact) -> tuple[bool, list[dt.datetime]]:
        """Return whether the flow itself has something to do, and since when data is due from its source."""
        if run.provenance is None or not run.provenance.recorded:
            raise CannotTell
        policy, watermark = flow.policy, run.provenance.watermark
        own_fault = run.provenance.config_hash != flow.config_hash
        due: list[dt.datetime] = []
        if policy.follow_inputs and self._has_newer_input(flow, run.provenance.inputs):
            own_fault = True
        if policy.clock is not None:
            for tick in self._ticks_that_count(flow, run.at):
                if tick + policy.grace <= self.now:
                    own_fault = True
        if policy.max_age is not None and watermark is None and run.at + policy.max_age < self.now:
            own_fault = True
        if policy.max_age is not None and watermark is not None:
            too_old = dt.datetime.combine(watermark + DAY, dt.time(0), tzinfo=dt.UTC) + policy.max_age
            if too_old < self.now:
                due.append(too_old)
        if policy.calendar is not None:
            for date, close in sessions(policy.calendar.exchange):
                if close + policy.calendar.after_close <= self.now:
                    newest, due_at = date, close + policy.calendar.after_close
            if watermark is None or watermark < newest:
                due.append(due_at)
        if policy.update_dates is not None:
            passed = [(date, at) for date, at in updates(policy.update_dates, self.now.date()) if at <= self.now]
            if policy.update_dates.frequency == "irregular" and watermark is None:
                due.append(run.at)
            elif passed and (watermark is None or watermark < passed[-1][0]):
                due.append(passed[-1][1])
        return own_fault, due

    def _ticks_that_count(self, flow: FlowFacts, after: dt.datetime) -> list[dt.datetime]:
        """Return those after a moment, up to now, at which the flow had its present schedule."""
        policy = flow.policy
        if policy.clock is None:
            return []
        passed = [tick for tick in ticks(policy.clock, after, self.now) if after < tick <= self.now]
        return [tick for tick in passed if policy.clock_since is None or policy.clock_since < tick]

    def _has_newer_input(self, flow: FlowFacts, consumed: Mapping[FlowId, str]) -> bool:
        newer = False
        for edge in flow.edges:
            if not edge.required:
                continue
            upstream = self.world.get(edge.upstream)
            if upstream is None or upstream.unreadable is not None:
                raise CannotTell
            if upstream.completed is not None and upstream.completed.provenance is None:
                raise CannotTell
            version = self.version(edge.upstream)
            if version is not None and consumed.get(edge.upstream) != version:
                newer = True
        return newer

    def version(self, flow_id: FlowId) -> str | None:
        """Return the version of a flow's output: that of its last completed or skipped run."""
        flow = self.world.get(flow_id)
        if flow is None or flow.unreadable is not None or flow.completed is None:
            return None
        return flow.completed.provenance.version if flow.completed.provenance is not None else None

    # Sections 3 and 4: the edges and the guard

    def strict_ancestors(self, flow_id: FlowId) -> set[FlowId]:
        found: set[FlowId] = set()
        self._add_strict_ancestors(flow_id, found)
        return found

    def _add_strict_ancestors(self, flow_id: FlowId, found: set[FlowId]) -> None:
        if flow_id not in self.world:
            return
        for edge in self.world[flow_id].edges:
            if is_strict(edge) and edge.upstream not in found:
                found.add(edge.upstream)
                self._add_strict_ancestors(edge.upstream, found)

    def blockers(self, flow_id: FlowId) -> set[FlowId]:
        flow = self.world[flow_id]
        found = {ancestor for ancestor in self.strict_ancestors(flow_id) if self.status(ancestor) != "READY"}
        if flow.unreadable is not None:
            found.add(flow_id)
        for edge in flow.edges:
            missing = self.version(edge.upstream) is None
            if edge.required and (missing or self._is_too_old(edge) or self._is_of_no_use(edge.upstream)):
                found.add(edge.upstream)
        return found

    def _is_of_no_use(self, flow_id: FlowId) -> bool:
        try:
            return self.has_learned_other_features(flow_id)
        except CannotTell:
            return True

    def _is_too_old(self, edge: Edge) -> bool:
        completed = self.world[edge.upstream].completed
        if edge.max_age is None or completed is None:
            return False
        return completed.at + edge.max_age < self.now

    def root_causes(self, flow_id: FlowId) -> set[FlowId]:
        """Return the blockers behind which nothing else blocks, as far as the guard looks."""
        blockers = self.blockers(flow_id)
        looked_at = blockers | self.strict_ancestors(flow_id) | {edge.upstream for edge in self.world[flow_id].edges}
        return {blocker for blocker in blockers if not self._a_blocker_is_behind(blocker, blockers, looked_at)}

    def _a_blocker_is_behind(self, flow_id: FlowId, blockers: set[FlowId], looked_at: set[FlowId]) -> bool:
        if flow_id not in self.world:
            return False
        for edge in self.world[flow_id].edges:
            if is_strict(edge) and edge.upstream in looked_at:
                if edge.upstream in blockers:
                    return True
                if self._a_blocker_is_behind(edge.upstream, blockers, looked_at):
                    return True
        return False

    def pins(self, flow_id: FlowId) -> set[tuple[FlowId, str, str]]:
        """Return upstream, role and version of every direct input that has one."""
        pinned = set()
        for edge in self.world[flow_id].edges:
            version = self.version(edge.upstream)
            if version is not None:
                pinned.add((edge.upstream, edge.role, version))
        return pinned

    def signature(self, flow_id: FlowId) -> Signature:
        """Return what a run would be for; to a model it matters what its features were made by."""
        flow, pinned = self.world[flow_id], set()
        for upstream, role, version in self.pins(flow_id):
            run = self.world[upstream].completed
            assert run is not None
            assert run.provenance is not None
            learns = flow.kind == "train" and role == "features"
            pinned.add((upstream, role, version, run.provenance.config_hash if learns else None))
        return signature_of(flow.config_hash, pinned)

    def admission(self, flow_id: FlowId, *, on_stale: str, force: bool, superfluous: bool = False) -> str:
        if force:
            return "forced"
        if superfluous:
            return "superfluous"
        if self.blockers(flow_id):
            return "warned" if on_stale == "warn" else "blocked"
        return "skipped" if self.world[flow_id].edges and self._nothing_new(flow_id) else "ready"

    def _nothing_new(self, flow_id: FlowId) -> bool:
        completed = self.world[flow_id].completed
        if completed is None or completed.provenance is None or not completed.provenance.recorded:
            return False
        return self._is_current(flow_id, completed)

    def _is_current(self, flow_id: FlowId, run: RunFact | None) -> bool:
        """Say whether the run was for the configuration and the inputs of now."""
        if run is None or run.provenance is None:
            return False
        return self._stands_for_now(flow_id, run.provenance.fingerprint)

    def _stands_for_now(self, flow_id: FlowId, fingerprint: str) -> bool:
        return self.signatures.get(fingerprint) == self.signature(flow_id)

    def asked_upstream(self, flow_id: FlowId) -> set[FlowId]:
        """Return the flows that a run blocked with `on_stale: refresh` asks for."""
        asked: set[FlowId] = set()
        self._ask_above(flow_id, asked)
        return {ancestor for ancestor in asked - {flow_id} if self._another_run_may_help(ancestor)}

    def _another_run_may_help(self, flow_id: FlowId) -> bool:
        if self.status(flow_id) == "UNKNOWN":  # nobody knows whether it needs one
            return False
        # What a running source is about to leave is all that another run would find.
        return self.status(flow_id) != "RUNNING" or len(self.world[flow_id].edges) > 0

    def _ask_above(self, flow_id: FlowId, asked: set[FlowId]) -> None:
        for blocker in self.blockers(flow_id):
            if blocker in self.world and blocker not in asked:
                asked.add(blocker)
                self._ask_above(blocker, asked)

    # Section 5: the cascade

    def start(self, flow_id: FlowId) -> Answer | None:
        flow = self.world[flow_id]
        last = flow.last_ended
        if flow.unreadable is not None or self.under_way(flow) or flow.deployment_id is None or flow.paused:
            return None
        if self.blockers(flow_id):
            return None
        after = last.run_id if last is not None else None
        for request in sorted(flow.requests, key=lambda request: request.created_at):
            if not self._is_withdrawn(flow, request):
                if self._crashes_again_and_again(flow, request):
                    return None
                return Answer(self.signature(flow_id), after, {**self._not_done(flow), **request.parameters})
        if flow.auto and not self.a_person_said_no(flow) and self._is_worth_a_run(flow):
            return Answer(self.signature(flow_id), after, self._not_done(flow))
        return None

    def _not_done(self, flow: FlowFacts) -> Mapping[str, object]:
        """Return what the last run was asked for, if it has crashed."""
        return flow.crashes[0].parameters if flow.crashes and flow.decisive == flow.crashes[0] else {}

    def _is_withdrawn(self, flow: FlowFacts, request: Request) -> bool:
        return flow.cancelled is not None and request.created_at <= flow.cancelled.at

    def _crashes_again_and_again(self, flow: FlowFacts, request: Request) -> bool:
        """Say whether three runs have crashed since it was asked for, the last within a quarter of an hour."""
        since = [crash.at for crash in flow.crashes if crash.at > request.created_at]
        return len(since) >= 3 and self.now < max(since) + 15 * MINUTE

    def a_person_said_no(self, flow: FlowFacts) -> bool:
        """Say whether a cancel holds: until something that the flow depends on is newer, or it has run anyway."""
        if flow.cancelled is None:
            return False
        if flow.decisive is not None and flow.decisive.at > flow.cancelled.at:
            return False
        return not self._something_is_newer(flow, flow.cancelled.at)

    def _something_is_newer(self, flow: FlowFacts, than: dt.datetime) -> bool:
        moments = [] if flow.configured_at is None else [flow.configured_at]
        for edge in flow.edges:
            feature = self.world.get(edge.upstream) if flow.kind == "train" and edge.role == "features" else None
            if feature is not None and feature.configured_at is not None:
                moments.append(feature.configured_at)
            if self.version(edge.upstream) is not None:
                run = self.world[edge.upstream].completed
                assert run is not None
                assert run.provenance is not None
                moments.append(run.at if run.provenance.version_since is None else run.provenance.version_since)
        try:
            moments.extend(self._ticks_that_count(flow, than))
            if flow.policy.calendar is not None:
                due = [close + flow.policy.calendar.after_close for _, close in sessions(flow.policy.calendar.exchange)]
                moments.extend(at for at in due if at <= self.now)
            if flow.policy.update_dates is not None:
                due = [at for _, at in updates(flow.policy.update_dates, self.now.date())]
                moments.extend(at for at in due if at <= self.now)
        except CannotTell:
            pass
        return any(moment > than for moment in moments)

    def _is_worth_a_run(self, flow: FlowFacts) -> bool:
        status = self.status(flow.flow_id)
        if status in ("NOT_INITIALIZED", "STALE"):
            return not self.waits_for_a_promotion(flow.flow_id) and not self._would_learn_the_same(flow)
        if status == "ERROR" and flow.decisive is not None:
            if flow.decisive.state == "CRASHED" or flow.decisive.provenance is None:
                return self.crashes_for_now(flow) < 3
            return not self._is_current(flow.flow_id, flow.decisive)
        if status == "STALE_SOURCE_DELAYED" and flow.completed is not None:
            if flow.edges and self._is_current(flow.flow_id, flow.completed):
                return False
            return flow.completed.at + flow.source_retry <= self.now
        return False

    def _would_learn_the_same(self, flow: FlowFacts) -> bool:
        """Say whether a feature has another meaning, and all that there is of it to learn from has the former one."""
        if flow.completed is None or flow.completed.provenance is None or not flow.edges:
            return False
        learned_now = self._differ(flow, flow.completed.provenance.made_by)
        return (
            learned_now
            and self.has_learned_other_features(flow.flow_id)
            and self._is_current(flow.flow_id, flow.completed)
        )

    def crashes_for_now(self, flow: FlowFacts) -> int:
        """Count the newest crashes, one after the other, of runs for the configuration and the inputs of now."""
        count = 0
        for run in flow.crashes:
            print_of_run = run.provenance.fingerprint if run.provenance is not None else run.claimed
            if print_of_run is not None:
                for_now = self._stands_for_now(flow.flow_id, print_of_run)
            else:
                for_now = not self._something_is_newer(flow, run.at)
            if not for_now:
                break
            count += 1
        return count


def is_strict(edge: Edge) -> bool:
    return edge.required and edge.max_age is None


def was_cancelled_by_a_person(run: RunFact) -> bool:
    return run.state == "CANCELLED" and run.state_name != "Blocked"


def signature_of(config_hash: str, pins: set[tuple[FlowId, str, str, str | None]]) -> Signature:
    return config_hash, frozenset(pins)


def ticks(clock: Clock, first: dt.datetime, last: dt.datetime) -> list[dt.datetime]:
    """Return the clock's ticks on the days from `first` to `last`."""
    number_of_days = (last.date() - first.date()).days + 1
    return [tick for day in range(number_of_days) for tick in _ticks_of_day(clock, first.date() + day * DAY)]


@cache
def _ticks_of_day(clock: Clock, date: dt.date) -> list[dt.datetime]:
    """Look at every minute of a day."""
    midnight = dt.datetime.combine(date, dt.time(0), tzinfo=dt.UTC)
    return [midnight + n * MINUTE for n in range(24 * 60) if _ticks_at(clock, midnight + n * MINUTE)]


def _ticks_at(clock: Clock, minute: dt.datetime) -> bool:
    if clock.interval is not None:
        return (minute - dt.datetime(2020, 1, 1, tzinfo=dt.UTC)) % clock.interval == dt.timedelta(0)
    assert clock.cron is not None
    local = minute.astimezone(ZoneInfo(clock.timezone))
    at_minute, at_hour, _, _, on = clock.cron.split()
    if not at_minute.isdecimal() or int(at_minute) > 59:
        raise CannotTell
    if on == "1-5" and local.isoweekday() > 5:
        return False
    return local.minute == int(at_minute) and (at_hour == "*" or local.hour == int(at_hour))


def updates(dates: UpdateDates, today: dt.date) -> list[tuple[dt.date, dt.datetime]]:
    """Return the dates that are expected from two years ago on, with the moments at which they are due."""
    found = {date for date in (today - DAY * n for n in range(-120, 800)) if is_expected(dates, date)}
    if dates.business_days:
        found = {date - DAY * (0, 0, 0, 0, 0, 1, 2)[date.weekday()] for date in found}
    zone = ZoneInfo(dates.timezone)
    over = ((date, date + DAY + DAY * dates.grace_days) for date in sorted(found))
    return [(date, dt.datetime(at.year, at.month, at.day, tzinfo=zone).astimezone(dt.UTC)) for date, at in over]


def is_expected(dates: UpdateDates, date: dt.date) -> bool:
    """Say whether a source has data of a date, before weekends are looked at."""
    tomorrow = date + DAY
    match dates.frequency:
        case "daily":
            return True
        case "weekly":
            return date.weekday() == dates.day
        case "monthly":
            return date.day == dates.day or (tomorrow.day == 1 and (dates.day is None or date.day < dates.day))
        case "quarterly":
            return tomorrow.day == 1 and tomorrow.month in (1, 4, 7, 10)
    return False


def sessions(exchange: str) -> list[tuple[dt.date, dt.datetime]]:
    """Return the known sessions of an exchange with their closes, oldest first."""
    if exchange == "XLON":
        return [(date, dt.datetime.combine(date, dt.time(16, 30), tzinfo=dt.UTC)) for date in WEEKDAYS]
    if exchange == "XNYS":  # summer time began on the 8th: 16:00 in New York is an hour earlier since
        closes = [dt.time(21) if date < dt.date(2026, 3, 8) else dt.time(20) for date in WEEKDAYS]
        return [(d, dt.datetime.combine(d, close, tzinfo=dt.UTC)) for d, close in zip(WEEKDAYS, closes, strict=True)]
    raise CannotTell
