"""Promotion: an experiment becomes a signal, a trained version becomes a model's champion."""

import datetime as dt
import getpass
from collections.abc import Iterator

from pydantic import TypeAdapter, ValidationError

from definitions.contract import FlowKind
from flows.integrations.services import Services
from flows.planning.scope import Scope
from flows.reading.block_reader import read_blocks
from flows.running.champion import promote_by_hand
from flows.running.run_starter import CascadeResult, start_due
from instances.documents.spec_errors import problem_texts
from instances.errors import InvalidSpec, OptaicError, UnknownFlow
from instances.rules.cascade import Hold
from instances.rules.readiness import assess
from instances.specification.applied import FlowRecord
from instances.specification.fields import SignalSpec
from instances.specification.specs import AnySpec, ComponentSpec, ExperimentSpec, ModelSpec, SignalInstanceSpec
from instances.specification.types import DEFAULT_PARTS, PARTS, part_name
from instances.specification.values import Name
from instances.world.clock import next_tick
from instances.world.wording import a, moment

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
        raise InvalidSpec(problem_texts(name, error)) from error


def signal_of(experiment: ExperimentSpec, name: str, signal_spec: SignalSpec) -> tuple[AnySpec, ...]:
    """Return the specs of a signal that is computed as the experiment is, and where it is, and of its parts.

    Raises `InvalidSpec` for a name that no instance can have.
    """
    try:
        _name.validate_python(name)
        return _specs(experiment, name, signal_spec)
    except ValidationError as error:
        raise InvalidSpec(problem_texts(name, error)) from error


def _specs(experiment: ExperimentSpec, name: str, signal_spec: SignalSpec) -> tuple[AnySpec, ...]:
    shared = {"project": experiment.project}
    parts: dict[str, dict[str, object]] = {
        "pipeline_instance": {
            "definition": experiment.definition,
            "definition_version": experiment.definition_version,
            "config": experiment.config,
        },
        **{field: dict(part) for field, part in DEFAULT_PARTS.items()},
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


async def scope_of_signal(services: Services, experiment: str, name: str, signal_spec: SignalSpec) -> Scope:
    """Return what must be applied so that an applied experiment becomes a signal, by the definition that it has now.

    Raises `UnknownInstance`, `InvalidSpec`, and `CannotPromote` for another type of instance or a name that is taken.
    """
    repository = services.repository
    applied = repository.applied([experiment]).get(experiment)
    spec = applied.spec if applied is not None else repository.spec(experiment)
    if not isinstance(spec, ExperimentSpec):
        raise CannotPromote(f"{experiment!r} is {a(spec.type)}; only an experiment can become a signal.")
    specs = signal_of(spec, name, signal_spec)
    blocks = await read_blocks(services.prefect)
    taken = {*blocks.by_name, *blocks.unreadable, *(other.name for other in repository.specs())}
    for each in specs:
        if each.name in taken:
            raise CannotPromote(
                f"there is an instance or a block named {each.name!r} already; choose another name for the signal."
            )
    return Scope(specs)


def training_flow(services: Services, model: str) -> FlowRecord:
    """Return the flow that trains a model. Raises `UnknownInstance`, and `CannotPromote` for what is no model."""
    repository = services.repository
    try:
        return repository.flow(model, FlowKind.TRAIN)
    except UnknownFlow as error:
        spec = repository.spec(model)
        if isinstance(spec, ModelSpec):
            raise
        problem = f"{model!r} is {a(spec.type)}; say which model, or --as SIGNAL for an experiment."
        raise CannotPromote(problem) from error


async def promote_version(services: Services, training: FlowRecord, version: str) -> CascadeResult:
    """Make a version the champion of the model of a `training_flow`, and start what was waiting for it.

    Raises `NoSuchVersion`, and `CannotPromote` where there is nothing to promote.
    """
    from flows.reading.server_clock import server_now
    from flows.reading.status_reader import read_all_flows

    model, now = training.instance, await server_now(services.prefect)
    _, world = await read_all_flows(services, now)
    trained = world[training.flow_id].completed
    if trained is None or trained.provenance is None or not trained.provenance.recorded:
        raise CannotPromote(f"{model!r} has not been trained yet: run `optaic run {model} train` first.")
    kept_as = services.repository.applied([model])[model].kept_as
    promote_by_hand(services, kept_as, version, trained=trained.run_id, by=f"hand, by {getpass.getuser()}", now=now)
    return await start_due(services, services.repository.children(training.flow_id))


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


def previous_version(services: Services, training: FlowRecord) -> str:
    """Return the version that was the champion before, of the model of a `training_flow`. Raises `CannotPromote`."""
    model = training.instance
    previous = services.tracking.previous(services.repository.applied([model])[model].kept_as)
    if previous is None:
        raise CannotPromote(f"{model!r} had no champion before; say a version: `optaic promote {model} VERSION`.")
    return previous.version
