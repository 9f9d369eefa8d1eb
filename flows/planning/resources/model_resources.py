"""Resources outside of Prefect that every model instance has one of, under its name, with their ids in its row."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from flows.integrations.services import Services
from flows.planning.resources.resource import (
    CONCURRENCY,
    DesiredState,
    Proposal,
    Refusal,
    StepsRefused,
    run_concurrently,
)
from instances.errors import OptaicError, Problem
from instances.plans.plan import Fields, Step, compare
from instances.specification.specs import ModelSpec


@dataclass(frozen=True)
class ModelResourceSnapshot:
    """One resource that is there: its id, and what else of it is compared."""

    id: str
    fields: Fields


class ModelResource(Protocol):
    """A server that keeps one resource for each model; `handle` is the column of the row that has its id.

    `server` is its name.
    """

    kind: str
    handle: str
    server: str

    @property
    def state(self) -> Fields:
        """What a resource is to be like, beside that its id is in the row."""
        ...

    def existing(self, services: Services) -> Mapping[str, ModelResourceSnapshot]:
        """Return those that this installation made, by name."""
        ...

    def taken(self, services: Services, name: str) -> str | None:
        """Return why the name can't be used, though it is not among those found; None when it can."""
        ...

    def ensure(self, services: Services, name: str) -> str:
        """Find, restore or make the resource of that name, and return its id."""
        ...

    def delete(self, services: Services, name: str) -> None:
        """Delete the resource of that name with all that is kept under it; nothing where there is none."""
        ...


class PerModel:
    """One resource for each model instance. They stay when the model goes, unless its data goes too."""

    def __init__(self, resource: ModelResource) -> None:
        self.kind = resource.kind
        self.resource = resource

    async def plan(self, state: DesiredState, services: Services) -> Proposal:
        models = {each.spec.name: each.kept_as for each in state.instances if isinstance(each.spec, ModelSpec)}
        if not models:  # what is not needed is not asked either
            return Proposal(())
        try:
            return await asyncio.to_thread(self._compared, models, state, services)
        except OptaicError as error:
            return Proposal((), tuple(Problem(name, f"{', '.join(models)}: {error}") for name in models))

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, services: Services, done: Callable[[Step], None]
    ) -> None:
        async def one(step: Step) -> None:
            try:
                await asyncio.to_thread(self._make, step.name, state.kept_as[step.name], services)
            except OptaicError as error:  # of this model: the others go on
                raise StepsRefused([Refusal(step, str(error), by=self.resource.server)]) from error
            done(step)

        await run_concurrently(one, steps)

    def _compared(self, models: Mapping[str, str], state: DesiredState, services: Services) -> Proposal:
        kept, names = self.resource.existing(services), state.renames.names
        existing = {name: kept[kept_as] for name, kept_as in models.items() if kept_as in kept}
        on_record = {*models, *(old for old, new in names.items() if new in models)}
        applied = services.repository.applied(on_record, readable=True)
        recorded = {names.get(name, name): each.handles.get(self.resource.handle) for name, each in applied.items()}
        desired = {name: self.resource.state | {"id_in_row": True} for name in models}
        actual = {
            name: existing[name].fields | {"id_in_row": recorded.get(name) == existing[name].id}
            for name in models
            if name in existing
        }
        new = [name for name in models if name not in existing]
        with ThreadPoolExecutor(CONCURRENCY) as threads:
            taken = zip(new, threads.map(lambda name: self.resource.taken(services, models[name]), new), strict=True)
            problems = tuple(Problem(name, f"{name}: {why}") for name, why in taken if why)
        return Proposal(compare(self.kind, desired, actual), problems)

    def _make(self, name: str, kept_as: str, services: Services) -> None:
        services.writer.set_handle(name, self.resource.handle, self.resource.ensure(services, kept_as))
