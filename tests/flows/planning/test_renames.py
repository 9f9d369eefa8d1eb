"""Instances that are renamed, on the real servers: all that they have stays theirs."""

import asyncio
import datetime as dt
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelled

from definitions.contract import FlowKind
from flows.dataset import refresh_rows
from flows.planning.adoption import adopt
from flows.planning.changeset import WouldReplace
from flows.planning.planner import apply_plan
from flows.planning.resources.instance_renames import clear_leftovers
from flows.reading.run_reader import PrefectReader
from flows.reading.world_reader import read_world
from flows.running.context import Context
from flows.running.frame import Options, flow_of, guarded_run
from instances.errors import InvalidSpec, UnknownInstance
from instances.rules.flow_status import FlowStatus
from instances.specification.specs import AnySpec, spec_adapter
from prefect_optaic.stack import Target
from tests.flows.chain import chain
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import CRON, Specs, described, said, with_fields
from tests.flows.recorded import SIGNALS


def renamed(lab: Lab, specs: Specs, old: str, new: str, **fields: Any) -> Specs:
    """Return specs that say that one of them was called otherwise, and of the others that they read it."""
    was, is_now = lab.prefix + old, lab.prefix + new
    found: list[AnySpec] = []
    for spec in specs:
        told = spec.model_dump_json().replace(f'"{was}"', f'"{is_now}"').replace(f'"{was}-', f'"{is_now}-')
        found.append(type(spec).model_validate_json(told))
    return with_fields(tuple(found), new, renamed_from=was, **fields)


async def deployments(lab: Lab) -> dict[str, UUID]:
    """Return the deployments that there are, by flow and name without the prefix."""
    found = await lab.client.read_deployments(limit=200)
    flows = {flow.id: flow.name for flow in await lab.client.read_flows(limit=200)}
    return {
        f"{flows[each.flow_id]}/{each.name.removeprefix(lab.prefix)}": each.id
        for each in found
        if each.name.startswith(lab.prefix)
    }


def test_a_renamed_dataset_keeps_its_rows_its_history_and_its_readers(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "px"), *described(lab, "returns", "px"))
        await lab.bootstrap(manifest=specs)
        await lab.run("px")
        assert await lab.drain("returns") == 1
        rows, flow_id, former = lab.rows("px"), lab.flow_id("px"), lab.deployment("px")
        px, returns = await lab.verdict("px"), await lab.verdict("returns")
        hashes = {name: lab.flow(name).config_hash for name in ("px", "returns")}
        after = renamed(lab, specs, "px", "prices")

        plan = (await lab.plan(manifest=after)).plan
        # The reader's deployment says in its description what it reads.
        assert said(plan) == [f"rename rename {lab.prefix}prices", f"update deployment refresh/{lab.prefix}returns"]
        assert plan.summary.startswith("1 to rename, 0 to create, 1 to update, 0 to delete, ")
        await lab.bootstrap(manifest=after)

        assert said((await lab.plan(manifest=after)).plan) == []
        assert said((await lab.plan()).plan) == []
        assert lab.rows("prices") == rows
        assert lab.flow_id("prices") == flow_id
        assert {name: lab.flow(was).config_hash for name, was in (("px", "prices"), ("returns", "returns"))} == hashes
        assert lab.deployment("prices") != former
        assert set(await deployments(lab)) == {"refresh/prices", "refresh/returns"}
        tags = (await lab.client.read_deployment(lab.deployment("prices"))).tags
        assert set(tags) == {"optaic", "default", "dataset", f"instance:{lab.prefix}prices", "flow:refresh"}
        blocks = await lab.client.read_block_documents(limit=200)
        assert {b.name for b in blocks if (b.name or "").startswith(lab.prefix)} == {
            f"{lab.prefix}prices",
            f"{lab.prefix}returns",
        }
        # Nothing is stale, and nothing does anything, the readers included.
        assert await lab.verdict("prices") == px
        assert await lab.verdict("returns") == returns
        assert await lab.drain("returns", "prices") == 0
        lab.write("px", {"2024-01-02": 1.0, "2024-01-03": 2.0})
        await lab.run("prices")
        assert await lab.drain("returns") == 1
        assert lab.rows("returns") == lab.rows("prices") == {"2024-01-02": 1.0, "2024-01-03": 2.0}
        # Whoever names it as before is told what it is called.
        told = f"no instance named '{lab.prefix}px' any more: it is called '{lab.prefix}prices' now"
        with pytest.raises(UnknownInstance, match=told):
            lab.services.repository.flow(f"{lab.prefix}px")
        with pytest.raises(UnknownInstance, match=told):
            await lab.plan(destroy=(f"{lab.prefix}px",))
        with pytest.raises(UnknownInstance, match=told):
            await adopt(lab.services, (f"{lab.prefix}px",))
        # What is called px from now on has nothing to do with it.
        await lab.bootstrap(manifest=described(lab, "px"))
        assert lab.rows("px") == {}
        await lab.run("px")
        assert lab.rows("px") == {"2024-01-02": 1.0}
        assert lab.rows("prices") == {"2024-01-02": 1.0, "2024-01-03": 2.0}

    play(scenario)


def test_what_an_operator_has_paused_and_what_failed_or_was_cancelled_still_counts(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        specs = with_fields(described(lab, "px"), "px", schedule=CRON)
        other = described(lab, "other")
        await lab.bootstrap(manifest=(*specs, *other))
        await lab.run("px")
        lab._file("px").unlink()
        await lab.run("px")
        assert (failed := await lab.verdict("px")).status is FlowStatus.ERROR
        deployment = await lab.client.read_deployment(lab.deployment("px"))
        await lab.client.update_deployment_schedule(deployment.id, deployment.schedules[0].id, active=False)
        await lab.client.pause_deployment(lab.deployment("other"))
        cancelled = await lab.start("other")
        await lab.client.set_flow_run_state(cancelled.id, Cancelled(), force=True)
        lab.write("px", {"2024-01-02": 1.0})
        both = (*renamed(lab, specs, "px", "prices"), *renamed(lab, other, "other", "another"))
        await lab.bootstrap(manifest=both)
        assert said((await lab.plan(manifest=both)).plan) == []
        (schedule,) = (await lab.client.read_deployment(lab.deployment("prices"))).schedules
        assert (schedule.active, schedule.slug) == (False, f"{lab.prefix}prices-refresh")
        assert (await lab.client.read_deployment(lab.deployment("another"))).paused
        assert await lab.verdict("prices") == failed
        flow_id = lab.flow_id("another")
        reader = PrefectReader(lab.services.prefect)
        read = (lab.services.repository, lab.services.ledger, reader, [flow_id])
        facts = (await read_world(*read, now=dt.datetime.now(dt.UTC), deciding=True))[flow_id]
        assert facts.cancelled is not None
        assert facts.cancelled.run_id == cancelled.id

    play(scenario)


def test_a_run_that_is_at_work_ends_and_counts_and_its_deployment_stays_until_then(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "px"), *described(lab, "returns", "px"))
        await lab.bootstrap(manifest=specs)
        after = renamed(lab, specs, "px", "prices")
        loop = asyncio.get_running_loop()

        def meanwhile(context: Context) -> Any:
            asyncio.run_coroutine_threadsafe(lab.bootstrap(manifest=after), loop).result(60)
            return refresh_rows(context)

        run = await lab.start("px")
        waiting = await lab.start("px")
        former = lab.deployment("px")
        state = await lab.execute(run, at_work(lab, meanwhile))
        assert state.type is StateType.COMPLETED, state.message
        assert lab.rows("prices") == {"2024-01-02": 1.0}
        # One that waited for a worker begins after the rename.
        assert former in (await deployments(lab)).values()
        await lab.execute(waiting)
        assert (await lab.client.read_flow_run(waiting.id)).state_type is StateType.COMPLETED
        assert (await lab.verdict("prices")).status is FlowStatus.READY
        assert await lab.drain("returns") == 1
        await clear_leftovers(lab.services)  # as the sweep does
        assert former not in (await deployments(lab)).values()
        assert said((await lab.plan(manifest=after)).plan) == []
        assert (await lab.verdict("prices")).status is FlowStatus.READY

    play(scenario)


def test_a_rename_that_is_killed_in_between_is_carried_on_by_the_next_apply(
    play: Play, stack: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "px"), *described(lab, "returns", "px"))
        await lab.bootstrap(manifest=specs)
        await lab.run("px")
        assert await lab.drain("returns") == 1
        names = ["px", "a", "b", "c", "d", "e"]
        calls = ("create_block", "amend_block", "delete_block", "create_deployment", "delete_deployment")
        for call, (old, new) in zip(calls, pairwise(names), strict=True):
            after = renamed(lab, specs, old, new)
            changeset = await lab.plan(manifest=after)
            with monkeypatch.context() as patch:
                patch.setattr(lab.services.prefect, call, killed)
                with pytest.raises(Killed):
                    await apply_plan(changeset, lab.services, lambda step: None)
            await lab.bootstrap(manifest=after)
            assert said((await lab.plan(manifest=after)).plan) == [], call
            assert set(await deployments(lab)) == {f"refresh/{new}", "refresh/returns"}, call
            assert (await lab.verdict(new)).status is FlowStatus.READY, call
            assert (await lab.verdict("returns")).status is FlowStatus.READY, call
            specs = after
        assert await lab.drain("returns", "e") == 0

    play(scenario)


class Killed(Exception):
    """An apply is killed."""


async def killed(*args: Any, **kwargs: Any) -> Any:
    raise Killed


def at_work(lab: Lab, work: Callable[[Context], Any]) -> Any:
    @flow_of(FlowKind.REFRESH)
    async def refresh(instance: str) -> Any:
        return await guarded_run(FlowKind.REFRESH, instance, work, Options())

    return refresh


def test_readers_elsewhere_follow_and_are_told_of(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        mine, theirs = described(lab, "px"), described(lab, "returns", "px", project="theirs")
        await lab.bootstrap(manifest=(*mine, *theirs))
        await lab.run("px")
        assert await lab.drain("returns") == 1
        await lab.bootstrap(manifest=renamed(lab, mine, "px", "prices"))
        assert said((await lab.plan()).plan) == []
        # Their file says the former name still: it is taken at the new one, and nothing is to do.
        plan = (await lab.plan(manifest=theirs)).plan
        assert said(plan) == []
        px, prices = (lab.prefix + name for name in ("px", "prices"))
        assert plan.warnings == (
            f"{lab.prefix}returns refers to {px!r}, which is called {prices!r} now, and is taken at that; write the "
            "new name there",
        )
        assert (await lab.verdict("returns")).status is FlowStatus.READY

    play(scenario)


def test_a_rename_in_blocks_alone(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.ran_pair("px", "momentum")
        file = lab._file("px")
        await lab.describe("prices", "dataset", "csv", {"path": str(file)}, renamed_from=f"{lab.prefix}px")
        assert said((await lab.plan()).plan) == [
            f"rename rename {lab.prefix}prices",
            f"update deployment refresh/{lab.prefix}momentum",
        ]
        await lab.bootstrap()
        assert said((await lab.plan()).plan) == []
        assert lab.rows("prices") == {"2024-01-02": 1.0}
        assert (await lab.verdict("momentum")).status is FlowStatus.READY
        blocks = await lab.client.read_block_documents(limit=200)
        assert not [b.name for b in blocks if (b.name or "").startswith(f"{lab.prefix}px")]

    play(scenario)


def test_a_part_that_others_use_is_renamed_under_them(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        store, lake = ({"name": lab.prefix + name, "type": "store", "definition": "delta"} for name in ("pool", "lake"))
        px = with_fields(described(lab, "px"), "px", store_instance=store["name"])
        px = tuple(spec for spec in px if spec.type != "store")
        await lab.bootstrap(manifest=(spec_of(store), *px))
        await lab.run("px")
        await lab.bootstrap(manifest=(spec_of(lake | {"renamed_from": store["name"]}),))
        assert said((await lab.plan()).plan) == []
        assert lab.services.repository.spec(f"{lab.prefix}px").model_dump()["store_instance"] == f"{lab.prefix}lake"
        assert (await lab.verdict("px")).status is FlowStatus.READY

    play(scenario)


def spec_of(fields: dict[str, Any]) -> AnySpec:
    return spec_adapter.validate_python(fields)


def test_what_looks_like_a_rename_is_asked_for(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        project = f"{lab.prefix}own"
        specs = (*described(lab, "px", project=project), *described(lab, "returns", "px", project=project))
        specs = (*specs, *described(lab, "third", project=project))
        await lab.bootstrap(manifest=specs)
        other = renamed(lab, specs, "px", "prices")
        other = with_fields(other, "prices", renamed_from=None)
        changeset = await lab.plan(manifest=other, prune=True)
        with pytest.raises(WouldReplace) as caught:
            changeset.check_replaced()
        px, prices = (lab.prefix + name for name in ("px", "prices"))
        assert str(caught.value) == (
            f"this would delete {px!r} and create {prices!r}, the same but for the name: history and rows would not go "
            f"over. To rename, say `renamed_from: {px}` in {prices}; to delete and create, say --yes."
        )
        (await lab.plan(manifest=renamed(lab, specs, "px", "prices"), prune=True)).check_replaced()

    play(scenario)


def test_a_name_that_is_taken_is_refused_before_anything_is_written(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "px"), *described(lab, "prices"))
        await lab.bootstrap(manifest=specs)
        with pytest.raises(InvalidSpec, match="can't be: both are on record"):
            await lab.bootstrap(
                manifest=with_fields(described(lab, "prices"), "prices", renamed_from=f"{lab.prefix}px")
            )
        assert said((await lab.plan(manifest=specs)).plan) == []

    play(scenario)


def test_a_renamed_model_keeps_its_champion_and_who_reads_it(play: Play, stack: Target, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        flows = ("returns.train", "returns.infer", "returns.monitor")
        anything = {"promotion": {"metric": "ic_mean", "threshold": -1.0, "must_beat_champion": False}}
        specs = chain(lab.prefix, tmp_path, (*SIGNALS, "returns", "portfolio"), returns=anything)
        await lab.bootstrap(manifest=specs)
        await lab.run("prices")
        await lab.drain(*SIGNALS, *flows, "portfolio.optimize")
        before = {flow: await lab.verdict(flow) for flow in (*flows, "portfolio.optimize")}
        assert {each.status for each in before.values()} == {FlowStatus.READY}
        registered = lab.services.tracking.champion(lab.prefix + "returns")
        assert registered is not None

        after = renamed(lab, specs, "returns", "forecast")
        await lab.bootstrap(manifest=after)
        assert said((await lab.plan(manifest=after)).plan) == []
        new = {flow: flow.replace("returns", "forecast") for flow in before}
        assert {flow: await lab.verdict(new[flow]) for flow in before} == before
        assert lab.services.tracking.champion(lab.prefix + "returns") == registered
        assert (await lab.run("forecast.infer", force=True)).type is StateType.COMPLETED
        trained = await lab.run("forecast.train", force=True)
        assert trained.message is not None
        assert trained.message.startswith("Version 2 trained and promoted")
        await lab.drain("forecast.infer", "forecast.monitor", "portfolio.optimize")
        assert {(await lab.verdict(name)).status for name in new.values()} == {FlowStatus.READY}

    play(scenario)
