"""What is refused before anything is written: told together, and with the way out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.schemas.actions import (
    BlockDocumentUpdate,
)
from prefect.client.schemas.objects import StateType

import flows.bootstrap
from flows.planning.scope import NothingDescribed, Scope
from flows.reading.block_reader import read_blocks
from instances.errors import InvalidSpec, UnknownInstance
from instances.plans.plan import Action
from instances.specification.specs import spec_adapter
from instances.specification.types import PARTS
from prefect_optaic import actions
from prefect_optaic.commands.changes import _scope
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import Specs, deployment_of, described, only_of, said
from tests.flows.snapshot import snapshot, writes


async def edit_block(lab: Lab, name: str, **data: Any) -> None:
    """Edit a block through the API, which checks nothing."""
    document = await lab.client.read_block_document((await read_blocks(lab.services.prefect)).ids[lab.prefix + name])
    update = BlockDocumentUpdate(block_schema_id=document.block_schema_id, data=data, merge_existing_data=True)
    await lab.client.update_block_document(document.id, update)


def with_parts(name: str) -> set[str]:
    return {name, *(f"{name}-{type_}" for type_ in PARTS.values())}


# Blocks that can't be read


def test_a_block_that_cannot_be_read_stops_all_but_what_puts_it_right(
    play: Play, stack: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices"), *described(lab, "signal", "prices"))
        await lab.bootstrap(manifest=specs)
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        full = f"{lab.prefix}prices"
        await edit_block(lab, "prices", on_stale="perhaps")
        problem = (
            f"{full}: its Dataset Instance block can't be read: "
            "on_stale: must be one of 'block', 'refresh' or 'warn', not 'perhaps'. "
            f"Edit the block, apply a file that describes it, or `optaic destroy {full}`"
        )
        with pytest.raises(InvalidSpec) as caught:  # and not that the signal reads what is not there
            await lab.plan()
        assert caught.value.problems == (problem,)
        monkeypatch.setattr(flows.bootstrap, "storage_of_bootstrap", lambda tools: _soon(lab.storage))
        state = await flows.bootstrap.bootstrap(return_state=True)
        assert (state.type, state.message) == (StateType.FAILED, f"1 problem, nothing was written:\n  - {problem}")

        repaired = await lab.bootstrap(manifest=specs)
        assert said(repaired) == [f"update block {full}"]
        assert repaired.changes[0].changes[-1].field == "unreadable"
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before

        await edit_block(lab, "signal", on_stale="perhaps")
        scope = await actions.destroy_scope(lab.services, (f"{lab.prefix}signal",), data=False)
        assert set(scope.destroy) == with_parts(f"{lab.prefix}signal")
        await lab.bootstrap(destroy=scope.destroy)
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert left.blocks.keys() == {full}
        assert left.deployments.keys() == {f"refresh/{full}"}

    play(scenario)


async def _soon(value: Any) -> Any:
    return value


# All together


def test_all_problems_are_told_together_and_nothing_is_written(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        flow = await lab.client.create_flow_from_name("refresh")
        await lab.client.create_deployment(flow_id=flow, name=f"{lab.prefix}foreign", version="theirs")
        specs = (
            *described(lab, "good"),
            *described(lab, "foreign"),
            *described(lab, "nowhere", work_pool="no-such-pool"),
        )
        bad = (
            *described(lab, "broken", config={"path": "nowhere.csv"}),
            *described(lab, "signal", "prics"),
            *described(lab, "one", "two"),
            *described(lab, "two", "one"),
        )
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        with writes(lab.services.prefect, lab.services.engine) as written:
            with pytest.raises(InvalidSpec) as caught:
                await lab.bootstrap(manifest=(*specs, *bad))
            with pytest.raises(InvalidSpec) as other:
                await lab.bootstrap(manifest=specs)
        told = "\n".join(caught.value.problems)
        for part in ("no file", "upstream", "the lineage has a cycle", "broken", "signal", "one", "two"):
            assert part in told
        assert len(other.value.problems) == 2
        assert f"'refresh/{lab.prefix}foreign' that is not ours" in other.value.problems[0]
        assert f"{lab.prefix}nowhere: there is no work pool 'no-such-pool'" in other.value.problems[1]
        assert written.nothing
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before

    play(scenario)


def test_a_name_that_is_taken_by_another_type_of_another_project_is_one_problem(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        full = lab.prefix + "prices"
        await lab.bootstrap(manifest=described(lab, "prices", project="one"))
        look = {"name": full, "type": "experiment", "config": {"expression": "close"}, "project": "two"}
        source = described(lab, "source", project="two")
        refs = {"upstream_refs": [{"instance": f"{lab.prefix}source"}]}
        with pytest.raises(InvalidSpec) as caught:
            await lab.bootstrap(manifest=(*source, spec_adapter.validate_python(look | refs)))
        told = f"{full}: there is a dataset of this name already; choose another name"
        assert caught.value.problems == (told,)

    play(scenario)


def entry(lab: Lab, name: str, *upstreams: str, **fields: Any) -> dict[str, Any]:
    pipeline = {"definition": "expression", "config": {"expression": "close"}}
    return {
        "name": lab.prefix + name,
        "type": "dataset",
        "pipeline_instance": pipeline,
        "store_instance": {"definition": "delta"},
        "accessor_instance": {"definition": "simple"},
        "upstream_refs": [{"instance": lab.prefix + upstream} for upstream in upstreams],
        **fields,
    }


def file_scope(folder: Path, content: Mapping[str, Any], *, prune: bool = False) -> dict[str, Any]:
    """Return the scope of a manifest as `optaic apply FILE` makes it."""
    path = folder / "instances.yaml"
    path.write_text(yaml.safe_dump(dict(content)))
    return vars(_scope(path, prune=prune)) | {"all_or_nothing": True}


def test_problems_of_shape_of_names_and_of_things_are_told_together(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        entries = [
            entry(lab, "shape", "other", concurrency="many"),
            entry(lab, "reader", "shape"),
            entry(lab, "unknown", "nowhere-at-all"),
            entry(lab, "nowhere", "reader", work_pool="no-such-pool"),
        ]
        with writes(lab.services.prefect, lab.services.engine) as written, pytest.raises(InvalidSpec) as caught:
            await lab.bootstrap(**file_scope(tmp_path, {"instances": entries}))
        own = [problem for problem in caught.value.problems if lab.prefix in problem]
        assert own[0] == f"{lab.prefix}shape: concurrency: must be a whole number, not 'many'"
        assert own[1].startswith(f"{lab.prefix}unknown: upstream '{lab.prefix}nowhere-at-all' does not exist; ")
        assert own[2].startswith(f"{lab.prefix}nowhere: there is no work pool 'no-such-pool'; ")
        assert len(own) == 3
        assert written.nothing

    play(scenario)


# Prunes


def test_a_prune_by_a_file_leaves_what_other_projects_have_on_record(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        ours, theirs = lab.prefix + "ours", lab.prefix + "theirs"
        specs: Specs = (
            *described(lab, "a", project=ours),
            *described(lab, "b", project=ours),
            *described(lab, "x", project=theirs),
        )
        await only_of(lab, specs)
        ids = (await read_blocks(lab.services.prefect)).ids
        for name in ("b", "x"):
            await lab.client.delete_block_document(ids[lab.prefix + name])
        changeset = await lab.plan(manifest=specs[:4], prune=True)
        assert set(changeset.state.deleted) == with_parts(f"{lab.prefix}b")
        assert set(changeset.plan.kept) == with_parts(f"{lab.prefix}x")
        changeset.check_fuse()
        await lab.bootstrap(manifest=specs[:4], prune=True)
        assert (await deployment_of(lab, "x")).name == f"{lab.prefix}x"

    play(scenario)


def test_an_empty_file_prunes_its_own_project_only(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        ours = lab.prefix + "ours"
        specs = (*described(lab, "a", project=ours), *described(lab, "x"))
        await lab.bootstrap(manifest=specs)
        with pytest.raises(NothingDescribed, match="names no project, so nothing says what to prune"):
            await lab.plan(**file_scope(tmp_path, {"instances": []}, prune=True))
        changeset = await lab.plan(**file_scope(tmp_path, {"project": ours, "instances": []}, prune=True))
        assert set(changeset.state.deleted) == with_parts(f"{lab.prefix}a")
        without_prune = await lab.plan(**file_scope(tmp_path, {"instances": []}))
        assert [step for step in without_prune.plan.changes if step.action is Action.DELETE] == []
        assert Scope().projects is None

    play(scenario)


# Names


def test_a_part_described_in_place_and_an_unknown_name_are_told(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=described(lab, "prices"))
        services, full = lab.services, f"{lab.prefix}prices"
        with pytest.raises(actions.PartOf, match=rf"^{full}-store is a part of {full}, described in its block: "):
            await actions.destroy_scope(services, (f"{full}-store",), data=False)
        with pytest.raises(UnknownInstance, match=f"there is no instance named '{lab.prefix}nosuch'"):
            await actions.adopt(services, (full, f"{lab.prefix}nosuch"))

    play(scenario)
