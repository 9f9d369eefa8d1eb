"""The views: a row for each instance of a type, under the guide's names, also after a rename."""

import datetime as dt
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, text

from definitions.contract import FlowKind
from definitions.registry import default_registry
from definitions.work.outcome import Outcome
from instances.specification.resolution import resolve
from instances.storage.ledger import Ledger
from instances.storage.repository import Repository
from instances.storage.tables import Base
from instances.storage.views import VIEWS
from instances.storage.writer import Writer
from tests.flows.chain import chain
from tests.instances.sample_world import NOW, hours, run_id
from tests.instances.storage.test_ledger import guarded


def applied(engine: Engine, folder: Path) -> Repository:
    Writer(engine).save(resolve(chain("", folder), default_registry()), NOW)
    return Repository(engine)


def view(engine: Engine, name: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a view, by the names of the instances."""
    with engine.connect() as connection:
        rows = connection.execute(text(f"SELECT * FROM optaic.{name}")).mappings()
        return {row["name"]: dict(row) for row in rows}


def test_no_view_is_called_like_a_table() -> None:
    assert VIEWS.keys().isdisjoint(table.name for table in Base.metadata.tables.values())


def test_each_instance_is_in_the_view_of_its_type(database: Engine, tmp_path: Path) -> None:
    repository = applied(database, tmp_path)
    found = {name: set(view(database, name)) for name in VIEWS}
    specs = repository.specs()
    assert found == {name: {spec.name for spec in specs if spec.type == name} for name in VIEWS}


def test_a_dataset_has_its_handles_and_its_newest_run(database: Engine, tmp_path: Path) -> None:
    repository, ledger = applied(database, tmp_path), Ledger(database)
    flow, deployment = repository.flow("prices"), uuid4()
    repository.set_deployment(flow.flow_id, deployment)
    for name, at in (("p1", NOW), ("p2", NOW + hours(1))):
        ledger.record_guard(guarded(name, flow.flow_id))
        ledger.record_outcome(run_id(name), Outcome(name, dt.date(2026, 3, 10), row_count=5), at)
    ledger.record_guard(guarded("p3", flow.flow_id))  # under way

    row = view(database, "dataset")["prices"]
    assert (row["prefect_deployment_id"], row["last_refresh_run_id"]) == (deployment, run_id("p2"))
    assert row["last_refresh_at"] == NOW + hours(1)
    assert (row["last_data_date"], row["row_count"], row["data_version"]) == (dt.date(2026, 3, 10), 5, "p2")
    assert (row["pipeline_instance"], row["kept_as"]) == ("prices-pipeline", "prices")
    assert (row["schedule"]["type"], row["upstream_refs"]) == ("manual", [])


def test_a_model_has_three_deployments(database: Engine, tmp_path: Path) -> None:
    repository, deployments = applied(database, tmp_path), {}
    for kind in (FlowKind.TRAIN, FlowKind.INFER, FlowKind.MONITOR):
        deployments[kind] = uuid4()
        repository.set_deployment(repository.flow("returns", kind).flow_id, deployments[kind])
    Writer(database).set_handle("returns", "mlflow_experiment_id", "7")
    row = view(database, "model")["returns"]
    assert row["prefect_training_deployment_id"] == deployments[FlowKind.TRAIN]
    assert row["prefect_inference_deployment_id"] == deployments[FlowKind.INFER]
    assert row["prefect_monitoring_deployment_id"] == deployments[FlowKind.MONITOR]
    assert (row["definition"], row["definition_version"], row["mlflow_experiment_id"]) == ("ridge", 1, "7")
    assert row["last_training_at"] is None
    assert {name: each["type"] for name, each in row["schedule"].items()} == dict.fromkeys(
        ("train", "infer", "monitor"), "manual"
    )
    assert {each["instance"] for each in row["upstream_refs"]} == {"prices", "momentum", "reversal", "low-risk"}


def test_a_row_stays_itself_and_what_it_reads_is_followed_when_names_change(database: Engine, tmp_path: Path) -> None:
    applied(database, tmp_path)
    before = view(database, "signal")["momentum"]
    Writer(database).rename({"momentum": "trend-12m", "prices": "closes"}, ["trend-12m", "closes"])
    after = view(database, "signal")["trend-12m"]
    assert (after["id"], after["kept_as"], after["former_names"]) == (before["id"], "momentum", ["momentum"])
    (read,) = after["upstream_refs"]
    assert (read["instance"], read["flow"], read["role"], read["required"]) == ("closes", "refresh", "input", True)
    assert read["resource_id"] == before["upstream_refs"][0]["resource_id"]
