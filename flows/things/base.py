"""What every kind of thing is asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectHTTPStatusError

from blocks.documents import SavedBlocks
from flows.deployments import Storage
from flows.services import Services
from instances.errors import OptaicError
from instances.plan import Step
from instances.resolution import ResolvedInstance
from instances.specs import AnySpec

AT_ONCE = 4  # requests; more are slower: the server is the bottleneck


@dataclass(frozen=True)
class Tools:
    """The servers that things are read from and made on."""

    services: Services
    client: PrefectClient

    @property
    def mark(self) -> str:
        """What things made from this database carry, so that those of others are never touched."""
        return self.services.mark


@dataclass(frozen=True)
class Wanted:
    """What the world is to look like: the instances, upstream first, and the names of those that go.

    `to_save` are the specs of a manifest, whose blocks are to match them. With `data`, what those that go
    have left goes too.
    """

    instances: tuple[ResolvedInstance, ...]
    storage: Storage
    blocks: SavedBlocks
    to_save: tuple[AnySpec, ...] = ()
    gone: tuple[str, ...] = ()
    data: bool = False


@dataclass(frozen=True)
class Proposed:
    """A step for each thing of one kind, and why they can't be applied, each with its remedy."""

    steps: tuple[Step, ...]
    problems: tuple[str, ...] = ()


class Things(Protocol):
    """One kind of thing. Planning reads and writes nothing; applying does what the steps say, and no more."""

    kind: str

    async def plan(self, wanted: Wanted, tools: Tools) -> Proposed:
        """Return what must be done for the things of this kind, from one reading of them."""
        ...

    async def apply(self, steps: Sequence[Step], wanted: Wanted, tools: Tools, done: Callable[[Step], None]) -> None:
        """Carry out steps of one action group, creations and updates or deletions; `done` is told of each."""
        ...


class Refused(OptaicError):
    """Prefect does not take a thing as it is to be."""

    def __init__(self, step: Step, error: PrefectHTTPStatusError) -> None:
        super().__init__(
            f"Prefect refused to {step.action} the {step.label}: {error.response.text or error}. "
            "What was done before it stays; correct this and apply again."
        )


async def a_few_at_once(work: Callable[[Step], Awaitable[None]], steps: Iterable[Step]) -> None:
    """Do the work for all steps, a few at a time; the first error stops the others.

    Raises `Refused` when the server does not take something.
    """
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(step: Step) -> None:
        async with slots:
            try:
                await work(step)
            except PrefectHTTPStatusError as error:
                raise Refused(step, error) from error

    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(one(step))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
