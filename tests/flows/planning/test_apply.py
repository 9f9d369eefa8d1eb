"""Applies on the real servers while others are at work there too, and what Prefect does not take."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.schemas.automations import Automation
from sqlalchemy import text

import flows.planning.resources.deployments
from flows.integrations.prefect_api import NotInPrefect, PrefectRefusal
from flows.planning.changeset import Changeset
from flows.planning.planner import apply_plan
from flows.planning.resources.automations import common_automations
from flows.planning.resources.resource import StepsRefused
from instances.plans.plan import Step
from instances.specification.types import PARTS
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import CRON, Specs, changed, deployment_of, described, said, with_fields
from tests.flows.snapshot import snapshot


async def carried_out(lab: Lab, changeset: Changeset) -> None:
    await apply_plan(changeset, lab.services, lambda step: None)


def after_its_reading(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[object]]) -> None:
    """Let somebody act when an apply of deployments has read what is there, before it writes."""
    read = flows.planning.resources.deployments._found

    async def read_then_act(*arguments: Any) -> Any:
        found = await read(*arguments)
        await act()
        return found

    monkeypatch.setattr(flows.planning.resources.deployments, "_found", read_then_act)


# Others at work


def test_what_an_operator_pauses_during_an_apply_stays_so(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(lab: Lab) -> None:
        specs = described(lab, "prices", schedule=CRON)
        await lab.bootstrap(manifest=specs)
        found = await deployment_of(lab, "prices")

        async def pause() -> None:
            await lab.client.pause_deployment(found.id)
            await lab.client.update_deployment_schedule(found.id, found.schedules[0].id, active=False)

        for fields in ({"description": "Changed."}, {"schedule": CRON | {"expression": "0 7 * * *"}}):
            with monkeypatch.context() as patched:
                changeset = await lab.plan(manifest=with_fields(specs, "prices", **fields))
                after_its_reading(patched, pause)
                await carried_out(lab, changeset)
            after = await deployment_of(lab, "prices")
            assert after.paused
            (schedule,) = after.schedules
            assert (schedule.id, schedule.active) == (found.schedules[0].id, False)
            await lab.client.resume_deployment(found.id)
            await lab.client.update_deployment_schedule(found.id, schedule.id, active=True)

    play(scenario)


@pytest.mark.parametrize("late", [False, True])
def test_a_deployment_of_others_that_appears_after_the_plan_is_not_overwritten(
    play: Play, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices"), *described(lab, "other"))
        full = f"{lab.prefix}prices"
        changeset = await lab.plan(manifest=specs)

        async def make() -> None:
            flow = await lab.client.create_flow_from_name("refresh")
            await lab.client.create_deployment(flow_id=flow, name=full, version="theirs", parameters={"theirs": 1})

        if late:
            after_its_reading(monkeypatch, make)
        else:
            await make()
        with pytest.raises(StepsRefused) as caught:
            await carried_out(lab, changeset)
        assert str(caught.value) == (
            f"Prefect refused to create the deployment refresh/{full}: there is one of that name that is not ours. "
            f"Delete it, or adopt it with `optaic import {full}`\n"
            "What does not need them was done. Correct this and apply again."
        )
        theirs = await deployment_of(lab, "prices")
        assert (theirs.version, theirs.parameters) == ("theirs", {"theirs": 1})
        assert lab.deployment("other") == (await deployment_of(lab, "other")).id

    play(scenario)


def test_a_deployment_of_others_in_the_place_of_ours_is_not_touched(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = described(lab, "prices")
        await lab.bootstrap(manifest=specs)
        changed_plan = await lab.plan(manifest=with_fields(specs, "prices", description="Changed."))
        destroying = await lab.plan(destroy=tuple(spec.name for spec in specs))
        await lab.client.delete_deployment(lab.deployment("prices"))
        flow = await lab.client.create_flow_from_name("refresh")
        await lab.client.create_deployment(flow_id=flow, name=f"{lab.prefix}prices", version="theirs")
        with pytest.raises(StepsRefused, match="there is one of that name that is not ours"):
            await carried_out(lab, changed_plan)
        await carried_out(lab, destroying)
        assert (await deployment_of(lab, "prices")).version == "theirs"

    play(scenario)


def test_a_deployment_that_no_flow_knows_goes_with_its_instance(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices"), *described(lab, "other"))
        await lab.bootstrap(manifest=specs)
        full = f"{lab.prefix}prices"
        # As after a kill between the creation of a deployment and the note of it in its flow.
        with lab.services.engine.begin() as connection:
            connection.execute(
                text("UPDATE optaic.flow SET prefect_deployment_id = NULL WHERE prefect_deployment_id = :id"),
                {"id": lab.deployment("prices")},
            )
        names = (full, *(f"{full}-{type_}" for type_ in PARTS.values()))
        assert said(await lab.bootstrap(destroy=names))[0] == f"delete deployment refresh/{full}"
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert left.deployments.keys() == {f"refresh/{lab.prefix}other"}

    play(scenario)


# Drift of schedules


@pytest.mark.parametrize(
    ("schedule", "by_hand", "fields"),
    [
        (CRON, {"parameters": {"everything": True}}, {"parameters.everything"}),
        (CRON, {"max_scheduled_runs": 3}, {"max_scheduled_runs"}),
        (CRON, {"schedule": {"cron": "0 18 * * 1-5", "timezone": "UTC", "day_or": False}}, {"day_or"}),
        (
            {"type": "interval", "interval_minutes": 60},
            {"schedule": {"interval": 3600, "anchor_date": "2020-01-01T00:00:00Z", "timezone": "Europe/London"}},
            {"timezone"},
        ),
    ],
)
def test_all_that_a_schedule_is_comes_back_but_its_pause(
    play: Play, schedule: dict[str, Any], by_hand: dict[str, Any], fields: set[str]
) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=described(lab, "prices", schedule=schedule))
        assert said(await lab.bootstrap()) == []
        found = await deployment_of(lab, "prices")
        (there,) = found.schedules
        await lab.client.update_deployment_schedule(found.id, there.id, active=False)
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        ids = {"id": found.id, "schedule_id": there.id}
        await lab.client.request("PATCH", "/deployments/{id}/schedules/{schedule_id}", path_params=ids, json=by_hand)
        slug = f"schedules.{lab.prefix}prices-refresh"
        assert set(changed((await lab.plan()).plan)) == {f"{slug}.{field}" for field in fields}
        await lab.bootstrap()
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before
        assert said(await lab.bootstrap()) == []

    play(scenario)


def test_an_interval_within_hours_of_the_day_is_several_schedules(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        hours = {"type": "interval", "interval_minutes": 30, "start_time": "09:30", "end_time": "11:00"}
        specs = described(lab, "prices", schedule=hours)
        await lab.bootstrap(manifest=specs)
        assert said(await lab.bootstrap()) == []
        found = await deployment_of(lab, "prices")
        slug = f"{lab.prefix}prices-refresh"
        crons = {each.slug: getattr(each.schedule, "cron", None) for each in found.schedules}
        assert crons == {slug: "30 9,10 * * *", f"{slug}-2": "0 10,11 * * *"}
        for each in found.schedules:
            await lab.client.update_deployment_schedule(found.id, each.id, active=False)
        for changed_to, expected in (
            (hours | {"interval_minutes": 15}, {slug: False, f"{slug}-2": False, f"{slug}-3": False}),
            (hours | {"interval_minutes": 60}, {slug: False}),
            (CRON, {slug: False}),
        ):
            await lab.bootstrap(manifest=with_fields(specs, "prices", schedule=changed_to))
            found = await deployment_of(lab, "prices")
            assert {each.slug: each.active for each in found.schedules} == expected
            assert said(await lab.bootstrap()) == []

    play(scenario)


# What Prefect does not take


async def picky_pool(lab: Lab) -> str:
    """Make a work pool that takes only whole numbers of processors."""
    template = {
        "variables": {"type": "object", "properties": {"cpu": {"type": "integer"}}},
        "job_configuration": {"cpu": "{{ cpu }}"},
    }
    name = f"{lab.prefix}picky"
    await lab.client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
    return name


async def automations(lab: Lab) -> list[Automation]:
    return [each for name in common_automations() for each in await lab.client.read_automations_by_name(name)]


def test_what_is_refused_keeps_nothing_else_from_being_done(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        pool = await picky_pool(lab)
        wrong: dict[str, Any] = {"work_pool": pool, "job_variables": {"cpu": "many"}}
        names = [f"d{number}" for number in range(6)]
        specs: Specs = tuple(
            spec for name in names for spec in described(lab, name, **(wrong if name in {"d0", "d3"} else {}))
        )
        for automation in await automations(lab):
            await lab.client.delete_automation(automation.id)
        changeset = await lab.plan(manifest=specs)
        done: list[Step] = []
        with pytest.raises(StepsRefused) as caught:
            await apply_plan(changeset, lab.services, done.append)
        refused = {f"refresh/{lab.prefix}d0", f"refresh/{lab.prefix}d3"}
        assert {refusal.step.name for refusal in caught.value.refusals} == refused
        assert "'many' is not valid under any of the given schemas" in str(caught.value)
        left = {step.label for step in changeset.plan.changes} - {step.label for step in done}
        assert left == {f"deployment {name}" for name in refused}
        assert len(await automations(lab)) == len(common_automations())
        right = with_fields(with_fields(specs, "d0", job_variables={"cpu": 1}), "d3", job_variables={"cpu": 1})
        assert {line for line in said(await lab.bootstrap(manifest=right)) if line.startswith("create")} == {
            f"create deployment {name}" for name in refused
        }

    play(scenario)


def test_what_does_not_go_is_still_found_by_its_rows(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices"), *described(lab, "other"))
        await lab.bootstrap(manifest=specs)
        stays = lab.deployment("prices")
        delete = lab.services.prefect.delete_deployment

        async def refuse(deployment_id: Any) -> None:
            if deployment_id == stays:
                try:  # what the server says of something else
                    await lab.services.prefect.run(deployment_id)
                except NotInPrefect as error:
                    raise PrefectRefusal("the deletion", error.status, error.why) from error
            await delete(deployment_id)

        changeset = await lab.plan(destroy=tuple(spec.name for spec in specs))
        with monkeypatch.context() as patched:
            patched.setattr(lab.services.prefect, "delete_deployment", refuse)
            with pytest.raises(
                StepsRefused, match=rf"refused to delete the deployment refresh/{lab.prefix}prices: Flow run not found"
            ):
                await carried_out(lab, changeset)
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        own = {f"{lab.prefix}prices", *(f"{lab.prefix}prices-{type_}" for type_ in PARTS.values())}
        assert left.rows.keys() == own
        assert left.blocks.keys() == {f"{lab.prefix}prices"}
        await lab.bootstrap(destroy=tuple(own))
        assert (await snapshot(lab.client, lab.services.engine, lab.prefix)).deployments == {}

    play(scenario)
