"""Plan and apply on the real servers: only what differs, and everything that differs."""

from typing import Any

import pytest
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.schedules import CronSchedule
from sqlalchemy import text

from definitions.contract import FlowKind
from flows.planning.deployment_spec import where_its_status_is
from flows.planning.scope import Scope
from flows.reading.block_reader import read_blocks
from instances.plans.plan import Action
from instances.specification.types import PARTS
from prefect_optaic.planfile import WorldChanged, check_same, read_scope, write_plan
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import CRON, changed, deployment_of, described, said, with_fields
from tests.flows.snapshot import snapshot, writes

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


def test_members_of_a_plan_are_described_or_on_record(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap()
        specs = described(lab, "prices")
        before = (await lab.plan()).members
        changeset = await lab.plan(manifest=specs)
        assert changeset.members == {**before, **dict.fromkeys((spec.name for spec in specs), "default")}
        assert changeset.plan.count(Action.DELETE) == 0

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
            {
                "tags": (
                    ["mine"],
                    sorted(["optaic", "default", "dataset", "flow:refresh", f"instance:{lab.prefix}prices"]),
                ),
                "description": ("Mine.", where_its_status_is(f"{lab.prefix}prices", FlowKind.REFRESH)),
            },
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
