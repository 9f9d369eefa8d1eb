"""Builders of facts: a world in a few words, with a fixed `NOW`.

A flow is named 'prices' (its refresh) or 'model.train'; ages count back from `NOW`.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import takewhile
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from definitions.contract import FlowKind
from instances.world.facts import (
    BLOCKED,
    DECISIVE,
    ENDED,
    SKIPPED,
    Edge,
    FlowFacts,
    FlowId,
    Policy,
    Provenance,
    RunFact,
    RunId,
    RunState,
    World,
)

NOW = dt.datetime(2026, 3, 11, 18, 0, tzinfo=dt.UTC)  # a Wednesday
CONFIG = "config-1"
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)

_NAMES = {RunState.CANCELLING: "Cancelling", RunState.PAUSED: "Paused"}


def hours(count: float) -> dt.timedelta:
    return count * HOUR


def days(count: float) -> dt.timedelta:
    return count * DAY


def minutes(count: float) -> dt.timedelta:
    return count * MINUTE


def utc(text: str) -> dt.datetime:
    """Return the moment that '2026-03-11 18:00' names in UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def flow_id(name: str) -> FlowId:
    return FlowId(uuid5(NAMESPACE_URL, _full(name)))


def run_id(name: str) -> RunId:
    return RunId(uuid5(NAMESPACE_URL, f"run {name}"))


def deployment_id(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"deployment {_full(name)}")


def strict(upstream: str, role: str = "input") -> Edge:
    return Edge(flow_id(upstream), role)


def tolerant(upstream: str, max_age: dt.timedelta = DAY, role: str = "input") -> Edge:
    return Edge(flow_id(upstream), role, max_age=max_age)


def optional(upstream: str, role: str = "input") -> Edge:
    return Edge(flow_id(upstream), role, required=False)


def provenance(
    *,
    version: str | None = "1",
    inputs: Mapping[str, str] | None = None,
    watermark: str | None = None,
    found_new: bool = True,
    config_hash: str = CONFIG,
    fingerprint: str = "fingerprint-1",
    recorded: bool = True,
    judged: dt.timedelta | None = None,
    version_since: dt.datetime | None = None,
    made_by: Mapping[str, str] | None = None,
) -> Provenance:
    """Return what a row says; `judged` is how long ago the run's guard judged."""
    return Provenance(
        fingerprint=fingerprint,
        config_hash=config_hash,
        inputs={flow_id(name): consumed for name, consumed in (inputs or {}).items()},
        version=version,
        watermark=dt.date.fromisoformat(watermark) if watermark else None,
        found_new=found_new,
        recorded=recorded,
        judged_at=NOW - judged if judged is not None else None,
        version_since=version_since,
        made_by={flow_id(name): config for name, config in (made_by or {}).items()},
    )


def completed(ago: dt.timedelta = HOUR, **of_provenance: Any) -> RunFact:
    """Return a run that did its work; the keywords are those of `provenance`."""
    return _run(RunState.COMPLETED, ago, provenance=provenance(**of_provenance))


def skipped(ago: dt.timedelta = HOUR, **of_provenance: Any) -> RunFact:
    """Return a run that confirmed the completed one before it."""
    confirmed = provenance(**({"found_new": False} | of_provenance))
    return _run(RunState.COMPLETED, ago, state_name=SKIPPED, provenance=confirmed)


def failed(ago: dt.timedelta = HOUR, message: str = "", **of_provenance: Any) -> RunFact:
    attempted = provenance(**({"version": None, "recorded": False} | of_provenance))
    return _run(RunState.FAILED, ago, message=message, provenance=attempted)


def unjudged(state: RunState, ago: dt.timedelta = HOUR, claimed: str | None = None) -> RunFact:
    """Return a run that ended before its guard had judged."""
    return _run(state, ago, claimed=claimed)


def crashed(ago: dt.timedelta = HOUR, message: str = "", **of_provenance: Any) -> RunFact:
    attempted = provenance(**({"version": None, "recorded": False} | of_provenance))
    return _run(RunState.CRASHED, ago, message=message, provenance=attempted)


def cancelled(ago: dt.timedelta = HOUR, **of_provenance: Any) -> RunFact:
    """Return a run that a person cancelled."""
    return _run(
        RunState.CANCELLED, ago, provenance=provenance(**({"version": None, "recorded": False} | of_provenance))
    )


def blocked(ago: dt.timedelta = HOUR, **of_provenance: Any) -> RunFact:
    """Return a run that its guard stopped."""
    stopped = provenance(**({"version": None, "recorded": False} | of_provenance))
    return _run(RunState.CANCELLED, ago, state_name=BLOCKED, provenance=stopped)


def live(
    state: RunState = RunState.RUNNING, ago: dt.timedelta = MINUTE, state_name: str = "", **parameters: object
) -> RunFact:
    """Return a run under way; one that is SCHEDULED was due `ago`."""
    return _run(state, ago, state_name=state_name, parameters=parameters)


def flow(name: str, *runs: RunFact, edges: Iterable[Edge] = (), **fields: Any) -> FlowFacts:
    """Return a deployed flow with these runs, in any order; other fields of `FlowFacts` as keywords."""
    instance, kind = _full(name).split(".")
    ended = sorted((r for r in runs if r.state in ENDED), key=lambda r: r.at, reverse=True)
    facts = FlowFacts(
        flow_id=flow_id(name),
        instance=instance,
        kind=FlowKind(kind),
        config_hash=CONFIG,
        deployment_id=deployment_id(name),
        policy=Policy(),
        edges=tuple(edges),
        live=tuple(r for r in runs if r.state not in ENDED),
        decisive=next((r for r in ended if r.state in DECISIVE), None),
        completed=next((r for r in ended if r.state is RunState.COMPLETED), None),
        last_ended=next(iter(ended), None),
        cancelled=next((r for r in ended if r.cancelled_by_a_person), None),
        crashes=tuple(takewhile(lambda r: r.crashed, (r for r in ended if r.state in DECISIVE))),
    )
    return replace(facts, **fields)


def world(*flows: FlowFacts) -> World:
    return {facts.flow_id: facts for facts in flows}


def _full(name: str) -> str:
    return name if "." in name else f"{name}.{FlowKind.REFRESH}"


def _run(state: RunState, ago: dt.timedelta, *, state_name: str = "", **fields: Any) -> RunFact:
    name = state_name or _NAMES.get(state, state.title())
    return RunFact(run_id(f"{name} {ago}"), state, name, NOW - ago, **fields)
