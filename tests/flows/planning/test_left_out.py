"""One bad block is its own instance's problem: it is told, and all that does not need it goes on."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.schemas.objects import StateType

import flows.bootstrap
from blocks import AccessorInstance, DatasetInstance, PipelineInstance, StoreInstance
from flows.planning.block_writer import BlockWriter
from flows.planning.changeset import Changeset
from flows.reading.block_reader import read_blocks
from flows.reading.status_reader import read_statuses
from instances.errors import InvalidSpec, LeftOut
from instances.rules.flow_status import FlowStatus
from instances.specification.specs import spec_adapter
from instances.specification.types import PARTS, in_place
from prefect_optaic.commands.changes import _scope
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import described, said
from tests.flows.planning.test_refusals import _soon, edit_block
from tests.flows.snapshot import snapshot


async def save_from_another_machine(lab: Lab, name: str, *upstreams: str, config: Any = None, **pipeline: Any) -> None:
    """Save the block of a dataset through the API, which checks no definition."""
    specs = {spec.name: spec for spec in described(lab, name, *upstreams, config=config)}
    part = f"{lab.prefix}{name}-pipeline"
    specs[part] = spec_adapter.validate_python(specs[part].model_dump(mode="json") | pipeline)
    whole = specs[lab.prefix + name]
    writer = BlockWriter(lab.services.prefect, await read_blocks(lab.services.prefect))
    await writer.save(whole, in_place(whole, specs))


async def plan_rest(lab: Lab, **scope: Any) -> Changeset:
    return await lab.plan(all_or_nothing=False, **scope)


async def apply_rest(lab: Lab, **scope: Any) -> Changeset:
    await lab.bootstrap(all_or_nothing=False, **scope)
    return await plan_rest(lab, **scope)


def names(lab: Lab, *short: str) -> set[str]:
    return {lab.prefix + name for name in short}


def parts_of(lab: Lab, *short: str) -> set[str]:
    return {f"{lab.prefix}{name}-{type_}" for name in short for type_ in PARTS.values()}


def test_a_typo_in_a_definition_stops_only_what_needs_it(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(lab: Lab) -> None:
        await save_from_another_machine(lab, "typo", definition="cvs")
        await save_from_another_machine(lab, "reader", "typo")
        await save_from_another_machine(lab, "good")
        monkeypatch.setattr(flows.bootstrap, "storage_of_bootstrap", lambda tools: _soon(lab.storage))
        state = await flows.bootstrap.bootstrap(return_state=True)
        assert state.type is StateType.FAILED
        assert state.message is not None
        assert state.message.startswith("1 problem; what has it is left out, the rest is not:\n")
        assert f"{lab.prefix}typo-pipeline: there is no pipeline definition named 'cvs'" in state.message

        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert left.deployments.keys() == {f"refresh/{lab.prefix}good"}
        assert lab.services.repository.applied([lab.prefix + "typo-store"]) == {}
        assert (await lab.run("good")).type is StateType.COMPLETED

        plan = (await plan_rest(lab, manifest=described(lab, "other"))).plan
        assert plan.held == (f"{lab.prefix}reader", f"{lab.prefix}typo")
        assert set(said(plan)) >= {f"create block {lab.prefix}other", f"create deployment refresh/{lab.prefix}other"}
        with pytest.raises(LeftOut, match="no pipeline definition named 'cvs'"):
            plan.check_whole()

        lines = {
            line.instance: line for line in await read_statuses(lab.services, (await lab.report("good")).checked_at)
        }
        assert (lines[f"{lab.prefix}good"].status, lines[f"{lab.prefix}good"].flaw) == (FlowStatus.READY, None)
        broken = lines[f"{lab.prefix}typo"]
        assert broken.status is FlowStatus.UNKNOWN
        assert "there is no pipeline definition named 'cvs'" in broken.reason

    play(scenario)


def test_what_is_left_out_goes_on_as_it_was_applied_and_is_never_pruned(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (
            *described(lab, "prices", project=lab.prefix + "p"),
            *described(lab, "signal", "prices", project=lab.prefix + "p"),
            *described(lab, "other", project=lab.prefix + "p"),
        )
        await lab.bootstrap(manifest=specs)
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        await edit_block(lab, "signal", on_stale="perhaps")
        blocks = await read_blocks(lab.services.prefect)
        for name in ("prices", "other"):  # what the signal reads is described no more
            await lab.client.delete_block_document(blocks.ids[lab.prefix + name])
        changeset = await plan_rest(lab, prune=True)
        ours = {name for name in changeset.state.deleted if name.startswith(lab.prefix)}
        assert ours == names(lab, "other") | parts_of(lab, "other")
        assert names(lab, "prices") | parts_of(lab, "prices") <= set(changeset.plan.kept)
        with pytest.raises(
            InvalidSpec, match=f"{lab.prefix}prices: can't be deleted while {lab.prefix}signal reads it"
        ):
            await plan_rest(lab, destroy=(lab.prefix + "prices",))
        lines = {
            line.instance: line for line in await read_statuses(lab.services, (await lab.report("signal")).checked_at)
        }
        signal = lines[f"{lab.prefix}signal"]
        assert (signal.status, signal.ready) == (FlowStatus.NOT_INITIALIZED, False)
        assert signal.flaw is not None
        assert "on_stale: must be one of 'block', 'refresh' or 'warn', not 'perhaps'" in signal.flaw
        after = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert after.deployments == before.deployments

    play(scenario)


def test_of_a_file_the_sound_instances_are_applied_and_the_others_named(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=described(lab, "pruned", project=lab.prefix + "p"))
        project = lab.prefix + "p"
        good, long = "good", "n" * (63 - len(lab.prefix))
        entries = [
            _entry(lab, good, project),
            _entry(lab, long, project),  # names of 55 to 63 letters vanished
            _entry(lab, "shape", project, concurrency=0),
            _entry(lab, "reads-shape", project, "shape"),
            {"naem": "prices", "type": "dataset"},
        ]
        file = tmp_path / "instances.yaml"
        file.write_text(yaml.safe_dump({"project": project, "instances": entries}))
        scope = _scope(file, prune=True)
        changeset = await apply_rest(
            lab, **{name: value for name, value in vars(scope).items() if name != "all_or_nothing"}
        )
        assert said(changeset.plan) == []
        assert changeset.plan.problems[0] == f"{lab.prefix}shape: concurrency: must be at least 1, not 0"
        assert changeset.plan.problems[1].startswith("instance 5: ")
        assert changeset.plan.held == (f"{lab.prefix}reads-shape",)
        assert not changeset.state.deleted
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert left.deployments.keys() == {f"refresh/{lab.prefix}{name}" for name in (good, long, "pruned")}
        applied = {spec.name for spec in lab.services.repository.specs()}
        assert not applied & (names(lab, "shape", "reads-shape") | parts_of(lab, "shape", "reads-shape"))
        assert (await lab.run(long)).type is StateType.COMPLETED

    play(scenario)


def _entry(lab: Lab, name: str, project: str, *upstreams: str, **fields: Any) -> dict[str, Any]:
    own = {spec.type: spec for spec in described(lab, name, *upstreams, project=project)}
    fields = {"upstream_refs": [{"instance": lab.prefix + upstream} for upstream in upstreams], **fields}
    parts = {at: {"definition": own[of].definition, "config": own[of].config} for at, of in PARTS.items()}  # type: ignore[union-attr, index]
    return {"name": lab.prefix + name, "type": "dataset", **parts, **fields}


def test_a_block_refuses_on_saving_what_no_plan_would_take(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        block = DatasetInstance(
            pipeline_instance=PipelineInstance(definition="cvs"),
            store_instance=StoreInstance(definition="delta"),
            accessor_instance=AccessorInstance(definition="simple", config={"no": 1}),
        )
        with pytest.raises(InvalidSpec) as caught:
            await block.save(f"{lab.prefix}typo")
        pipeline, accessor = caught.value.problems
        assert pipeline.startswith(
            f"{lab.prefix}typo-pipeline: there is no pipeline definition named 'cvs'. Did you mean 'csv'?"
        )
        assert accessor.startswith(f"{lab.prefix}typo-accessor: the config does not fit accessor simple@1")
        with pytest.raises(InvalidSpec, match="name: must be of lowercase letters, digits and dashes, 63 at most"):
            await StoreInstance(definition="delta").save("n" * 64)
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before

    play(scenario)
