"""Handles on the real servers: what is stored, what is derived, and where the rows lie."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from definitions.contract import FlowKind
from flows.reading.handle_reader import handles_in
from flows.reading.status_reader import read_all_flows, statuses_in
from instances.errors import UnknownInstance
from instances.specification.handles import InstanceHandles
from prefect_optaic.from_python import handles
from tests.flows.chain import chain
from tests.flows.lab import Lab, Play

NIGHTLY = {"type": "cron", "expression": "0 22 * * 1-5"}
FRIDAY = dt.datetime(2026, 3, 13, 23, tzinfo=dt.UTC)


async def read(lab: Lab, name: str, now: dt.datetime | None = None) -> InstanceHandles:
    moment = now or dt.datetime.now(dt.UTC)
    flows, world = await read_all_flows(lab.services, moment)
    lines = await statuses_in(lab.services, flows, world, moment)
    return handles_in(lab.services, lines, world, moment)[lab.prefix + name]


def test_a_dataset_has_what_the_guide_asks_for(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices", {"2024-01-02": 1.0, "2024-01-03": 2.0}, schedule=NIGHTLY)
        await lab.signal("close", ["prices"])
        await lab.bootstrap()
        never = await read(lab, "prices", FRIDAY)
        assert (never.freshness_status, never.last_refresh_at, never.row_count) == ("not_initialized", None, None)
        assert never.next_refresh_at == dt.datetime(2026, 3, 16, 22, tzinfo=dt.UTC)

        run = await lab.start("prices")
        await lab.execute(run)
        found = await read(lab, "prices")
        assert (found.prefect_deployment_id, found.last_refresh_run_id) == (lab.deployment("prices"), run.id)
        assert found.last_refresh_at is not None
        assert (found.last_data_date, found.row_count) == (dt.date(2024, 1, 3), 2)
        assert found.freshness_status == "ready"
        assert found.physical_path is not None
        assert (Path(found.physical_path) / "_delta_log").is_dir()

        reader = await read(lab, "close")
        (ref,) = reader.upstream_refs
        assert (ref["instance"], ref["resource_id"]) == (found.name, str(found.id))
        assert (reader.next_refresh_at, reader.freshness_status) == (None, "running")  # the cascade has started it

        await lab.services.prefect.pause_deployment(lab.deployment("prices"))
        assert (await read(lab, "prices", FRIDAY)).next_refresh_at is None
        assert await asyncio.to_thread(handles, found.name) == await read(lab, "prices")
        with pytest.raises(UnknownInstance):
            await asyncio.to_thread(handles, lab.prefix + "nothing")

    play(scenario)


def test_a_model_has_three_deployments_and_what_it_has_outside(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path))
        found = await read(lab, "returns")
        deployments = [lab.deployment(f"returns.{kind}") for kind in (FlowKind.TRAIN, FlowKind.INFER, FlowKind.MONITOR)]
        assert [
            found.prefect_training_deployment_id,
            found.prefect_inference_deployment_id,
            found.prefect_monitoring_deployment_id,
        ] == deployments
        assert (found.prefect_deployment_id, found.definition, found.definition_version) == (None, "ridge", 1)
        assert None not in (found.mlflow_experiment_id, found.evidently_project_id)
        assert found.flow("train").freshness_status == "not_initialized"
        assert (await read(lab, "trend")).physical_path is None  # a preview keeps no rows
        part = await read(lab, "prices-pipeline")
        assert (part.definition, part.flows, part.freshness_status) == ("sp500-sample", (), None)

    play(scenario)
