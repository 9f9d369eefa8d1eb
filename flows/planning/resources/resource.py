"""What every kind of resource is asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from flows.integrations.prefect_api import PrefectRefusal
from flows.integrations.services import Services
from flows.planning.deployment_spec import Storage
from flows.reading.block_reader import SavedBlocks
from instances.errors import OptaicError
from instances.plans.plan import Fields, Step
from instances.plans.renames import Renames, renamed_flows, renamed_names
from instances.specification.applied import FlowRecord, RecordedName
from instances.specification.resolution import FlowKey, ResolvedInstance
from instances.specification.specs import AnySpec

CONCURRENCY = 4  # requests; more are slower: the server is the bottleneck


@dataclass(frozen=True)
class Record:
    """What Postgres has on record when a plan is made: the rows by name, all flows, and all names."""

    rows: Mapping[str, Fields] = field(default_factory=dict)
    flows: tuple[FlowRecord, ...] = ()
    names: tuple[RecordedName, ...] = ()

    def renamed(self, renames: Renames) -> "Record":
        """Return what is on record once these instances are renamed."""
        names = renames.names
        return Record(renames.rows(self.rows), renamed_flows(self.flows, names), renamed_names(self.names, names))


@dataclass(frozen=True)
class DesiredState:
    """What the world is to look like: the instances, upstream first, and the names of those that go.

    `to_save` are the specs of a manifest, whose blocks are to match them. With `data`, what those that go
    have left goes too, and with `cancel` runs of theirs that are at work are cancelled. `record` is for
    planning: an apply writes what it says. `left_out` are instances that are not to be touched, whatever
    describes them: something is wrong with them, or with what they read.

    `renames` are to be carried out first: all else here is as the world is then. `blocks_before` are the blocks as
    they are until then.
    """

    instances: tuple[ResolvedInstance, ...]
    storage: Storage
    blocks: SavedBlocks
    to_save: tuple[AnySpec, ...] = ()
    deleted: tuple[str, ...] = ()
    data: bool = False
    cancel: bool = False
    record: Record = field(default_factory=Record)
    left_out: frozenset[str] = frozenset()
    renames: Renames = field(default_factory=Renames)
    blocks_before: SavedBlocks = field(default_factory=lambda: SavedBlocks({}))

    @cached_property
    def kept_as(self) -> Mapping[str, str]:
        """The names under which what instances leave is kept, by their own."""
        return {instance.spec.name: instance.kept_as for instance in self.instances}

    @cached_property
    def surplus_flows(self) -> tuple[FlowKey, ...]:
        """The flows on record that instances which stay do not have any more."""
        staying = {instance.spec.name: {flow.kind for flow in instance.flows} for instance in self.instances}
        return tuple(
            (flow.instance, flow.kind)
            for flow in self.record.flows
            if flow.instance in staying and flow.kind not in staying[flow.instance]
        )


@dataclass(frozen=True)
class Proposal:
    """A step for each resource of one kind, why they can't be applied, each with its remedy, and what else to know.

    A problem of one instance is a `Problem`; one of several is one for each of them, in the same words.
    """

    steps: tuple[Step, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class ResourceKind(Protocol):
    """One kind of resource. Planning reads and writes nothing; applying does what the steps say, and no more."""

    kind: str

    async def plan(self, state: DesiredState, services: Services) -> Proposal:
        """Return what must be done for the resources of this kind, from one reading of them."""
        ...

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, services: Services, done: Callable[[Step], None]
    ) -> None:
        """Carry out steps of one action group, creations and updates or deletions; `done` is called with each."""
        ...


@dataclass(frozen=True)
class Refusal:
    """One step that is not taken, by whom, and why."""

    step: Step
    why: str
    by: str = "Prefect"

    def __str__(self) -> str:
        return f"{self.by} refused to {self.step.action} the {self.step.label}: {self.why}"


class StepsRefused(OptaicError):
    """The server did not take some resources; what does not need them was done."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__(
            "\n".join([*map(str, self.refusals), "What does not need them was done. Correct this and apply again."])
        )


async def run_concurrently(work: Callable[[Step], Awaitable[None]], steps: Iterable[Step]) -> None:
    """Do the work for all steps, a few at a time. What the server does not take keeps no other from being done.

    Raises `StepsRefused` in the end, for all that was not taken; any other error stops what has not begun.
    """
    slots = asyncio.Semaphore(CONCURRENCY)
    refusals: list[Refusal] = []

    async def one(step: Step) -> None:
        async with slots:
            try:
                await work(step)
            except StepsRefused as error:
                refusals.extend(error.refusals)
            except PrefectRefusal as error:
                refusals.append(Refusal(step, error.why))

    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(one(step))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    if refusals:
        raise StepsRefused(refusals)
