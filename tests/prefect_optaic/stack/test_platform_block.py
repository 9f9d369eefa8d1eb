"""What `optaic up` writes into the Platform block, and what it leaves as the user has it."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text

from blocks.platform import Platform, connector_for
from flows.integrations.mlflow_tracking import Tracking
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.platform_block import move_artifacts, platform_for
from prefect_optaic.stack.target import Target

OWN_DATABASE = "postgresql+psycopg://me:word@db.example/optaic"
OWN_MLFLOW = "http://mlflow.example:5000"


def embedded(root: Path) -> Target:
    database = f"postgresql+psycopg://postgres@/optaic?host={root}/run&port=5432"
    return Target("http://127.0.0.1:4200/api", "http://127.0.0.1:4200", Home(root), True, database)


def external(root: Path) -> Target:
    return Target("https://prefect.example/api", "https://prefect.example", Home(root), False, OWN_DATABASE)


def places(platform: Platform) -> tuple[str | None, ...]:
    told = platform.settings
    return told.data_root, told.mlflow_tracking_uri, told.mlflow_artifacts, told.evidently_workspace


def test_a_first_up_names_the_home(tmp_path: Path) -> None:
    made = platform_for(embedded(tmp_path), None)
    data, uri, artifacts, workspace = places(made)
    assert (data, artifacts, workspace) == (f"{tmp_path}/data", f"{tmp_path}/mlflow", f"{tmp_path}/evidently")
    assert make_url(uri or "") == make_url(made.database_url).set(database="mlflow")


def test_a_block_of_before_is_completed(tmp_path: Path) -> None:
    target = embedded(tmp_path)
    before = Platform(database=connector_for(target.database_url or ""), data_root="s3://quant/data")
    assert places(platform_for(target, before)) == ("s3://quant/data", *places(platform_for(target, None))[1:])


def test_what_the_user_has_set_is_kept(tmp_path: Path) -> None:
    target = embedded(tmp_path)
    users = platform_for(target, None).model_copy(
        update={
            "data_root": "s3://quant/data",
            "mlflow_tracking_uri": SecretStr(OWN_MLFLOW),
            "mlflow_artifacts": "s3://quant/models",
            "evidently_workspace": "http://evidently.example:8000",
        }
    )
    assert places(platform_for(target, users)) == places(users)


def test_what_lay_in_a_home_that_has_moved_moves_with_it(tmp_path: Path) -> None:
    before = platform_for(embedded(tmp_path / "gone"), None)
    target = embedded(tmp_path / "here")
    assert places(platform_for(target, before)) == places(platform_for(target, None))


def test_servers_of_ones_own_are_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = platform_for(external(tmp_path), None)
    assert places(made) == (f"{tmp_path}/data", None, None, None)
    monkeypatch.setenv("OPTAIC_MLFLOW_TRACKING_URI", OWN_MLFLOW)
    monkeypatch.setenv("OPTAIC_EVIDENTLY_WORKSPACE", "/srv/evidently")
    named = platform_for(external(tmp_path), made)
    assert places(named) == (f"{tmp_path}/data", OWN_MLFLOW, None, "/srv/evidently")
    monkeypatch.delenv("OPTAIC_MLFLOW_TRACKING_URI")
    monkeypatch.delenv("OPTAIC_EVIDENTLY_WORKSPACE")
    assert places(platform_for(external(tmp_path), named)) == places(named)


def test_mlflow_is_told_that_its_artifacts_have_moved(postgres_url: str, tmp_path: Path) -> None:
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE moved"))
    engine.dispose()
    uri = make_url(postgres_url).set(database="moved").render_as_string(hide_password=False)
    move_artifacts(uri, before="/gone/mlflow", after="/here/mlflow")  # nothing there yet
    tracking = Tracking(uri, artifacts="/gone/mlflow", owner_tag="optaic-here")
    experiment = tracking.ensure("alpha")
    move_artifacts(uri, before="/gone/mlflow", after="/here/mlflow")
    with create_engine(uri).connect() as connection:
        found = connection.scalar(
            text("SELECT artifact_location FROM experiments WHERE experiment_id = :id"), {"id": int(experiment.id)}
        )
    assert found == "/here/mlflow/alpha"
