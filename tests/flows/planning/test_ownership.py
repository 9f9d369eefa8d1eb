"""What an operator has set, and what belongs to others, on the real servers: neither is touched."""

import asyncio
import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectAlreadyExists

from flows.planning.planner import apply_plan, make_plan
from flows.planning.scope import Scope
from flows.reading.block_reader import read_blocks
from instances.errors import InvalidSpec
from instances.specification.types import PARTS
from prefect_optaic import actions
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import CRON, deployment_of, described, said, with_fields
from tests.flows.snapshot import snapshot, writes

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
