"""Advice: what is allowed, and will not do what its author hopes."""

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import pairwise

from definitions.contract import FlowKind
from instances.rules.freshness_policy import auto_of, policy_of
from instances.specification.resolution import ResolvedInstance
from instances.specification.shapes import SHAPES, Output
from instances.specification.specs import RunnableSpec
from instances.world.clock import next_tick
from instances.world.facts import Clock
from instances.world.wording import span

_YEAR_OF_TICKS = 60  # enough of them to see the longest gap of a usual cron expression


def advice(instances: Iterable[ResolvedInstance], now: dt.datetime) -> tuple[str, ...]:
    """Return a sentence for each edge that asks for less age than its upstream can keep.

    And for each flow whose schedule is disabled, and which therefore follows its inputs.
    """
    found = tuple(instances)
    return (*_hopeless_edges(found, now), *_disabled_schedules(found))


def _disabled_schedules(instances: Iterable[ResolvedInstance]) -> Iterator[str]:
    for instance in instances:
        for flow in instance.flows:
            assert isinstance(instance.spec, RunnableSpec)  # what has flows
            settings = instance.spec.flow_settings(flow.kind)
            schedule = settings.schedule
            disabled = schedule.type != "manual" and not schedule.enabled
            if disabled and auto_of(settings.auto, has_inputs=bool(flow.edges), schedule=schedule):
                yield (
                    f"{flow.instance}.{flow.kind} has a schedule that is disabled, so it follows its inputs, and runs "
                    f"when they have something newer; `optaic pause {flow.instance}` stops it, `auto: false` too"
                )


def _hopeless_edges(instances: Iterable[ResolvedInstance], now: dt.datetime) -> Iterator[str]:
    found = list(instances)
    specs = {i.spec.name: i.spec for i in found if isinstance(i.spec, RunnableSpec)}
    for edge, reader in ((edge, flow.instance) for each in found for flow in each.flows for edge in flow.edges):
        (name, kind), asked = edge.upstream, edge.ref.max_age
        if asked is None:
            continue
        which = name if SHAPES[kind].leaves is Output.ROWS else f"{name}.{kind}"
        for keeps, why in _ages(specs[name], kind, now):
            if asked < keeps:
                yield (
                    f"{reader} asks that {which} is at most {span(asked)} old, but {why}; "
                    "raise max_age on the edge, or refresh the upstream more often"
                )


def _ages(upstream: RunnableSpec, kind: FlowKind, now: dt.datetime) -> Iterator[tuple[dt.timedelta, str]]:
    settings = upstream.flow_settings(kind)
    policy = policy_of(settings.freshness, settings.schedule, kind)
    if policy.max_age is not None:
        yield policy.max_age, f"it counts as fresh for {span(policy.max_age)}"
    if policy.clock is not None and (gap := _longest_gap(policy.clock, now)) is not None:
        yield gap, f"its schedule leaves up to {span(gap)} between two runs"


def _longest_gap(clock: Clock, now: dt.datetime) -> dt.timedelta | None:
    ticks: list[dt.datetime] = []
    tick = next_tick(clock, now)
    while tick is not None and len(ticks) < _YEAR_OF_TICKS:
        ticks.append(tick)
        tick = next_tick(clock, tick)
    return max((later - earlier for earlier, later in pairwise(ticks)), default=None)
