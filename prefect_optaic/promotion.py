"""Promotion: an experiment or a dataset becomes a signal, a trained version becomes a model's champion."""

import datetime as dt
import getpass
import keyword
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl
from pydantic import TypeAdapter, ValidationError

from definitions.contract import FlowKind
from definitions.pipelines.expression import EXPRESSION
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
from instances.specification.fields import DefinedFields, SignalSpec, UpstreamRef
from instances.specification.plugins import readable
from instances.specification.specs import (
    AnySpec,
    ComponentSpec,
    DatasetSpec,
    ExperimentSpec,
    ModelSpec,
    SignalInstanceSpec,
)
from instances.specification.types import DEFAULT_PARTS, PARTS, PIPELINE_PART, part_name
from instances.specification.values import Name
from instances.world.clock import next_tick
from instances.world.wording import a, moment
from research.errors import did_you_mean
from research.frames.panels import KEYS

# What of an instance says where its runs go: those of its signal go there too.
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


@dataclass(frozen=True)
class Promotable:
    """What can become a signal, and how that is computed: as an experiment is, or from a column of a dataset."""

    spec: ExperimentSpec | DatasetSpec
    description: str
    pipeline: Mapping[str, object]
    upstream_refs: tuple[UpstreamRef, ...]
    value_column: str | None = None

    @classmethod
    def experiment(cls, spec: ExperimentSpec) -> "Promotable":
        """Return an experiment with its own expression and inputs."""
        named = {field: getattr(spec, field) for field in DefinedFields.model_fields}
        column = spec.config.get("value_column")
        description = spec.description or f"Promoted from the experiment {spec.name}."
        return cls(spec, description, named, spec.upstream_refs, str(column) if column is not None else None)

    @classmethod
    def dataset(cls, spec: DatasetSpec, column: str) -> "Promotable":
        """Return a dataset of which a signal reads one column."""
        computed = {"definition": EXPRESSION.name, "config": {"expression": column}}
        return cls(spec, f"Promoted from {column} of {spec.name}.", computed, (UpstreamRef(instance=spec.name),))


def signal_of(source: Promotable, name: str, signal_spec: SignalSpec) -> tuple[AnySpec, ...]:
    """Return the specs of a signal of what is promoted, whose runs go where those of that go, and of its parts.

    Raises `InvalidSpec` for a name that no instance can have.
    """
    try:
        _name.validate_python(name)
        return _specs(source, name, signal_spec)
    except ValidationError as error:
        raise InvalidSpec(problem_texts(name, error)) from error


def _specs(source: Promotable, name: str, signal_spec: SignalSpec) -> tuple[AnySpec, ...]:
    spec = source.spec
    shared = {"project": spec.project}
    parts = {PIPELINE_PART: source.pipeline, **DEFAULT_PARTS}
    named = {field: part_name(name, type_) for field, type_ in PARTS.items()}
    column = source.value_column or signal_spec.value_column
    return (
        *(
            ComponentSpec.model_validate({"name": named[field], "type": PARTS[field], **shared, **part})
            for field, part in parts.items()
        ),
        SignalInstanceSpec.model_validate(
            {
                "name": name,
                "description": source.description,
                "upstream_refs": source.upstream_refs,
                "signal_spec": signal_spec.model_copy(update={"value_column": column}),
                **{field: getattr(spec, field) for field in _INFRASTRUCTURE},
                **shared,
                **named,
            }
        ),
    )


async def scope_of_signal(
    services: Services, promoted: str, name: str, signal_spec: SignalSpec, *, column: str = ""
) -> Scope:
    """Return what must be applied so that an applied experiment or dataset becomes a signal.

    That of an experiment is computed by the definition that it has now; that of a dataset reads a `column` of it,
    which need not be said where there is one only. Raises `UnknownInstance`, `InvalidSpec`, and `CannotPromote` for
    another type of instance, a column that can't be it, or a name that is taken.
    """
    specs = signal_of(_promotable(services, promoted, column), name, signal_spec)
    blocks = await read_blocks(services.prefect)
    taken = {*blocks.by_name, *blocks.unreadable, *(other.name for other in services.repository.specs())}
    for each in specs:
        if each.name in taken:
            raise CannotPromote(
                f"there is an instance or a block named {each.name!r} already; choose another name for the signal."
            )
    return Scope(specs)


def _promotable(services: Services, name: str, column: str) -> Promotable:
    repository = services.repository
    applied = repository.applied([name]).get(name)
    spec = applied.spec if applied is not None else repository.spec(name)
    if isinstance(spec, ExperimentSpec):
        if column:
            raise CannotPromote(f"{name!r} is an experiment, whose signal has its expression: leave out --column.")
        return Promotable.experiment(spec)
    if applied is None or not isinstance(spec, DatasetSpec) or isinstance(spec, SignalInstanceSpec):
        raise CannotPromote(f"{name!r} is {a(spec.type)}; only an experiment or a dataset can become a signal.")
    store = readable(applied, services.registry, services.resources).store
    head = store.head()
    if head is None:
        raise CannotPromote(
            f"{name!r} has left no rows yet, so what its columns are is not known: run `optaic run {name}` first."
        )
    return Promotable.dataset(spec, column_to_promote(name, store.scan(head.version).collect_schema(), column))


def column_to_promote(dataset: str, columns: Mapping[str, pl.DataType], asked: str) -> str:
    """Return which of a dataset's columns its signal has: the one that was `asked` for, or its only one of numbers.

    Raises `CannotPromote`.
    """
    values = [
        name for name, dtype in columns.items() if name not in KEYS and (dtype.is_numeric() or dtype == pl.Boolean)
    ]
    listed = ", ".join(values) or "none"
    if asked and asked not in values:
        hint = did_you_mean(asked, values)
        raise CannotPromote(
            f"{dataset!r} has no column of numbers {asked!r}.{hint} Its columns of numbers are: {listed}."
        )
    if not asked and len(values) != 1:
        remedy = "say which with --column" if values else "give its pipeline one"
        raise CannotPromote(f"{dataset!r} has not just one column of numbers, but: {listed}; {remedy}.")
    column = asked or values[0]
    if not column.isidentifier() or keyword.iskeyword(column):
        raise CannotPromote(
            f"an expression can't name the column {column!r} of {dataset!r}: call it otherwise in its pipeline, with "
            "letters, digits and underscores."
        )
    return column


def training_flow(services: Services, model: str) -> FlowRecord:
    """Return the flow that trains a model. Raises `UnknownInstance`, and `CannotPromote` for what is no model."""
    repository = services.repository
    try:
        return repository.flow(model, FlowKind.TRAIN)
    except UnknownFlow as error:
        spec = repository.spec(model)
        if isinstance(spec, ModelSpec):
            raise
        problem = f"{model!r} is {a(spec.type)}; say which model, or --as SIGNAL for an experiment or a dataset."
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
