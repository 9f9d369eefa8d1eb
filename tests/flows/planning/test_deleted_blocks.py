"""Blocks that somebody deletes in the Prefect UI, on the real servers: told with the way back, and brought back."""

import pytest

from flows.planning.block_writer import BlockWriter
from flows.reading.block_reader import read_blocks
from instances.errors import InvalidSpec
from instances.specification.specs import spec_adapter
from instances.specification.types import in_place
from prefect_optaic import actions
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import Specs, described, said, with_fields
from tests.flows.snapshot import snapshot, writes


async def delete_blocks(lab: Lab, *names: str) -> None:
    ids = (await read_blocks(lab.services.prefect)).ids
    for name in names:
        await lab.client.delete_block_document(ids[lab.prefix + name])


def with_store(lab: Lab, specs: Specs, store: str) -> Specs:
    """Return the specs with one store for all datasets, that has a block of its own."""
    shared = {"name": lab.prefix + store, "type": "store", "definition": "delta"}
    fields = {"store_instance": lab.prefix + store}
    others = [spec for spec in specs if spec.type != "store"]
    return tuple(
        spec_adapter.validate_python(each)
        for each in (
            shared,
            *(spec.model_dump(mode="json") | (fields if spec.type == "dataset" else {}) for spec in others),
        )
    )


async def problems(lab: Lab, **scope: object) -> list[str]:
    with writes(lab.services.prefect, lab.services.engine) as written, pytest.raises(InvalidSpec) as caught:
        await lab.bootstrap(**scope)
    assert written.nothing
    return [problem.replace(lab.prefix, "") for problem in caught.value.problems if lab.prefix in problem]


def test_an_instance_comes_back_with_the_parts_that_lay_in_its_block(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        specs = described(lab, "prices")
        await lab.bootstrap(manifest=specs)
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        full = f"{lab.prefix}prices"
        for names in ((full,), (f"{full}-store",), ()):  # by its own name, by that of a part, among all
            await delete_blocks(lab, "prices")
            assert f"block {full}" in await actions.adopt(lab.services, names)
            assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before
        assert said(await lab.bootstrap()) == []

    play(scenario)


def test_a_plan_of_another_file_tells_of_a_block_that_is_gone_and_how_to_have_it_back(
    play: Play, stack: Target
) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=(*described(lab, "src"), *described(lab, "reader", "src")))
        await delete_blocks(lab, "src")
        told = [
            "src: its block is gone, and reader reads it. `optaic import src` brings it back as it was applied; "
            "else describe it anew, or take it out of upstream_refs"
        ]
        assert await problems(lab) == told
        other = described(lab, "other")
        assert await problems(lab, manifest=other) == told
        assert await problems(lab, manifest=(*other, *described(lab, "late", "src"))) == [
            told[0].replace("reader reads", "late and reader read")
        ]
        pruned = await problems(lab, prune=True)
        assert [each for each in pruned if each.startswith("src: ")] == [
            "src: can't be deleted while reader reads it; delete that too, or take it out of upstream_refs; "
            "its block is gone: `optaic import src` brings it back"
        ]
        assert await actions.adopt(lab.services, (f"{lab.prefix}src",)) == [f"block {lab.prefix}src"]
        assert said(await lab.bootstrap()) == []

    play(scenario)


def test_a_store_that_many_use_is_refused_once_and_comes_back_to_all(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        specs = with_store(lab, (*described(lab, "a"), *described(lab, "b"), *described(lab, "c")), "shared")
        await lab.bootstrap(manifest=specs)
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        shared = lab.prefix + "shared"
        refused = "shared: can't be deleted while a, b and c use it; delete those too, or give them another "
        assert await problems(lab, destroy=(shared,)) == [refused + "store_instance"]

        await delete_blocks(lab, "shared")
        told = await problems(lab)
        assert told == [
            f"{name}: its Dataset Instance block can't be read: store_instance: is missing. It referred to the block "
            f"'shared', deleted since: get that back with `optaic import {name}`, apply a file that describes it, "
            f"or `optaic destroy {name}`"
            for name in "abc"
        ]
        assert await problems(lab, prune=True) == told  # what can't be read is not gone
        destroyed = await problems(lab, destroy=(shared,))
        assert (
            refused
            + f"store_instance; its block is gone: `optaic import {shared}` brings it back".replace(lab.prefix, "")
            in destroyed
        )

        names = tuple(lab.prefix + name for name in "abc")
        assert await actions.adopt(lab.services, names[:1]) == [f"block {shared}", f"block {names[0]}"]
        assert await actions.adopt(lab.services, ()) == [f"block {name}" for name in names[1:]]
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before
        assert said(await lab.bootstrap()) == []

    play(scenario)


def test_a_block_that_says_something_else_since_keeps_that_when_its_parts_come_back(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        specs = with_store(lab, described(lab, "a"), "shared")
        await lab.bootstrap(manifest=specs)
        whole = with_fields(specs, "a", description="Edited since.")[-1]
        by_name = {spec.name: spec for spec in specs}
        blocks = await read_blocks(lab.services.prefect)
        await BlockWriter(lab.services.prefect, blocks).save(whole, in_place(whole, by_name))
        await delete_blocks(lab, "shared")
        assert await actions.adopt(lab.services, (whole.name,)) == [f"block {lab.prefix}shared", f"block {whole.name}"]
        assert (await read_blocks(lab.services.prefect)).by_name[whole.name].spec.description == "Edited since."

    play(scenario)
