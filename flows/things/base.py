"""What every kind of thing is asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from prefect.client.orchestration import PrefectClient

from blocks.base import AnyInstanceSpec
from blocks.documents import SavedBlocks
from flows.deployments import Storage
from flows.services import Services
from instances.plan import Step
from instances.resolution import ResolvedInstance

AT_ONCE = 4  # requests; more are slower: the server is the bottleneck

T = TypeVar("T")


@dataclass(frozen=True)
class Tools:
    """The servers that things are read from and made on."""

    services: Services
    client: PrefectClient

    @property
    def mark(self) -> str:
        """What things made from this database carry, so that those of others are never touched."""
        return f"optaic-{self.services.repository.installation().hex[:12]}"


@dataclass(frozen=True)
class Wanted:
    """What the world is to look like: the instances, upstream first, and the names of those that go.

    `to_save` are the specs of a manifest, whose blocks are to match them.
    """

    instances: tuple[ResolvedInstance, ...]
    storage: Storage
    blocks: SavedBlocks
    to_save: tuple[AnyInstanceSpec, ...] = ()
    gone: tuple[str, ...] = ()


class Things(Protocol):
    """One kind of thing. Planning reads and writes nothing; applying does what the steps say, and no more."""

    kind: str

    async def problems(self, wanted: Wanted, tools: Tools) -> list[str]:
        """Return why the plan can't be applied, each with its remedy."""
        ...

    async def plan(self, wanted: Wanted, tools: Tools) -> tuple[Step, ...]:
        """Return a step for each thing of this kind."""
        ...

    async def apply(self, steps: Sequence[Step], wanted: Wanted, tools: Tools, done: Callable[[Step], None]) -> None:
        """Carry out steps of one action group, creations and updates or deletions; `done` is told of each."""
        ...


async def a_few_at_once(work: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    """Do the work for all items, a few at a time; the first error stops those that have not begun."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> None:
        async with slots:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))
