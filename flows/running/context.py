"""Context: what the work of a run gets: its instance as applied, and its inputs at the pinned versions."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from uuid import UUID

import polars as pl

from definitions.accessors.point_in_time import PointInTimeAccessor
from definitions.accessors.simple import SimpleAccessor
from definitions.contract import (
    Accessor,
    Input,
    Module,
    Optimizer,
    Pipeline,
    ReadRequest,
    Resources,
    Store,
    StoreVersion,
)
from flows.integrations.services import Services
from instances.errors import OptaicError
from instances.specification.applied import AppliedInstance, FlowRecord
from instances.specification.plugins import ConfiguredDefinition, own_definition, readable, second_store
from instances.specification.shapes import SHAPES, Output
from instances.specification.specs import AnySpec, RunnableSpec, SignalInstanceSpec
from instances.specification.work_order import WorkOrder
from instances.world.facts import RunId
from instances.world.fingerprint import Pin


class NothingToRead(OptaicError):
    """An input that a run can't do without, of which nothing was pinned."""

    def __init__(self, instance: str, role: str) -> None:
        super().__init__(
            f"{instance}: no version was pinned of the upstream in the role {role!r}, which the run needs. "
            "Run that upstream first, and see that its upstream_ref is required."
        )


@dataclass(frozen=True)
class PinnedModel:
    """One pinned input that is a model: a version under its name in the model registry."""

    role: str
    registered_name: str
    version: str


@dataclass(frozen=True)
class FencedStore:
    """A store to which a run writes only as long as its flow is there."""

    store: Store
    writing: Callable[[], AbstractContextManager[None]]

    def head(self) -> StoreVersion | None:
        return self.store.head()

    def write(self, frame: pl.DataFrame, *, replace: bool = False) -> StoreVersion:
        """Commit as `Store.write` does. Raises `FlowGone`."""
        with self.writing():
            return self.store.write(frame, replace=replace)

    def scan(self, version: str) -> pl.LazyFrame:
        return self.store.scan(version)

    def delete(self) -> None:
        with self.writing():
            self.store.delete()


@dataclass(frozen=True)
class Context:
    """What the work of a run gets. With `everything` it is to read its source from the beginning.

    `missing` names the instances that it may read, and that have left nothing to read yet. `made_by` has the
    configurations that inputs were made by, by the names that their columns bear, where what the run leaves depends
    on them. `run_id` is that of the Prefect run.
    """

    services: Services
    run_id: UUID
    applied: AppliedInstance
    inputs: tuple[Input, ...] = ()
    models: tuple[PinnedModel, ...] = ()
    missing: tuple[str, ...] = ()
    made_by: Mapping[str, str] = field(default_factory=dict)
    everything: bool = False

    @cached_property
    def configured(self) -> ConfiguredDefinition:
        """The definition that decides on the instance's flows, with its config parsed."""
        return own_definition(self.applied, self.services.registry)

    @property
    def pipeline(self) -> Pipeline:
        """What the definition of a dataset's pipeline makes, or that of an experiment."""
        pipeline: Pipeline = self._plugin
        return pipeline

    @property
    def module(self) -> Module:
        """What the definition of a model makes."""
        module: Module = self._plugin
        return module

    @property
    def optimizer(self) -> Optimizer:
        """What the definition of a portfolio optimizer makes."""
        optimizer: Optimizer = self._plugin
        return optimizer

    @property
    def resources(self) -> Resources:
        """What a plugin needs of the platform."""
        return replace(self.services.resources, instance=self.applied.kept_as)

    @property
    def _plugin(self) -> Any:
        return self.configured.plugin(self.resources)

    @property
    def store(self) -> Store:
        """Where the rows go that the run leaves."""
        own = readable(self.applied, self.services.registry, self.services.resources).store
        return FencedStore(own, self.writing)

    def second_store(self, name: str) -> Store:
        """Return a store for other rows than those that readers of the instance see."""
        return FencedStore(second_store(self.applied.kept_as, name, self.services.resources), self.writing)

    def writing(self) -> AbstractContextManager[None]:
        """Return what must be entered while something is written outside of the run's own row.

        Raises `FlowGone` when the instance was destroyed meanwhile: what has its name now may be another one.
        """
        return self.services.ledger.writing(RunId(self.run_id))

    def in_role(self, role: str) -> tuple[Input, ...]:
        return tuple(each for each in self.inputs if each.role == role)

    def only(self, role: str) -> Input | None:
        """Return the input in a role that one instance can play; None when there is none."""
        return next(iter(self.in_role(role)), None)

    def needed(self, role: str) -> Input:
        """Return the input in a role that one instance must play; `NothingToRead` without it."""
        found = self.only(role)
        if found is None:
            raise NothingToRead(self.applied.spec.name, role)
        return found


def run_context(services: Services, flow: FlowRecord, order: WorkOrder, *, run_id: UUID) -> Context:
    """Return the context of one attempt of a run, all of it as its guard has written it down.

    The inputs are read at the pinned versions; a revised row counts from the day on which it was known. Raises
    `DefinitionError` when a pinned version can't be read.
    """
    applied, pins = order.instances, _as_described(order.instances[flow.instance].spec, order.pins)
    models = [pin for pin in pins if SHAPES[pin.kind].leaves is Output.MODEL]
    return Context(
        services=services,
        run_id=run_id,
        applied=applied[flow.instance],
        inputs=tuple(_read(services, applied[pin.instance], pin) for pin in pins if pin not in models),
        models=tuple(
            PinnedModel(pin.role, applied[pin.instance].handles["mlflow_registered_model_name"], pin.version)
            for pin in models
        ),
        missing=tuple(_missing(applied[flow.instance].spec, flow, pins)),
        made_by={applied[pin.instance].columns_as: pin.made_by for pin in pins if pin.made_by is not None},
        everything=order.everything,
    )


def _as_described(spec: AnySpec, pins: Iterable[Pin]) -> tuple[Pin, ...]:
    """Return the pins in the order in which the spec names them, whatever their ids are; a model's own come last."""
    assert isinstance(spec, RunnableSpec)
    places = {(ref.instance, ref.role): place for place, ref in enumerate(spec.references())}
    return tuple(sorted(pins, key=lambda pin: places.get((pin.instance, pin.role), len(places))))


def _missing(spec: AnySpec, flow: FlowRecord, pins: Iterable[Pin]) -> Iterator[str]:
    """Yield the instances that the flow may read and that nothing was pinned of."""
    assert isinstance(spec, RunnableSpec)
    pinned, roles = {pin.instance for pin in pins}, SHAPES[flow.kind].roles
    for ref in spec.references():
        if ref.instance not in pinned and (roles is None or ref.role in roles):
            yield ref.instance


def _read(services: Services, applied: AppliedInstance, pin: Pin) -> Input:
    source = readable(applied, services.registry, services.resources)
    frame = source.accessor.read(source.store, ReadRequest(version=pin.version, as_known=True))
    spec = applied.spec
    neutral = spec.signal_spec.neutral if isinstance(spec, SignalInstanceSpec) else 0.0
    known_as = applied.columns_as if applied.columns_as != pin.instance else None
    return Input(
        pin.instance,
        pin.role,
        frame,
        version=pin.version,
        neutral=neutral,
        known_as=known_as,
        revised=_can_be_revised(source.accessor, source.store, pin.version),
    )


def _can_be_revised(accessor: Accessor, store: Store, version: str) -> bool:
    """Say whether the rows of a table say when they were known; of our accessors each takes one kind of rows only."""
    match accessor:
        case SimpleAccessor():
            return False
        case PointInTimeAccessor():
            return True
        case _:
            return "knowledge_date" in store.scan(version).collect_schema().names()
