"""Blocks as they are read: what documents describe, and whole lists of them while others delete and create."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from blocks import AccessorInstance, DatasetInstance, PipelineInstance, StoreInstance
from flows.integrations.prefect_api import Json, PrefectApi
from flows.integrations.prefect_api.prefect_lists import FULL, OVERLAP
from flows.planning.block_writer import BlockWriter
from flows.planning.planner import make_plan
from flows.planning.scope import Scope
from flows.reading.block_reader import TYPE_WITH_SLUG, BlocksNotRegistered, SavedBlocks, described, read_blocks
from instances.specification.specs import ComponentSpec, DatasetSpec
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play

CSV = {"definition": "csv", "config": {"path": "a.csv"}}
ROUTE = "/block_documents/filter"


def document(type_: str, name: str, data: Json, references: Mapping[str, str] | None = None) -> Json:
    """Return a document as the API gives it."""
    slug = {of: slug for slug, of in TYPE_WITH_SLUG.items()}[type_]
    blocks = {at: {"block_document": {"name": n, "is_anonymous": False}} for at, n in (references or {}).items()}
    block_type = {"slug": slug, "name": f"{type_.title()} Instance"}
    return {
        "id": str(uuid4()),
        "name": name,
        "block_type": block_type,
        "block_schema": {"fields": {}},
        "data": data,
        "block_document_references": blocks,
    }


def parts(**changed: Any) -> dict[str, Any]:
    own = {
        "pipeline_instance": CSV,
        "store_instance": {"definition": "delta"},
        "accessor_instance": {"definition": "simple"},
    }
    return {name: value for name, value in (own | changed).items() if value is not ...}


def problem_of(blocks: SavedBlocks) -> str:
    (block,) = blocks.unreadable.values()
    return block.problem


# What documents describe


def test_parts_are_described_in_place_or_by_the_names_of_their_blocks() -> None:
    found = described([document("dataset", "prices", parts(), {"store_instance": "shared"})])
    prices = found.by_name["prices"]
    assert isinstance(prices.spec, DatasetSpec)
    assert (prices.spec.pipeline_instance, prices.spec.store_instance) == ("prices-pipeline", "shared")
    assert prices.parts == (
        ComponentSpec(name="prices-pipeline", type="pipeline", definition="csv", config={"path": "a.csv"}),
        ComponentSpec(name="prices-accessor", type="accessor", definition="simple"),
    )


def test_fields_of_before_count_for_nothing() -> None:
    """Their form still has them, and Prefect adds one of its own to what is nested."""
    nested = {**CSV, "block_type_slug": "optaic-pipeline-instance", "of_before": 1}
    had = {"properties": {"of_before": {"type": "integer"}}}
    form = {"block_schema": {"fields": had | {"definitions": {"PipelineInstance": had}}}}
    saved = {**document("dataset", "prices", parts(pipeline_instance=nested, of_before=1)), **form}
    found, plain = (described([each]).by_name["prices"] for each in (saved, document("dataset", "prices", parts())))
    assert (found.spec, found.parts) == (plain.spec, plain.parts)


def test_fields_that_there_never_were_are_told() -> None:
    """A pin, a schedule or a cost would be lost otherwise."""
    nested = {**CSV, "definition_versoin": 1}
    found = described([document("dataset", "prices", parts(pipeline_instance=nested, shedule={"type": "manual"}))])
    assert problem_of(found) == (
        "shedule: is not a field that there is; did you mean 'schedule'?; "
        "pipeline_instance.definition_versoin: is not a field that there is; did you mean 'definition_version'?"
    )
    shared = described([document("dataset", "prices", parts(pipeline_instance=nested), {"pipeline_instance": "own"})])
    assert set(shared.by_name) == {"prices"}  # the document of the part tells of it


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (parts(on_stale="perhaps"), "on_stale: must be one of 'block', 'refresh' or 'warn', not 'perhaps'"),
        (parts(source_retry=15), "source_retry: a duration needs a unit: write '15m', '2h' or '7d'"),
        (parts(pipeline_instance=...), "pipeline_instance: is missing"),
        (parts(store_instance=None), "store_instance: must be a mapping of fields, not None"),
        (parts(store_instance={}), "store_instance.definition: is missing"),
        (
            parts(concurrency=0, store_instance={"definition": 1}),
            "concurrency: must be at least 1, not 0; store_instance.definition: must be text, not 1",
        ),
        (parts(schedule={"type": "cron"}), "schedule: a cron schedule needs an expression"),
    ],
)
def test_a_document_with_mistakes_is_unreadable_and_says_where(data: Json, problem: str) -> None:
    found = described([document("dataset", "prices", data)])
    assert (found.by_name, found.names, found.types) == ({}, {"prices"}, {"prices": "dataset"})
    assert problem_of(found).startswith(problem)
    assert str(found.unreadable["prices"]).startswith(f"its Dataset Instance block can't be read: {problem}")


def test_a_part_with_mistakes_makes_what_refers_to_it_unreadable_too() -> None:
    broken = parts(pipeline_instance={"definition": "csv", "config": 1})
    found = described([document("dataset", "prices", broken, {"pipeline_instance": "shared"})])
    assert problem_of(found) == "pipeline_instance.config: must be a mapping of fields, not 1"


def test_what_is_not_said_of_store_and_accessor_is_delta_and_simple() -> None:
    said, unsaid = (
        described([document("dataset", "prices", data)]).by_name["prices"]
        for data in (parts(), parts(store_instance=..., accessor_instance=...))
    )
    assert (unsaid.spec, unsaid.parts) == (said.spec, said.parts)
    assert (said.unsaid, unsaid.unsaid) == ((), ("store_instance", "accessor_instance"))


@pytest.mark.parametrize(
    ("applied", "lost"),
    [
        ({}, ()),  # never applied
        ({"prices-store": {"definition": "delta", "definition_version": None, "config": {}}}, ()),
        ({"prices-store": {"definition": "other", "definition_version": None, "config": {}}}, ("store_instance",)),
        ({"shared": {"definition": "delta", "definition_version": None, "config": {}}}, ("store_instance",)),
    ],
)
def test_a_store_that_an_applied_block_had_and_says_nothing_of_is_lost(applied: Json, lost: tuple[str, ...]) -> None:
    rows = {**applied, "prices": {"type": "dataset", "store_instance": next(iter(applied))}} if applied else {}
    found = described([document("dataset", "prices", parts(store_instance=...))]).beside(rows)
    assert found.names >= {"prices"}
    assert [block.lost for block in found.unreadable.values()] == ([lost] if lost else [])
    assert ("prices" in found.by_name) is not bool(lost)
    if lost:
        assert str(found.unreadable["prices"]) == (
            "its Dataset Instance block can't be read: store_instance: is missing"
        )


def test_of_two_blocks_with_one_name_the_first_counts() -> None:
    found = described([document("dataset", "prices", parts()), document("pipeline", "prices", CSV)])
    assert set(found.by_name) == {"prices"}
    assert found.problems == ("prices: is the name of a dataset and of a pipeline block; delete one of them",)


def test_what_python_saves_is_read_as_it_was_described(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        store = StoreInstance(definition="delta", description="Shared.")
        await store.save(f"{lab.prefix}store")
        in_place = PipelineInstance.model_validate(CSV)
        accessor = AccessorInstance(definition="simple")
        fields = {"pipeline_instance": in_place, "store_instance": store, "accessor_instance": accessor}
        block = DatasetInstance.model_validate({**fields, "source_retry": "20m", "upstream_refs": [{"instance": "x"}]})
        await block.save(f"{lab.prefix}prices")
        saved = (await read_blocks(lab.services.prefect)).by_name
        spec = saved[f"{lab.prefix}prices"].spec
        assert isinstance(spec, DatasetSpec)
        assert (spec.pipeline_instance, spec.store_instance) == (f"{lab.prefix}prices-pipeline", f"{lab.prefix}store")
        assert (spec.source_retry, spec.upstream_refs[0].instance) == (dt.timedelta(minutes=20), "x")
        assert [part.type for part in saved[f"{lab.prefix}prices"].parts] == ["pipeline", "accessor"]
        assert saved[f"{lab.prefix}store"].spec.description == "Shared."

    play(scenario)


def test_a_server_without_our_block_types_is_told(stack: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with PrefectApi() as prefect:
            await read_blocks(prefect)

    monkeypatch.setitem(TYPE_WITH_SLUG, "optaic-new-instance", "new")
    with pytest.raises(BlocksNotRegistered, match="no block type 'optaic-new-instance'"):
        asyncio.run(main())


# Others at work while the list is read

Act = Callable[[], Awaitable[object]]


class Interrupted(PrefectApi):
    """Lets others act when one page of blocks was read, before the next one."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.act = act
        self.pages = 0

    async def ask(self, method: str, path: str, body: object = None, **query: str) -> Any:
        if path == ROUTE:
            self.pages += 1
            if self.pages == 2:
                await self.act()
        return await super().ask(method, path, body, **query)


async def naive_names(prefect: PrefectApi) -> set[str]:
    """Return the names of all blocks as they were read before: page after page, each where the last one ended."""
    found: list[Json] = []
    while True:
        wanted = {
            "block_types": {"slug": {"any_": list(TYPE_WITH_SLUG)}},
            "sort": "BLOCK_TYPE_AND_NAME_ASC",
            "offset": len(found),
            "limit": FULL,
        }
        page = await prefect.ask("POST", ROUTE, wanted)
        found.extend(page)
        if len(page) < FULL:
            return {each["name"] for each in found}


class Crowd:
    """More blocks than a page holds, which are somebody else's: pipelines, sorted before the blocks of signals."""

    def __init__(self, lab: Lab) -> None:
        self.prefect = lab.services.prefect
        self.prefix = f"theirs-{uuid4().hex[:6]}-"
        self.writer = BlockWriter(self.prefect, SavedBlocks({}))

    @property
    def names(self) -> list[str]:
        return sorted(self.writer.ids)

    async def create(self, name: str) -> None:
        await self.writer.save(ComponentSpec(name=name, type="pipeline", **CSV), {})

    async def delete(self, *names: str) -> None:
        for name in names:
            await self.prefect.delete_block(self.writer.ids.pop(name))

    async def __aenter__(self) -> "Crowd":
        await self.create(f"{self.prefix}000")
        slots = asyncio.Semaphore(4)

        async def one(number: int) -> None:
            async with slots:
                await self.create(f"{self.prefix}{number:03}")

        await asyncio.gather(*(one(number) for number in range(1, FULL + 30)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.delete(*self.names)


async def read_while(how: Callable[[PrefectApi], Awaitable[set[str]]], act: Act) -> set[str]:
    """Return the names that are read while something happens between the first two pages."""
    async with Interrupted(act) as prefect:
        names = await how(prefect)
        assert prefect.pages > 1
        return names


async def our_names(prefect: PrefectApi) -> set[str]:
    return {each["name"] for each in await prefect.block_documents(TYPE_WITH_SLUG)}


@pytest.mark.torture  # small examples: tests/flows/integrations/prefect_api/test_prefect_lists.py
def test_what_others_delete_and_create_between_two_pages_hides_no_block(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        async with Crowd(lab) as crowd:
            there = await our_names(lab.services.prefect)
            assert len(there) > FULL

            # As it was: one that somebody deletes hides one that is there.
            gone = crowd.names[0]
            found = await read_while(naive_names, partial(crowd.delete, gone))
            assert len(there - {gone} - found) == 1
            await crowd.create(gone)

            for count in (1, OVERLAP // 2, OVERLAP + 10):
                going = crowd.names[:count]
                found = await read_while(our_names, partial(crowd.delete, *going))
                assert there - set(going) <= found <= there
                for name in going:
                    await crowd.create(name)
            new = f"{crowd.prefix}000-new"
            assert there <= await read_while(our_names, partial(crowd.create, new)) <= there | {new}

            async def both() -> None:
                await crowd.delete(*crowd.names[: OVERLAP + 10])
                await crowd.create(f"{crowd.prefix}zzz")

            going = crowd.names[: OVERLAP + 10]
            assert there - set(going) <= await read_while(our_names, both)

    play(scenario)


@pytest.mark.torture
def test_a_prune_takes_no_instance_whose_block_a_deletion_would_have_hidden(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("signal", ["prices"])
        await lab.bootstrap()
        ours = f"{lab.prefix}signal"
        async with Crowd(lab) as crowd:
            ordered = [each["name"] for each in await lab.services.prefect.block_documents(TYPE_WITH_SLUG)]
            await crowd.delete(*crowd.names[: ordered.index(ours) - FULL])  # now it is the first one of the next page
            assert ours not in await read_while(naive_names, partial(crowd.delete, crowd.names[0]))
            await crowd.create(f"{crowd.prefix}000")

            async with Interrupted(partial(crowd.delete, crowd.names[0])) as prefect:
                services = replace(lab.services, prefect=prefect)
                changeset = await make_plan(services, lab.storage, Scope(prune=True), dt.datetime.now(dt.UTC))
            assert f"{crowd.prefix}000" not in crowd.names
            assert [name for name in changeset.state.deleted if name.startswith(lab.prefix)] == []

    play(scenario)
