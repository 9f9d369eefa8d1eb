"""What instances have left outside of Prefect and Postgres, where it is to go with them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from flows.integrations.services import Services
from flows.planning.resources.model_resources import ModelResource
from flows.planning.resources.resource import DesiredState, Proposal
from instances.errors import OptaicError
from instances.plans.plan import Fields, Step, compare
from instances.specification.applied import AppliedInstance
from instances.specification.plugins import stores
from instances.specification.specs import ModelSpec


class Data:
    """Rows in stores, and what belongs to models: gone before the instance is forgotten.

    Resources are looked for by their names, so that one whose id is not in the row goes too.
    """

    kind = "data"

    def __init__(self, resources: Sequence[ModelResource]) -> None:
        self.resources = tuple(resources)

    async def plan(self, state: DesiredState, services: Services) -> Proposal:
        if not state.data:
            return Proposal(())
        applied = services.repository.applied(state.deleted)
        try:
            actual = await asyncio.to_thread(self._left, applied, services)
        except OptaicError as error:
            return Proposal((), (f"{', '.join(applied)}: {error}",))
        there = {name: fields for name, fields in actual.items() if fields}
        return Proposal(compare(self.kind, {}, there, deleted=there))

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, services: Services, done: Callable[[Step], None]
    ) -> None:
        names = {step.name for step in steps}
        await asyncio.to_thread(services.writer.retire, names)
        applied = services.repository.applied(names)
        for step in steps:
            await asyncio.to_thread(self._delete, applied[step.name], services)
            done(step)

    def _left(self, applied: Mapping[str, AppliedInstance], services: Services) -> dict[str, Fields]:
        left = {name: _versions(each, services) | dict(each.handles) for name, each in applied.items()}
        models = [name for name, each in applied.items() if isinstance(each.spec, ModelSpec)]
        for resource in self.resources if models else ():
            found = resource.existing(services)
            for name in models:
                left[name].pop(resource.handle, None)  # the id of what is not there any more
                if (kept_as := applied[name].kept_as) in found:
                    left[name][resource.handle] = found[kept_as].id
        return dict(left)

    def _delete(self, applied: AppliedInstance, services: Services) -> None:
        for store in stores(applied, services.registry, services.resources):
            store.delete()
        if isinstance(applied.spec, ModelSpec):
            for resource in self.resources:
                resource.delete(services, applied.kept_as)


def _versions(applied: AppliedInstance, services: Services) -> dict[str, object]:
    heads = [store.head() for store in stores(applied, services.registry, services.resources)]
    versions = [head.version for head in heads if head is not None]
    return {"versions": versions} if versions else {}
