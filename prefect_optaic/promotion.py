"""Promotion: an experiment becomes a signal, a trained version becomes a model's champion."""

import datetime as dt
import getpass
from collections.abc import Iterator

from pydantic import TypeAdapter, ValidationError

from blocks.base import part_name
from blocks.documents import read_blocks
from definitions.contract import FlowKind
from flows.planning.planner import Scope
from flows.running.champion import promote_by_hand
from flows.running.run_starter import CascadeResult, start_due
from instances.errors import InvalidSpec, OptaicError
from instances.rules.cascade import Hold
from instances.rules.readiness import assess
from instances.specification.spec_errors import told
from instances.specification.specs import (
    AnySpec,
    ComponentSpec,
    ExperimentSpec,
    ModelSpec,
    SignalInstanceSpec,
    SignalSpec,
)
from instances.specification.types import PARTS
from instances.specification.values import Name
from instances.world.clock import next_tick
from instances.world.wording import a, moment
from prefect_optaic.session import Session

# What of an experiment says where its runs go: those of the signal go there too.
_INFRASTRUCTURE = ("work_pool", "work_queue", "job_variables", "concurrency")
_name: TypeAdapter[str] = TypeAdapter(Name)


class CannotPromote(OptaicError):
    """What is to be promoted can't be, as it is asked for."""


def bounds_of(name: str, *, least: float | None, most: float | None) -> SignalSpec:
    """Return what the values of a signal must satisfy. Raises `InvalidSpec`."""
    try:
        return SignalSpec(min=least, max=most)
    except ValidationError as error:
        raise InvalidSpec(told(name, error)) from error


def signal_of(experiment: ExperimentSpec, name: str, signal_spec: SignalSpec) -> tuple[AnySpec, ...]:
    """Return the specs of a signal that is computed as the experiment is, and where it is, and of its parts.

    Raises `InvalidSpec` for a name that no instance can have.
    """
    try:
        _name.validate_python(name)
        return _specs(experiment, name, signal_spec)
    except ValidationError as error:
        raise InvalidSpec(told(name, error)) from error


def _specs(experiment: ExperimentSpec, name: str, signal_spec: SignalSpec) -> tuple[AnySpec, ...]:
    shared = {"project": experiment.project}
    parts: dict[str, dict[str, object]] = {
        "pipeline_instance": {
            "definition": experiment.definition,
            "definition_version": experiment.definition_version,
            "config": experiment.config,
        },
        "store_instance": {"definition": "delta"},
        "accessor_instance": {"definition": "simple"},
    }
    named = {field: part_name(name, type_) for field, type_ in PARTS.items()}
    column = str(experiment.config.get("value_column", signal_spec.value_column))
    return (
        *(
            ComponentSpec.model_validate({"name": named[field], "type": PARTS[field], **shared, **part})
            for field, part in parts.items()
        ),
        SignalInstanceSpec.model_validate(
            {
                "name": name,
                "description": experiment.description or f"Promoted from the experiment {experiment.name}.",
                "upstream_refs": experiment.upstream_refs,
                "signal_spec": signal_spec.model_copy(update={"value_column": column}),
                **{field: getattr(experiment, field) for field in _INFRASTRUCTURE},
                **shared,
                **named,
            }
        ),
    )


async def scope_of_signal(session: Session, experiment: str, name: str, signal_spec: SignalSpec) -> Scope:
    """Return what must be applied so that an applied experiment becomes a signal, by the definition that it has now.

    Raises `UnknownInstance`, `InvalidSpec`, and `CannotPromote` for another type of instance or a name that is taken.
    """
    repository = session.services.repository
    spec = repository.spec(experiment)
    if not isinstance(spec, ExperimentSpec):
        raise CannotPromote(f"{experiment!r} is {a(spec.type)}; only an experiment can become a signal.")
    applied = repository.applied([experiment])[experiment].spec
    assert isinstance(applied, ExperimentSpec)
    specs = signal_of(applied, name, signal_spec)
    blocks = await read_blocks(session.client)
    taken = {*blocks.by_name, *blocks.unreadable, *(other.name for other in repository.specs())}
    for each in specs:
        if each.name in taken:
            raise CannotPromote(
                f"there is an instance or a block named {each.name!r} already; choose another name for the signal."
            )
    return Scope(specs)


async def promote_version(session: Session, model: str, version: str) -> CascadeResult:
    """Make a version a model's champion, and start what was waiting for it.

    Raises `UnknownInstance`, `NoSuchVersion`, and `CannotPromote` where there is nothing to promote.
    """
    from flows.reading.server_clock import server_now
    from flows.reading.status_reader import read_all_flows

    services, client = session.services, session.client
    _check_model(session, model)
    train = services.repository.flow_id(model, "train")
    now = await server_now(client)
    _, world = await read_all_flows(services, client, now)
    trained = world[train].completed
    if trained is None or trained.provenance is None or not trained.provenance.recorded:
        raise CannotPromote(f"{model!r} has not been trained yet: run `optaic run {model} train` first.")
    promote_by_hand(services, model, version, trained=trained.run_id, by=f"hand, by {getpass.getuser()}", now=now)
    return await start_due(services, services.repository.children(train))


def not_started(looked: CascadeResult, now: dt.datetime) -> Iterator[str]:
    """Yield a sentence for each `infer` that a promotion calls for, and that was left alone or could not start."""
    for decision in looked.decisions:
        flow = looked.world[decision.flow_id]
        why = decision.reason if isinstance(decision, Hold) else looked.failed.get(flow.flow_id)
        if flow.kind is not FlowKind.INFER or why is None:
            continue
        done = flow.completed.provenance if flow.completed is not None else None
        if done is not None and done.fingerprint == assess(flow, looked.world, now).fingerprint:
            continue
        stay = "its predictions stay those of the champion before" if done else "there are no predictions"
        tick = next_tick(flow.policy.clock, now) if flow.policy.clock is not None else None
        at = f", at {moment(tick, now)}" if tick is not None else ""
        yield f"{flow.label} was not started: {why}. Until its next run{at}, {stay}."


def previous_version(session: Session, model: str) -> str:
    """Return the version that was a model's champion before. Raises `UnknownInstance`, `CannotPromote`."""
    _check_model(session, model)
    previous = session.services.tracking.previous(model)
    if previous is None:
        raise CannotPromote(f"{model!r} had no champion before; say a version: `optaic promote {model} VERSION`.")
    return previous.version


def _check_model(session: Session, model: str) -> None:
    spec = session.services.repository.spec(model)
    if not isinstance(spec, ModelSpec):
        raise CannotPromote(f"{model!r} is {a(spec.type)}; say which model, or --as SIGNAL for an experiment.")
