"""One instance broken in each of several ways: all others refresh, plan and apply, and the status tells of it."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType
from sqlalchemy import text

from flows.planning.planner import apply_plan, make_plan
from flows.planning.scope import Scope
from flows.reading.status_reader import read_all_flows, read_statuses
from instances.errors import LeftOut, UnreadableRow
from instances.rules.causes import explain
from instances.rules.flow_status import FlowStatus
from instances.rules.instance_status import InstanceStatus
from prefect_optaic import show
from tests.flows.chain import chain
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import described, said
from tests.flows.planning.test_left_out import save_from_another_machine
from tests.flows.planning.test_refusals import edit_block
from tests.flows.recorded import SIGNALS

BROKEN = ("b-block", "b-definition", "b-config", "b-date", "b-row")


async def board(lab: Lab) -> dict[str, InstanceStatus]:
    found = await read_statuses(lab.services, dt.datetime.now(dt.UTC))
    return {line.instance.removeprefix(lab.prefix): line for line in found if line.instance.startswith(lab.prefix)}


async def break_them(lab: Lab) -> None:
    """Break each of the instances in its own way."""
    await edit_block(lab, "b-block", on_stale="perhaps")
    await save_from_another_machine(lab, "b-definition", definition="cvs")
    await save_from_another_machine(lab, "b-config", config={"pth": "a.csv"})
    calendar = {"exchange": "NOWHERE", "after_close": "1h"}
    await edit_block(lab, "b-date", freshness={"calendar": calendar})


def break_row(lab: Lab, name: str) -> None:
    """Damage the row of an instance as a hand in the database would."""
    with lab.services.engine.begin() as connection:
        connection.execute(
            text(
                'UPDATE optaic.flow SET settings = \'{"grace": "soon"}\' WHERE instance_id = '
                "(SELECT id FROM optaic.instance WHERE name = :name)"
            ),
            {"name": lab.prefix + name},
        )
        connection.execute(
            text("UPDATE optaic.instance SET spec = '[1]' WHERE name = :name"), {"name": lab.prefix + name}
        )


def test_each_broken_instance_stays_its_own_problem(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        for name in (*BROKEN, "good"):
            await lab.source(name)
        await lab.signal("signal", ["good"])
        await lab.bootstrap()
        for name in BROKEN:
            assert (await lab.run(name)).type is StateType.COMPLETED
        await break_them(lab)

        await lab.source("new")
        plan = await lab.bootstrap(all_or_nothing=False)
        assert {f"create deployment refresh/{lab.prefix}new", f"update instance {lab.prefix}b-date"} <= set(said(plan))
        with pytest.raises(LeftOut):
            plan.check_whole()
        told = "\n".join(plan.problems)
        for name in ("b-block", "b-definition", "b-config"):
            assert f"{lab.prefix}{name}" in told

        break_row(lab, "b-row")
        assert (await lab.run("new")).type is StateType.COMPLETED
        assert (await lab.run("good")).type is StateType.COMPLETED
        assert await lab.drain("signal") == 1

        lines = await board(lab)
        assert {name: lines[name].ready for name in ("good", "signal", "new")} == dict.fromkeys(
            ("good", "signal", "new"), True
        )
        assert {name: lines[name].ready for name in BROKEN} == dict.fromkeys(BROKEN, False)
        for name in ("b-block", "b-definition", "b-config"):
            assert lines[name].flaw is not None
        assert lines["b-date"].status is lines["b-row"].status is FlowStatus.UNKNOWN
        assert "NOWHERE" in lines["b-date"].reason
        assert "the settings in its row can't be read: grace: " in lines["b-row"].reason
        flows, world = await read_all_flows(lab.services, dt.datetime.now(dt.UTC))
        facts = [world[flow.flow_id] for flow in flows]
        for each in facts:
            assert explain(each, world, dt.datetime.now(dt.UTC)).causes
        assert show.freshness_table(facts, world, dt.datetime.now(dt.UTC)).row_count == len(facts)
        with pytest.raises(UnreadableRow, match=f"the row of '{lab.prefix}b-row' in the extension database"):
            lab.services.repository.spec(lab.prefix + "b-row")

        mended = await lab.bootstrap(all_or_nothing=False)  # from its block
        assert f"update instance {lab.prefix}b-row" in said(mended)
        assert (await board(lab))["b-row"].status is FlowStatus.READY

    play(scenario)


def test_a_champion_that_was_deleted_in_mlflow_stops_what_predicts_by_it_alone(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        name = f"{lab.prefix}returns"
        anything = {"promotion": {"metric": "ic_mean", "threshold": -1.0}}
        specs = (*chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=anything), *described(lab, "other"))
        await lab.bootstrap(manifest=specs)
        await lab.run("prices")
        await lab.drain(*SIGNALS, "returns.train", "returns.infer", "returns.monitor")
        lab.services.tracking._client.delete_model_version(name, "1")

        plan = await lab.bootstrap(manifest=specs)
        (step,) = plan.changes
        assert (step.kind, step.name, plan.problems) == ("champion", name, ())
        assert (await lab.run("prices", force=True)).type is StateType.COMPLETED
        assert (await lab.run("other")).type is StateType.COMPLETED
        assert (await lab.run("momentum", force=True)).type is StateType.COMPLETED
        stopped = await lab.run("returns.infer", force=True)
        assert stopped.message == f"There is no version to read of {name}.train. Run that first."
        lines = await board(lab)
        assert {each: lines[each].ready for each in ("prices", "other", *SIGNALS)} == dict.fromkeys(
            ("prices", "other", *SIGNALS), True
        )
        assert lines["returns"].status is FlowStatus.ERROR
        assert stopped.message in lines["returns"].reason
        # What heals it: a training, whose version has no champion to beat.
        assert (await lab.run("returns.train", force=True)).type is StateType.COMPLETED
        await lab.drain("returns.infer", "returns.monitor")
        assert (await board(lab))["returns"].ready

    play(scenario)


@pytest.mark.parametrize("server", ["mlflow_tracking_uri", "evidently_workspace"])
def test_a_server_of_models_that_is_away_holds_back_the_models_alone(play: Play, tmp_path: Path, server: str) -> None:
    async def scenario(lab: Lab) -> None:
        elsewhere = lab.services.platform.model_copy(update={server: "http://127.0.0.1:1"})
        services = replace(lab.services, platform=elsewhere)
        specs = (*chain(lab.prefix, tmp_path, (*SIGNALS, "returns", "portfolio")), *described(lab, "other"))
        changeset = await make_plan(services, lab.storage, Scope(specs), dt.datetime.now(dt.UTC))
        (problem,) = changeset.plan.problems
        assert problem.startswith(f"{lab.prefix}returns: ")
        assert changeset.plan.held == (f"{lab.prefix}portfolio",)
        await apply_plan(changeset, services, lambda step: None)
        assert (await lab.run("other")).type is StateType.COMPLETED
        again = await make_plan(services, lab.storage, Scope(specs), dt.datetime.now(dt.UTC))
        assert again.plan.changes == ()
        await lab.bootstrap(manifest=specs)
        await edit_block(lab, "returns", retrain_on_drift=True)
        await lab.bootstrap()
        held = await make_plan(services, lab.storage, Scope(), dt.datetime.now(dt.UTC))
        assert held.plan.changes == ()  # least of all is its automation deleted

    play(scenario)
