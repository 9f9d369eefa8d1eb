"""Freshness: which parts of a flow's policy its last completed run does not meet.

The plain checks look at the run and its inputs; the source checks look at how far its data reaches, so that
a backfill of old dates does not turn a dataset green.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from instances.errors import OptaicError
from instances.specification.shapes import SHAPES, Output
from instances.world.clock import next_tick
from instances.world.expected_dates import last_expected
from instances.world.facts import FlowFacts, FlowId, Policy, Provenance, RunFact, World
from instances.world.moments import plain_moment
from instances.world.wording import moment, short, span, version_of

_DAY = dt.timedelta(days=1)


class UnreadableFacts(OptaicError):
    """Evidence that a check needs and that is not there."""


@dataclass(frozen=True)
class UnmetRule:
    """A check that is not met: why, and since when.

    `due` is the moment when data was due from the source; None for the plain checks. With `by_hand` a run has done
    what a run can: a person has the next word.
    """

    reason: str
    since: dt.datetime
    due: dt.datetime | None = None
    by_hand: bool = False


@dataclass(frozen=True)
class FreshnessContext:
    """What the checks are made on: a flow with its newest completed run and that run's provenance."""

    flow: FlowFacts
    run: RunFact
    provenance: Provenance
    now: dt.datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "now", plain_moment("now", self.now))

    @property
    def policy(self) -> Policy:
        return self.flow.policy

    def at(self, when: dt.datetime) -> str:
        return moment(when, self.now)


def unmet_rules(checked: FreshnessContext, world: World) -> tuple[UnmetRule, ...]:
    """Return the unmet checks, plain ones first, in the order in which their reasons are told.

    Raises `UnreadableFacts`, `ClockError` or `CalendarError` when a check cannot be made.
    """
    return (*_configuration(checked), *_features(checked, world), *_inputs(checked, world), *missed(checked))


def missed(checked: FreshnessContext) -> tuple[UnmetRule, ...]:
    """Return the unmet checks that time alone makes unmet: `since` is the moment that was missed.

    Raises `ClockError` or `CalendarError` when a check cannot be made.
    """
    return (*_age_of_run(checked), *_deadline(checked), *_age_of_data(checked), *_expected_data(checked))


def first_duty(policy: Policy, after: dt.datetime) -> dt.datetime | None:
    """Return the first tick after a moment that a run is owed for; None without a clock. Raises `ClockError`."""
    if policy.clock is None:
        return None
    return next_tick(policy.clock, after if policy.clock_since is None else max(after, policy.clock_since))


def newest_version(flow: FlowFacts | None) -> str | None:
    """Return the version that the flow's newest completed run left; None where there is none."""
    if flow is None or flow.completed is None or flow.completed.provenance is None:
        return None
    return flow.completed.provenance.version


def _configuration(checked: FreshnessContext) -> Iterator[UnmetRule]:
    if checked.provenance.config_hash != checked.flow.config_hash:
        yield UnmetRule("its configuration has changed since its last completed run", checked.run.at)


def redefined_features(flow: FlowFacts, world: World, trained_on: Mapping[FlowId, str] | None) -> tuple[FlowId, ...]:
    """Return the features of a model that are not those any more that a version of it was trained on.

    Each is the same as long as its definition and its configuration are. Raises `UnreadableFacts`.
    """
    roles = SHAPES[flow.kind].learns_from
    if trained_on is None or not roles:
        return ()
    read = {edge.upstream: edge.required for edge in flow.edges if edge.role in roles}
    for upstream_id in read:
        if upstream_id not in world:
            raise UnreadableFacts(f"nothing is known of its upstream flow {short(upstream_id)}")
    changed = [at for at, made_by in trained_on.items() if at not in read or world[at].config_hash != made_by]
    return (*changed, *(at for at, required in read.items() if required and at not in trained_on))


def champion_problem(flow: FlowFacts, world: World) -> str | None:
    """Return why the version in charge of a model is of no use, though it is there; None when it is of use.

    Raises `UnreadableFacts`.
    """
    version, redefined = newest_version(flow), redefined_features(flow, world, flow.trained_on)
    if version is None or not redefined:
        return None
    names = ", ".join(world[at].instance if at in world else short(at) for at in redefined)
    return f"its champion {version_of(version)} was trained on another definition of {names}"


def _features(checked: FreshnessContext, world: World) -> Iterator[UnmetRule]:
    flow = checked.flow
    problem = champion_problem(flow, world)
    if problem is None:
        return
    changed_at = [world[at].configured_at for at in redefined_features(flow, world, flow.trained_on) if at in world]
    since = min((at for at in changed_at if at is not None), default=checked.run.at)
    if redefined_features(flow, world, checked.provenance.made_by):
        yield UnmetRule(problem, since)
    else:
        promote = f"promote one with `optaic promote {flow.instance} VERSION`"
        yield UnmetRule(f"{problem}, and no version trained since was promoted; {promote}", since, by_hand=True)


def _inputs(checked: FreshnessContext, world: World) -> Iterator[UnmetRule]:
    if not checked.policy.follow_inputs:
        return
    for upstream_id in dict.fromkeys(edge.upstream for edge in checked.flow.edges if edge.required):
        upstream = world.get(upstream_id)
        if upstream is None:
            raise UnreadableFacts(f"nothing is known of its upstream flow {short(upstream_id)}")
        if upstream.unreadable is not None:
            raise UnreadableFacts(f"its upstream {upstream.label} can't be read: {upstream.unreadable}")
        if upstream.completed is not None and upstream.completed.provenance is None:
            why = f"run {short(upstream.completed.run_id)} completed, but its row is missing"
            raise UnreadableFacts(f"its upstream {upstream.label} can't be read: {why}")
        newest = newest_version(upstream)
        consumed = checked.provenance.inputs.get(upstream_id)
        if newest is None or upstream.completed is None or consumed == newest:
            continue  # a version that is not there is nothing newer
        name = upstream.instance if SHAPES[upstream.kind].leaves is Output.ROWS else upstream.label
        if consumed is None:
            reason = f"it has consumed no version of {name}, which is at {version_of(newest)}"
        else:
            reason = f"it consumed {name} {version_of(consumed)}, {name} is at {version_of(newest)}"
        yield UnmetRule(reason, upstream.completed.at)


def _age_of_run(checked: FreshnessContext) -> Iterator[UnmetRule]:
    max_age = checked.policy.max_age
    if max_age is None or checked.provenance.watermark is not None:
        return
    if checked.now - checked.run.at > max_age:
        reason = f"its last completed run ended at {checked.at(checked.run.at)}, more than {span(max_age)} ago"
        yield UnmetRule(reason, checked.run.at + max_age)


def _deadline(checked: FreshnessContext) -> Iterator[UnmetRule]:
    tick = first_duty(checked.policy, checked.run.at)
    if tick is not None and (due := tick + checked.policy.grace) <= checked.now:
        yield UnmetRule(
            f"no run has completed since its tick at {checked.at(tick)}, it was due by {checked.at(due)}", due
        )


def _age_of_data(checked: FreshnessContext) -> Iterator[UnmetRule]:
    max_age, watermark = checked.policy.max_age, checked.provenance.watermark
    if max_age is None or watermark is None:
        return
    # Data of a date is whole when the date is over.
    reached = dt.datetime.combine(watermark, dt.time(), tzinfo=dt.UTC) + _DAY
    if checked.now - reached > max_age:
        due = reached + max_age
        yield UnmetRule(f"its data ends at {watermark}, more than {span(max_age)} ago", due, due)


def _expected_data(checked: FreshnessContext) -> Iterator[UnmetRule]:
    watermark = checked.provenance.watermark
    reaches = f"ends at {watermark}" if watermark else "has no last date"
    for source in checked.policy.expected:
        expected = last_expected(source, checked.now)
        if expected is None and watermark is None:
            yield UnmetRule("it has no data yet, and an update was expected", checked.run.at, checked.run.at)
        elif expected is not None and (watermark is None or watermark < expected.date):
            reason = f"its data {reaches}, {expected.name} was due at {checked.at(expected.due)}"
            yield UnmetRule(reason, expected.due, expected.due)
