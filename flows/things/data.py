"""What instances have left outside of Prefect and Postgres, where it is to go with them."""

import asyncio
from collections.abc import Callable, Sequence

from flows.services import Services
from flows.things.base import Proposed, Tools, Wanted
from instances.assembly import stores
from instances.plan import Fields, Step, compare
from instances.repository import Applied
from instances.specs import ModelSpec


class Data:
    """Rows in stores, experiments, registered models and projects: gone before the instance is forgotten."""

    kind = "data"

    async def plan(self, wanted: Wanted, tools: Tools) -> Proposed:
        if not wanted.data:
            return Proposed(())
        applied = tools.services.repository.applied(wanted.gone)
        actual = {name: _left(each, tools.services) for name, each in applied.items()}
        there = {name: fields for name, fields in actual.items() if fields}
        return Proposed(compare(self.kind, {}, there, gone=there))

    async def apply(self, steps: Sequence[Step], wanted: Wanted, tools: Tools, done: Callable[[Step], None]) -> None:
        applied = tools.services.repository.applied({step.name for step in steps})
        for step in steps:
            await asyncio.to_thread(_delete, applied[step.name], tools.services)
            done(step)


def _left(applied: Applied, services: Services) -> Fields:
    heads = [store.head() for store in stores(applied, services.registry, services.resources)]
    versions = [head.version for head in heads if head is not None]
    return ({"versions": versions} if versions else {}) | dict(applied.handles)


def _delete(applied: Applied, services: Services) -> None:
    name = applied.spec.name
    for store in stores(applied, services.registry, services.resources):
        store.delete()
    if isinstance(applied.spec, ModelSpec):
        services.tracking.delete_model(name)
        services.tracking.delete_experiment(name)
        services.monitoring.delete(name)
