"""Flows that a package brings: deployed, guarded, recorded and kept fresh like those of the types of instances."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from definitions.contract import FlowKind, Kind
from definitions.errors import InvalidConfig
from definitions.registry import Registry
from flows.integrations.prefect_api import NotInPrefect
from instances.errors import InvalidSpec
from prefect_optaic.actions import UnknownParameter, check_parameters
from tests.examples.installed_package import installed
from tests.flows.lab import Lab, Play
from tests.flows.recorded import last_run

PACKAGE = Path(__file__).parents[2] / "examples" / "own_definition"
WALKS = {"entities": ["A", "B"], "start": "2024-01-01", "end": "2024-03-29", "seed": 1}


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with installed(PACKAGE, tmp_path, monkeypatch) as found:
        yield found


def test_a_flow_of_a_package_follows_the_refresh_and_takes_its_parameters(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.describe("walks", "dataset", "random-walk", WALKS)
        await lab.bootstrap()
        assert (await lab.plan()).plan.changes == ()
        blocked = await lab.run("walks.report", parameters={"days": 5})
        assert (blocked.name, lab.flow("walks.report").kind) == ("Blocked", FlowKind("report"))
        await lab.run("walks")
        assert await lab.drain("walks.report") == 1  # what was asked for, as it was asked for
        (run,) = [run for run in await lab.runs("walks.report") if run.state_name == "Completed"]
        assert run.state is not None
        assert run.state.message == "2 walks over 5 days"
        assert run.name.startswith(f"{lab.prefix}walks.report ")
        row, inputs = last_run(lab, "walks.report")
        assert (row.kind, inputs) == ("ReportRun", {"walks"})
        assert set(row.metrics or {}) == {"volatility_A", "volatility_B", "duration_seconds"}
        assert (await lab.verdict("walks.report")).status == "READY"
        assert (await lab.run("walks.report")).name == "Skipped"
        again = await lab.run("walks.report", parameters={"days": 7})
        assert (again.name, again.message) == ("Completed", "2 walks over 7 days")
        assert lab.services.repository.flow(f"{lab.prefix}walks").kind == "refresh"  # of its type there is one
        deployment = await lab.client.read_deployment(lab.deployment("walks.report"))
        assert deployment.entrypoint == "flows/packaged.py:packaged"
        schema = deployment.parameter_openapi_schema or {}
        assert schema["properties"]["parameters"]["properties"].keys() == {"days"}
        assert (deployment.description or "").startswith("How much the walks have moved.")

    play(scenario)


def test_a_flow_that_is_brought_no_more_goes(play: Play, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.describe("walks", "dataset", "random-walk", WALKS)
        await lab.bootstrap()
        deployment = lab.deployment("walks.report")
        newer = (replace(each, flow_specs=(), version=2) if each.flow_specs else each for each in registry.all())
        without = Registry(newer)
        monkeypatch.setattr("flows.integrations.services.default_registry", lambda: without)
        await lab.bootstrap()
        assert [flow.kind for flow in lab.services.repository.flows(instances=[f"{lab.prefix}walks"])] == ["refresh"]
        with pytest.raises(NotInPrefect):
            await lab.services.prefect.deployment(deployment)

    play(scenario)


def test_its_settings_are_those_of_definition_flows(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        weekly: dict[str, Any] = {"report": {"schedule": {"type": "cron", "expression": "0 6 * * 1"}}}
        await lab.describe("walks", "dataset", "random-walk", WALKS, definition_flows=weekly)
        await lab.bootstrap()
        deployment = await lab.client.read_deployment(lab.deployment("walks.report"))
        assert [getattr(each.schedule, "cron", None) for each in deployment.schedules] == ["0 6 * * 1"]
        await lab.describe("lost", "dataset", "random-walk", WALKS, definition_flows={"reprot": {}})
        with pytest.raises(InvalidSpec, match=r"definition_flows\.reprot: is not .* did you mean 'report'\?"):
            await lab.plan()

    play(scenario)


def test_what_a_run_of_it_does_not_take_is_refused(play: Play, registry: Registry) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.describe("walks", "dataset", "random-walk", WALKS)
        await lab.bootstrap()
        flow, brought = lab.flow("walks.report"), registry.get(Kind.PIPELINE, "random-walk").flow_specs[0]
        with pytest.raises(InvalidConfig, match=r"the parameters do not fit the flow report: parameters\.day: "):
            check_parameters(flow, {"parameters": {"day": 5}}, brought)
        with pytest.raises(UnknownParameter, match=r"takes no parameter 'everything'; it takes: force, on_stale"):
            check_parameters(flow, {"everything": True}, brought)

    play(scenario)
