"""Plan and apply on the real servers: only what differs, everything that differs, and nothing of others."""

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectAlreadyExists
from sqlalchemy import text

from flows.integrations.services import ApplyUnderWay, opened
from flows.planning.planner import Scope, WouldRemoveMost, apply_plan, make_plan
from flows.reading.block_reader import read_blocks
from instances.errors import InvalidSpec, UnknownInstance
from instances.plans.plan import Action, Plan
from instances.specification.plugins import stores
from instances.specification.specs import AnySpec, spec_adapter
from instances.specification.types import PARTS
from prefect_optaic import actions
from prefect_optaic.planfile import WorldChanged, check_same, read_scope, write_plan
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play
from tests.flows.snapshot import snapshot, writes

CRON = {"type": "cron", "expression": "0 18 * * 1-5"}
Specs = tuple[AnySpec, ...]


def described(lab: Lab, name: str, *upstreams: str, config: Mapping[str, Any] | None = None, **fields: Any) -> Specs:
    """Return the specs of a dataset with its parts in place: from a file, or computed over its upstreams."""
    full = lab.prefix + name
    if not upstreams:
        lab.write(name, {"2024-01-02": 1.0})
    pipeline = ("expression", {"expression": "close"}) if upstreams else ("csv", {"path": str(lab._file(name))})
    parts = {"pipeline": (pipeline[0], config or pipeline[1]), "store": ("delta", {}), "accessor": ("simple", {})}
    common = {"project": fields.pop("project", "default")}
    specs: list[dict[str, Any]] = [
        common | {"name": f"{full}-{part}", "type": part, "definition": definition, "config": given}
        for part, (definition, given) in parts.items()
    ]
    own = {field: f"{full}-{type_}" for field, type_ in PARTS.items()}
    refs = [{"instance": lab.prefix + upstream} for upstream in upstreams]
    specs.append(common | {"name": full, "type": "dataset", "upstream_refs": refs} | own | fields)
    return tuple(spec_adapter.validate_python(spec) for spec in specs)


def with_fields(specs: Specs, name: str, **fields: Any) -> Specs:
    """Return the specs with other fields of the one named."""
    return tuple(
        spec_adapter.validate_python(spec.model_dump(mode="json") | fields) if spec.name.endswith(f"-{name}") else spec
        for spec in specs
    )


def said(plan: Plan) -> list[str]:
    """Return what a plan does, a line for each step."""
    return [f"{step.action} {step.label}" for step in plan.changes]


def changed(plan: Plan) -> dict[str, tuple[Any, Any]]:
    """Return the fields that the one step of a plan changes."""
    (step,) = plan.changes
    return {change.field: (change.before, change.after) for change in step.changes}


async def deployment_of(lab: Lab, name: str) -> DeploymentResponse:
    return await lab.client.read_deployment_by_name(f"refresh/{lab.prefix}{name}")


# Idempotent


def test_a_second_apply_plans_nothing_and_writes_nothing(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices", schedule=CRON), *described(lab, "signal", "prices"))
        first = await lab.bootstrap(manifest=specs)
        made = [line for line in said(first) if lab.prefix in line and line.startswith("create ")]
        assert len(made) == 2 + 8 + 2  # blocks, rows, deployments
        with writes(lab.services.prefect, lab.services.engine) as written:
            second = await lab.bootstrap(manifest=specs)
            of_blocks = await lab.bootstrap()
        assert (said(second), said(of_blocks)) == ([], [])
        assert written.nothing, written
        assert written.requests > 0
        assert second.summary.startswith("0 to create, 0 to update, 0 to delete, ")

    play(scenario)


def test_one_changed_instance_is_the_only_one_written(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices"), *described(lab, "signal", "prices"), *described(lab, "other"))
        await lab.bootstrap(manifest=specs)
        await lab.bootstrap()
        full = f"{lab.prefix}signal"
        with writes(lab.services.prefect, lab.services.engine) as written:
            plan = await lab.bootstrap(manifest=with_fields(specs, "signal", description="Changed."))
        assert said(plan) == [f"update block {full}", f"update instance {full}", f"update deployment refresh/{full}"]
        assert [[c.field for c in step.changes] for step in plan.changes] == [["description"]] * 3
        assert written.api == {"PATCH block_documents": 1, "PATCH deployments": 1}
        assert written.sql == {"UPDATE optaic.instance": 1, "UPDATE optaic.flow": 1}

    play(scenario)


def test_a_changed_configuration_reaches_its_flow_and_an_edge_its_lineage(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "a"), *described(lab, "b"), *described(lab, "signal", "a"))
        await lab.bootstrap(manifest=specs)
        full = f"{lab.prefix}signal"
        plan = await lab.bootstrap(manifest=(*specs[:-4], *described(lab, "signal", "a", "b")))
        rows = {change.field for step in plan.of("instance") for change in step.changes}
        assert rows == {
            "upstream_refs",
            "flows.refresh.config_hash",
            f"flows.refresh.reads.{lab.prefix}b.refresh as input",
        }
        flow = next(f for f in lab.services.repository.flows() if f.instance == full)
        assert len(flow.edges) == 2
        assert said(await lab.bootstrap()) == []

    play(scenario)


# Drift


def test_what_was_changed_by_hand_is_in_the_plan_and_repaired(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices", schedule=CRON), *described(lab, "signal", "prices"))
        await lab.bootstrap(manifest=specs)
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        label = f"deployment refresh/{lab.prefix}prices"
        slug = f"{lab.prefix}prices-refresh"
        found = await deployment_of(lab, "prices")

        async def repaired(expected: str, fields: dict[str, tuple[Any, Any]] | None = None) -> None:
            changeset = await lab.plan()
            assert said(changeset.plan) == [expected]
            if fields is not None:
                assert changed(changeset.plan) == fields
            assert said(await lab.bootstrap()) == [expected]
            assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before
            assert said(await lab.bootstrap()) == []

        await lab.client.update_deployment(found.id, DeploymentUpdate(parameters={"instance": "other"}))
        await repaired(f"update {label}", {"parameters.instance": ("other", f"{lab.prefix}prices")})

        (schedule,) = (await deployment_of(lab, "prices")).schedules
        await lab.client.update_deployment_schedule(found.id, schedule.id, schedule=CronSchedule(cron="0 3 * * *"))
        await repaired(
            f"update {label}",
            {f"schedules.{slug}.cron": ("0 3 * * *", "0 18 * * 1-5"), f"schedules.{slug}.timezone": (None, "UTC")},
        )

        (schedule,) = (await deployment_of(lab, "prices")).schedules
        await lab.client.delete_deployment_schedule(found.id, schedule.id)
        await repaired(f"update {label}")

        added = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 4 * * *"), slug="added", active=True)
        await lab.client.create_deployment_schedules(found.id, [(added.schedule, True)])
        await repaired(f"update {label}")

        await lab.client.update_deployment(found.id, DeploymentUpdate(tags=["mine"], description="Mine."))
        await repaired(
            f"update {label}",
            {"tags": (["mine"], sorted(["optaic", "default", "dataset"])), "description": ("Mine.", "")},
        )

        await lab.client.update_deployment(found.id, DeploymentUpdate(concurrency_limit=7))
        await repaired(f"update {label}", {"concurrency_limit": (7, 1)})

        await lab.client.delete_deployment(found.id)
        assert [warning for warning in (await lab.plan()).plan.warnings if lab.prefix in warning] == [
            f"refresh/{lab.prefix}prices: this deployment was deleted, and is made anew; its runs don't count any "
            f"more, so that {lab.prefix}prices is NOT_INITIALIZED until it has run again"
        ]
        await repaired(f"create {label}")
        assert lab.deployment("prices") != found.id

    play(scenario)


def test_an_automation_deleted_by_hand_comes_back(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap()
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert before.automations
        assert all(automation["on_record"] for automation in before.automations.values())
        for name in before.automations:
            (automation,) = await lab.client.read_automations_by_name(name)
            await lab.client.delete_automation(automation.id)
            assert said((await lab.plan()).plan) == [f"create automation {name}"]
            await lab.bootstrap()
            assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before
        assert said(await lab.bootstrap()) == []

    play(scenario)


def test_a_row_or_a_block_removed_by_hand_comes_back(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices"), *described(lab, "signal", "prices"))
        await lab.bootstrap(manifest=specs)
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        full = f"{lab.prefix}signal"

        lab.services.writer.remove([full])
        # Its deployment bears our mark: it is found again by its name, not made a second time.
        assert said(await lab.bootstrap()) == [f"create instance {full}", f"update deployment refresh/{full}"]
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before

        with lab.services.engine.begin() as connection:
            connection.execute(
                text(
                    "DELETE FROM optaic.edge WHERE flow_id IN (SELECT f.id FROM optaic.flow f "
                    "JOIN optaic.instance i ON i.id = f.instance_id WHERE i.name = :name)"
                ),
                {"name": full},
            )
        assert said(await lab.bootstrap()) == [f"update instance {full}"]
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before

        block = (await read_blocks(lab.services.prefect)).by_name[full]
        await lab.client.delete_block_document(block.document_id)
        changeset = await lab.plan()
        assert said(changeset.plan) == []  # the blocks describe what is wanted: it is kept, and said to be
        assert set(changeset.plan.kept) >= {full, *(f"{full}-{type_}" for type_ in PARTS.values())}
        assert said(await lab.bootstrap(manifest=specs)) == [f"create block {full}"]
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before

    play(scenario)


# What an operator has set


def test_what_an_operator_has_paused_stays_so_through_ten_applies(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices", schedule=CRON), *described(lab, "signal", "prices"))
        await lab.bootstrap(manifest=specs)
        found = await deployment_of(lab, "prices")
        await lab.client.update_deployment_schedule(found.id, found.schedules[0].id, active=False)
        await lab.client.pause_deployment((await deployment_of(lab, "signal")).id)
        name = sorted((await snapshot(lab.client, lab.services.engine, lab.prefix)).automations)[0]
        (automation,) = await lab.client.read_automations_by_name(name)
        await lab.client.pause_automation(automation.id)
        assert said(await lab.bootstrap()) == []

        for number in range(10):
            specs = with_fields(
                with_fields(specs, "prices", description=f"{number}"), "signal", description="x" * number
            )
            plan = await lab.bootstrap(manifest=specs)
            assert f"update deployment refresh/{lab.prefix}prices" in said(plan)
            (schedule,) = (await deployment_of(lab, "prices")).schedules
            assert (schedule.active, schedule.slug) == (False, f"{lab.prefix}prices-refresh")
            assert (await deployment_of(lab, "signal")).paused
            assert not (await deployment_of(lab, "prices")).paused
        # A new clock is a change of the same schedule.
        await lab.bootstrap(manifest=with_fields(specs, "prices", schedule=CRON | {"expression": "0 7 * * *"}))
        (schedule,) = (await deployment_of(lab, "prices")).schedules
        assert isinstance(schedule.schedule, CronSchedule)
        assert (schedule.active, schedule.schedule.cron) == (False, "0 7 * * *")
        (paused,) = await lab.client.read_automations_by_name(name)
        assert (paused.id, paused.enabled) == (automation.id, False)
        await lab.client.resume_automation(automation.id)

    play(scenario)


def test_an_automation_that_is_repaired_stays_paused(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap()
        name = sorted((await snapshot(lab.client, lab.services.engine, lab.prefix)).automations)[0]
        (automation,) = await lab.client.read_automations_by_name(name)
        theirs = AutomationCore.model_validate(
            # The API takes no owner in an update.
            automation.model_dump(include=set(AutomationCore.model_fields) - {"owner_resource"})
            | {"enabled": False, "description": "Mine."}
        )
        await lab.client.update_automation(automation.id, theirs)
        assert said(await lab.bootstrap()) == [f"update automation {name}"]
        (repaired,) = await lab.client.read_automations_by_name(name)
        assert (repaired.id, repaired.enabled) == (automation.id, False)
        assert repaired.description != "Mine."
        await lab.client.resume_automation(automation.id)
        assert said(await lab.bootstrap()) == []

    play(scenario)


def test_an_instance_may_say_where_its_runs_go(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        try:
            await lab.client.create_work_pool(WorkPoolCreate(name="gpu", type="process"))
        except ObjectAlreadyExists:
            await asyncio.sleep(0)
        own: dict[str, Any] = {
            "work_pool": "gpu",
            "work_queue": "urgent",
            "job_variables": {"env": {"A": "1"}},
            "concurrency": 3,
        }
        specs = (*described(lab, "own", **own), *described(lab, "usual"), *described(lab, "pool", work_pool="gpu"))
        inherited = replace(lab.storage, job_variables={"working_dir": "/srv"}, pull_steps=({"a.step": {"b": 1}},))
        changeset = await make_plan(lab.services, inherited, Scope(specs), dt.datetime.now(dt.UTC))
        await apply_plan(changeset, lab.services, lambda step: None)

        found = await deployment_of(lab, "own")
        assert (found.work_pool_name, found.work_queue_name) == ("gpu", "urgent")
        assert found.job_variables == {"working_dir": "/srv", "env": {"A": "1"}}
        assert found.global_concurrency_limit is not None
        assert found.global_concurrency_limit.limit == 3
        assert found.pull_steps == [{"a.step": {"b": 1}}]

        usual = await deployment_of(lab, "usual")
        assert (usual.work_pool_name, usual.work_queue_name) == (lab.storage.work_pool, "default")
        assert usual.job_variables == {"working_dir": "/srv"}
        assert usual.global_concurrency_limit is not None
        assert usual.global_concurrency_limit.limit == 1
        # Another pool has queues of its own.
        other = await deployment_of(lab, "pool")
        assert (other.work_pool_name, other.work_queue_name) == ("gpu", "default")
        assert said((await make_plan(lab.services, inherited, Scope(specs), dt.datetime.now(dt.UTC))).plan) == []

    play(scenario)


# Things of others


def test_a_deployment_of_others_is_never_touched_until_it_is_adopted(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        full = f"{lab.prefix}prices"
        flow = await lab.client.create_flow_from_name("refresh")
        foreign = await lab.client.create_deployment(
            flow_id=flow,
            name=full,
            version="theirs",
            parameters={"theirs": 1},
            tags=["theirs"],
            paused=True,
            schedules=[DeploymentScheduleCreate(schedule=CronSchedule(cron="1 1 * * *"), slug="theirs", active=True)],
        )
        theirs = await lab.client.read_deployment(foreign)
        specs = (*described(lab, "prices"), *described(lab, "other"))
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        with writes(lab.services.prefect, lab.services.engine) as written, pytest.raises(InvalidSpec) as caught:
            await lab.bootstrap(manifest=specs)
        assert caught.value.problems == (
            f"{full}: there is a deployment 'refresh/{full}' that is not ours; delete it, "
            f"or adopt it with `optaic import {full}`",
        )
        assert written.nothing
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before
        assert await lab.client.read_deployment(foreign) == theirs

        assert await actions.adopt(lab.services, (full,)) == [f"deployment refresh/{full}"]
        adopted = await lab.client.read_deployment(foreign)
        assert adopted.model_copy(update={"version": "theirs", "updated": theirs.updated}) == theirs
        assert await actions.adopt(lab.services, (full,)) == []

        plan = await lab.bootstrap(manifest=specs)
        assert f"update deployment refresh/{full}" in said(plan)
        ours = await lab.client.read_deployment(foreign)
        assert (lab.deployment("prices"), ours.parameters) == (foreign, {"instance": full})
        assert ours.paused
        assert said(await lab.bootstrap()) == []

    play(scenario)


def test_an_instance_whose_block_is_gone_gets_it_again_by_import(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=(*described(lab, "prices"), *described(lab, "signal", "prices")))
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        full = f"{lab.prefix}signal"
        block = (await read_blocks(lab.services.prefect)).by_name[full]
        await lab.client.delete_block_document(block.document_id)
        names = (full, *(f"{full}-{type_}" for type_ in PARTS.values()))
        assert await actions.adopt(lab.services, names) == [f"block {full}"]
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before
        assert said(await lab.bootstrap()) == []

    play(scenario)


# Removing


async def only_of(lab: Lab, specs: Specs) -> None:
    """Apply `specs`, and remove what other tests have left on record."""
    await lab.bootstrap(manifest=specs)
    await lab.bootstrap(prune=True)


def test_a_prune_removes_what_is_described_no_more_and_nothing_else(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        names = ("a", "b", "c", "last")
        specs = (
            *described(lab, "a", schedule=CRON),
            *described(lab, "b", "a"),
            *described(lab, "c", "a"),
            *described(lab, "last", "a", "b"),
        )
        await only_of(lab, specs)
        before = await snapshot(lab.client, lab.services.engine)
        full = f"{lab.prefix}last"
        parts = [f"{full}-{type_}" for type_ in PARTS.values()]
        block = (await read_blocks(lab.services.prefect)).by_name[full]
        await lab.client.delete_block_document(block.document_id)

        kept = await lab.plan()
        assert (said(kept.plan), set(kept.plan.kept)) == ([], {full, *parts})
        changeset = await lab.plan(prune=True)
        changeset.check_fuse()
        assert said(changeset.plan)[0] == f"delete deployment refresh/{full}"
        assert set(said(changeset.plan)[1:]) == {f"delete instance {name}" for name in (full, *parts)}
        await lab.bootstrap(prune=True)
        after = await snapshot(lab.client, lab.services.engine)
        deleted = {full, *parts}
        assert after.blocks == {name: block for name, block in before.blocks.items() if name != full}
        assert after.rows == {name: row for name, row in before.rows.items() if name not in deleted}
        assert after.deployments == {n: d for n, d in before.deployments.items() if n != f"refresh/{full}"}
        assert after.automations == before.automations
        assert after.counts == before.counts | {
            "block": before.counts["block"] - 1,
            "deployment": before.counts["deployment"] - 1,
            "flow": before.counts["flow"] - 1,
            "edge": before.counts["edge"] - 2,
        }
        assert said(await lab.bootstrap(prune=True)) == []
        assert {f"{lab.prefix}{name}" for name in names[:-1]} <= after.rows.keys()

    play(scenario)


def test_a_prune_with_a_manifest_is_of_its_projects(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        ours, theirs = lab.prefix + "ours", lab.prefix + "theirs"
        specs = (
            *described(lab, "a", project=ours),
            *described(lab, "b", project=ours),
            *described(lab, "x", project=theirs),
        )
        await only_of(lab, specs)
        plan = await lab.bootstrap(manifest=specs[:4], prune=True)
        full = f"{lab.prefix}b"
        assert set(said(plan)) == {
            f"delete deployment refresh/{full}",
            f"delete block {full}",
            *(f"delete instance {name}" for name in (full, *(f"{full}-{type_}" for type_ in PARTS.values()))),
        }
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert left.blocks.keys() == {f"{lab.prefix}a", f"{lab.prefix}x"}
        assert left.deployments.keys() == {f"refresh/{lab.prefix}a", f"refresh/{lab.prefix}x"}

    play(scenario)


def test_a_prune_of_more_than_half_needs_a_word(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        project = lab.prefix + "project"
        names = [f"d{number}" for number in range(8)]
        specs = tuple(spec for name in names for spec in described(lab, name, project=project))
        await only_of(lab, specs)
        changeset = await lab.plan(manifest=specs[:4], prune=True)
        with pytest.raises(WouldRemoveMost) as caught:
            changeset.check_fuse()
        assert str(caught.value) == (
            f"this would delete 28 of 32 instances of the project {project!r}, more than half. "
            "If that is what you want, say --yes; else look at `optaic plan --prune`."
        )
        half = await lab.plan(manifest=specs[:16], prune=True)
        half.check_fuse()
        assert half.plan.count(Action.DELETE) == 4 + 4 * 4 + 4  # deployments, rows, blocks

    play(scenario)


def test_what_is_protected_or_still_read_is_not_deleted(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices", protect=True), *described(lab, "signal", "prices"))
        await lab.bootstrap(manifest=specs)
        prices, signal = f"{lab.prefix}prices", f"{lab.prefix}signal"
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        with pytest.raises(InvalidSpec) as caught:
            await lab.bootstrap(destroy=(prices,))
        assert caught.value.problems == (
            f"{prices}: is protected; set protect to false and apply, before you delete it",
            f"{prices}: can't be deleted while {signal} reads it; delete that too, or take it out of upstream_refs",
        )
        # A block that somebody deletes does not get round it.
        blocks = await read_blocks(lab.services.prefect)
        for name in (signal, prices):
            await lab.client.delete_block_document(blocks.by_name[name].document_id)
        with pytest.raises(InvalidSpec, match=f"{prices}: is protected"):
            await lab.bootstrap(prune=True)
        await lab.bootstrap(manifest=specs)
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before
        await lab.bootstrap(manifest=with_fields(specs, "prices", protect=False))
        await lab.bootstrap(destroy=(prices, signal))
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert (left.blocks, left.deployments) == ({}, {})

    play(scenario)


def test_destroyed_instances_leave_their_data_unless_asked(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=(*described(lab, "prices"), *described(lab, "signal", "prices")))
        await lab.run("prices")
        assert await lab.drain("signal") == 1
        signal, prices = f"{lab.prefix}signal", f"{lab.prefix}prices"
        scope = await actions.destroy_scope(lab.services, (signal,), data=False)
        assert set(scope.destroy) == {signal, *(f"{signal}-{type_}" for type_ in PARTS.values())}
        services = lab.services
        applied = services.repository.applied([signal])[signal]
        (store,) = stores(applied, services.registry, services.resources)
        assert store.head() is not None
        plan = await lab.bootstrap(destroy=scope.destroy)
        assert said(plan)[:1] == [f"delete deployment refresh/{signal}"]
        assert said(plan)[-1:] == [f"delete block {signal}"]
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert left.deployments.keys() == {f"refresh/{prices}"}
        assert left.blocks.keys() == {prices}
        assert signal not in left.rows
        assert store.head() is not None
        assert lab.rows("prices") == {"2024-01-02": 1.0}
        plan = await lab.bootstrap(manifest=described(lab, "signal", "prices"))
        plan = await lab.bootstrap(destroy=scope.destroy, data=True)
        assert f"delete data {signal}" in said(plan)
        assert store.head() is None
        with pytest.raises(UnknownInstance, match=f"there is no instance named '{signal}'"):
            await lab.plan(destroy=(signal,))

    play(scenario)


def test_a_flow_that_the_definition_calls_for_no_more_goes_with_its_deployment(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=described(lab, "prices"))
        full = f"{lab.prefix}prices"
        flow = await lab.client.create_flow_from_name("train")
        owner_tag = lab.services.owner_tag
        extra = await lab.client.create_deployment(flow_id=flow, name=full, version=owner_tag)
        with lab.services.engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO optaic.flow (id, instance_id, kind, config_hash, settings, prefect_deployment_id) "
                    "SELECT gen_random_uuid(), id, 'train', '', '{}', :deployment "
                    "FROM optaic.instance WHERE name = :name"
                ),
                {"name": full, "deployment": extra},
            )
        assert said(await lab.bootstrap()) == [f"delete deployment train/{full}", f"delete flow {full}.train"]
        assert [flow.kind for flow in lab.services.repository.flows(instances=[full])] == ["refresh"]
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert left.deployments.keys() == {f"refresh/{full}"}
        assert said(await lab.bootstrap()) == []

    play(scenario)


# Refused before anything is written


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


def test_a_kept_plan_is_refused_when_the_world_has_changed(play: Play, stack: Target, tmp_path: Any) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices"), *described(lab, "signal", "prices"))
        await lab.bootstrap(manifest=specs)
        wanted = with_fields(specs, "prices", description="Changed.")
        scope, path = Scope(wanted), tmp_path / "plan.json"
        write_plan(path, scope, await lab.plan(manifest=wanted))
        assert read_scope(path) == scope
        check_same(path, await lab.plan(manifest=read_scope(path).manifest))
        await lab.client.delete_deployment(lab.deployment("signal"))
        with pytest.raises(WorldChanged, match=r"the world has changed since the plan .* was made"):
            check_same(path, await lab.plan(manifest=read_scope(path).manifest))
        await lab.bootstrap()
        check_same(path, await lab.plan(manifest=read_scope(path).manifest))
        await lab.bootstrap(manifest=wanted)
        with pytest.raises(WorldChanged):
            check_same(path, await lab.plan(manifest=read_scope(path).manifest))

    play(scenario)


# One at a time


def test_of_two_applies_at_once_one_waits_and_the_last_one_counts(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        names = [f"d{number}" for number in range(4)]
        specs = tuple(spec for name in names for spec in described(lab, name))
        await lab.bootstrap(manifest=specs)
        spans: dict[str, tuple[float, float]] = {}
        together = threading.Barrier(2)

        def apply(word: str) -> None:
            wanted = specs
            for name in names:
                wanted = with_fields(wanted, name, description=word)

            async def main() -> None:
                async with opened() as services:
                    together.wait()
                    async with services.exclusive():
                        begun = time.monotonic()
                        changeset = await make_plan(services, lab.storage, Scope(wanted), dt.datetime.now(dt.UTC))
                        await apply_plan(changeset, services, lambda step: None)
                        spans[word] = (begun, time.monotonic())

            asyncio.run(main())

        threads = [threading.Thread(target=apply, args=(word,)) for word in ("first", "second")]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        (earlier, later) = sorted(spans, key=lambda word: spans[word])
        assert spans[earlier][1] <= spans[later][0]
        found = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert {block["data"]["description"] for block in found.blocks.values()} == {later}
        assert {row["description"] for row in found.rows.values() if row["type"] == "dataset"} == {later}
        assert {deployment["description"] for deployment in found.deployments.values()} == {later}
        assert found.counts["deployment"] == len(names)
        assert said(await lab.bootstrap()) == []

    play(scenario)


def test_an_apply_that_waits_says_so_at_once_and_at_last_gives_up(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        told: list[str] = []
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        async with opened() as others, lab.services.exclusive():
            counting = asyncio.create_task(count())
            with pytest.raises(ApplyUnderWay) as caught:
                async with others.exclusive(dt.timedelta(seconds=1), told.append):
                    raise AssertionError("it did not wait")
            counting.cancel()
        assert told == ["another apply is under way; waiting up to 1 second"]
        assert turns > 20  # all else goes on meanwhile
        assert str(caught.value).startswith(
            "another apply is under way on this extension database, and did not end within 1 second"
        )
        async with lab.services.exclusive(patience=dt.timedelta(0)):
            assert lab.services.engine is not None

    play(scenario)


def test_members_of_a_plan_are_described_or_on_record(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap()
        specs = described(lab, "prices")
        before = (await lab.plan()).members
        changeset = await lab.plan(manifest=specs)
        assert changeset.members == {**before, **dict.fromkeys((spec.name for spec in specs), "default")}
        assert changeset.plan.count(Action.DELETE) == 0

    play(scenario)
