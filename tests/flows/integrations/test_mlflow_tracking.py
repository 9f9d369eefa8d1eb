"""The adapter to MLflow, on a real one: a database of the session's Postgres."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from sklearn.linear_model import Ridge
from sqlalchemy import create_engine, make_url, text

from definitions.addresses import redacted
from flows.integrations.mlflow_client import translated
from flows.integrations.mlflow_tracking import (
    OWNER_TAG,
    DeletedInMlflow,
    NoSuchVersion,
    NotOurs,
    Tracking,
    TrackingError,
    Training,
)
from research.frames.pictures import Picture

FEATURES = ("momentum", "reversal")


class Mean:
    """A model of a team's own: no estimator of scikit-learn."""

    def predict(self, features: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.float64]]":
        return np.asarray(features.mean(axis=1), dtype=np.float64)


@pytest.fixture(scope="module")
def uri(postgres_url: str) -> Iterator[str]:
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE tracked"))
        yield make_url(postgres_url).set(database="tracked").render_as_string(hide_password=False)
    engine.dispose()


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def tracking(uri: str, artifacts: Path) -> Tracking:
    return Tracking(uri, artifacts=str(artifacts), owner_tag="optaic-here")


@pytest.fixture(scope="module")
def client(tracking: Tracking, uri: str) -> MlflowClient:
    return MlflowClient(uri, uri)


def rows(count: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(count, 2)), columns=list(FEATURES))
    return frame.assign(target=frame.momentum * 0.5, prediction=frame.momentum * 0.4)


def training(model: Any = None, **changes: Any) -> Training:
    frame = rows()
    fitted = Ridge(alpha=0.1).fit(frame[list(FEATURES)], frame.target) if model is None else model
    base = Training(
        prefect_run=uuid4(),
        model=fitted,
        features=FEATURES,
        reference=frame,
        params={"alpha": 0.1, "features": list(FEATURES)},
        metrics={"rmse": 0.25, "ic": 0.03},
        folds=[{"rmse": 0.2}, {"rmse": 0.3}],
        pictures=[Picture("Predicted and seen", b"\x89PNG")],
        tags={"optaic.instance": "alpha"},
        prefect_url="http://127.0.0.1:4200/runs/flow-run/1",
    )
    return replace(base, **changes)


# Experiments


def test_an_experiment_is_made_once_and_carries_the_mark(
    tracking: Tracking, client: MlflowClient, artifacts: Path
) -> None:
    assert tracking.find("once") is None
    made = tracking.ensure("once")
    assert tracking.ensure("once") == made == tracking.find("once")
    assert tracking.experiments()["once"] == made
    stored = client.get_experiment(made.id)
    assert stored.tags[OWNER_TAG] == "optaic-here"
    assert stored.artifact_location == str(artifacts / "once")


def test_a_deleted_experiment_keeps_its_name_and_is_restored(tracking: Tracking) -> None:
    made = tracking.ensure("came-back")
    tracking.delete_experiment("came-back")
    tracking.delete_experiment("came-back")
    assert tracking.experiments()["came-back"].deleted
    assert tracking.ensure("came-back") == made


def test_the_experiment_of_another_installation_is_left_alone(tracking: Tracking, uri: str) -> None:
    other = Tracking(uri, artifacts="/nowhere", owner_tag="optaic-there")
    other.ensure("theirs")
    assert "theirs" not in tracking.experiments()
    found = tracking.find("theirs")
    assert found is not None
    assert not found.ours
    expected = r"has the experiment 'theirs', which was not made from this extension database\. .*another name"
    with pytest.raises(NotOurs, match=expected):
        tracking.ensure("theirs")
    with pytest.raises(NotOurs, match=expected):
        tracking.delete_experiment("theirs")


def test_processes_that_make_the_same_at_once_on_an_empty_database(postgres_url: str, tmp_path: Path) -> None:
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE at_once"))
    engine.dispose()
    uri = make_url(postgres_url).set(database="at_once").render_as_string(hide_password=False)
    code = (
        "import sys; from flows.integrations.mlflow_tracking import Tracking; "
        "print(Tracking(sys.argv[1], artifacts=sys.argv[2], owner_tag='optaic-here').ensure('one').id)"
    )
    command = [sys.executable, "-c", code, uri, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(process.communicate(timeout=60), process.returncode) for process in processes]
    assert [code for _, code in ended] == [0, 0], [err for (_, err), _ in ended]
    assert len({out for (out, _), _ in ended}) == 1
    assert "INFO" not in "".join(err for (_, err), _ in ended)  # it would stand between the lines of an apply
    assert list(Tracking(uri, artifacts=str(tmp_path), owner_tag="optaic-here").experiments()) == ["one"]


# Runs


def test_a_training_is_written_down(tracking: Tracking, client: MlflowClient) -> None:
    experiment = tracking.ensure("written")
    wanted = training()
    run = client.get_run(tracking.log(experiment.id, wanted))
    assert (run.info.experiment_id, run.info.status) == (experiment.id, "FINISHED")
    assert run.data.params == {"alpha": "0.1", "features": "['momentum', 'reversal']"}
    assert run.data.metrics == {"rmse": 0.25, "ic": 0.03, "fold_rmse": 0.3}
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "fold_rmse")] == [(0, 0.2), (1, 0.3)]
    assert run.data.tags["optaic.prefect_run"] == str(wanted.prefect_run)
    assert run.data.tags["mlflow.note.content"] == "[Prefect run](http://127.0.0.1:4200/runs/flow-run/1)"
    files = [file.path for file in client.list_artifacts(run.info.run_id)]
    assert files == ["01-predicted-and-seen.png", "reference.parquet"]
    assert client.get_logged_model(run.data.tags["optaic.model_id"]).experiment_id == experiment.id


def test_a_prefect_run_tried_again_has_one_run(tracking: Tracking, client: MlflowClient) -> None:
    experiment = tracking.ensure("again")
    first = training()
    run_id = tracking.log(experiment.id, first)
    assert tracking.log(experiment.id, first) == run_id
    another = tracking.log(experiment.id, replace(first, params={"alpha": 0.2}))
    assert another != run_id
    assert [run.info.run_id for run in client.search_runs([experiment.id])] == [another]


def test_a_run_behind_a_registered_version_stays(tracking: Tracking, client: MlflowClient) -> None:
    experiment = tracking.ensure("needed")
    first = training()
    needed = tracking.register("needed", tracking.log(experiment.id, first))
    tracking.log(experiment.id, replace(first, metrics={"rmse": 0.26}))
    assert client.get_run(needed.run_id).info.lifecycle_stage == "active"
    assert tracking.reference("needed", needed.version).shape == (200, 4)


def test_what_an_attempt_that_was_cut_short_left_gives_way(tracking: Tracking, client: MlflowClient) -> None:
    class Broken:
        def predict(self, features: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.float64]]":
            raise RuntimeError("power cut")

    experiment = tracking.ensure("cut")
    wanted = training()
    with pytest.raises(RuntimeError, match="power cut"):
        tracking.log(experiment.id, replace(wanted, model=Broken()))
    assert [run.info.status for run in client.search_runs([experiment.id])] == ["FAILED"]
    run_id = tracking.log(experiment.id, wanted)
    assert [run.info.run_id for run in client.search_runs([experiment.id])] == [run_id]
    assert len(client.search_runs([experiment.id], run_view_type=ViewType.ALL)) == 2


def test_logging_leads_nothing_else_to_this_mlflow(tracking: Tracking, uri: str) -> None:
    import mlflow

    tracking.log(tracking.ensure("elsewhere").id, training())
    assert uri not in (mlflow.get_tracking_uri(), mlflow.get_registry_uri())
    assert not {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"} & set(os.environ)
    assert mlflow.active_run() is None


# The registry


@pytest.mark.parametrize("model", [None, Mean()], ids=["scikit-learn", "own"])
def test_a_version_predicts_as_its_model_did(tracking: Tracking, model: Any) -> None:
    name = "predicts" if model is None else "predicts-its-own-way"
    wanted = training(model)
    version = tracking.register(name, tracking.log(tracking.ensure(name).id, wanted))
    assert version.metrics["rmse"] == 0.25
    loaded = tracking.load_model(name, version.version)
    features = rows()[list(FEATURES)]
    np.testing.assert_allclose(loaded.predict(features), wanted.model.predict(features))
    pd.testing.assert_frame_equal(tracking.reference(name, version.version), wanted.reference)


def test_a_run_is_registered_once_and_the_champion_before_is_kept(tracking: Tracking) -> None:
    experiment = tracking.ensure("ranked")
    assert tracking.champion("ranked") is None
    one = tracking.register("ranked", tracking.log(experiment.id, training()))
    assert tracking.register("ranked", one.run_id) == one
    assert tracking.champion("ranked") is None
    tracking.promote("ranked", one.version, by="hand")
    assert (tracking.champion("ranked"), tracking.previous("ranked")) == (one, None)
    two = tracking.register("ranked", tracking.log(experiment.id, training(metrics={"rmse": 0.2})))
    assert (one.version, two.version) == ("1", "2")
    for _ in range(2):
        tracking.promote("ranked", two.version, by="hand")
        assert (tracking.champion("ranked"), tracking.previous("ranked")) == (two, one)
    with pytest.raises(NoSuchVersion) as caught:
        tracking.promote("ranked", "9", by="hand")
    assert str(caught.value) == "model 'ranked' has no version '9'; there are: 2, 1. Say one of those."


def test_a_version_tells_who_promoted_it_and_when(tracking: Tracking, client: MlflowClient) -> None:
    version = tracking.register("told", tracking.log(tracking.ensure("told").id, training())).version
    assert "told" not in tracking.champions()
    tracking.promote("told", version, by="hand, by ann")
    tags = client.get_model_version("told", version).tags
    assert tags["optaic.promoted_by"] == "hand, by ann"
    assert dt.datetime.fromisoformat(tags["optaic.promoted_at"]).utcoffset() == dt.timedelta(0)
    assert tracking.champions()["told"] == version


def test_a_registered_model_of_somebody_else_is_seen_before_the_work(tracking: Tracking, client: MlflowClient) -> None:
    client.create_registered_model("occupied")
    assert "has the registered model 'occupied', which was not made from this" in str(tracking.taken("occupied"))
    with pytest.raises(NotOurs, match="has the registered model 'occupied'"):
        tracking.ensure("occupied")
    assert tracking.find("occupied") is None


def test_only_models_of_this_installation_are_deleted(tracking: Tracking, client: MlflowClient, uri: str) -> None:
    run_id = tracking.log(tracking.ensure("gone").id, training())
    tracking.register("gone", run_id)
    tracking.delete_model("gone")
    tracking.delete_model("gone")
    assert tracking.champion("gone") is None
    client.create_registered_model("handmade")
    with pytest.raises(NotOurs, match="has the registered model 'handmade'"):
        tracking.register("handmade", run_id)
    with pytest.raises(NotOurs, match="has the registered model 'handmade'"):
        tracking.delete_model("handmade")


# Errors


def test_an_mlflow_that_does_not_answer_is_an_error_at_once() -> None:
    with pytest.raises(TrackingError) as caught:
        Tracking(
            "postgresql+psycopg://me:hidden-word@127.0.0.1:1/mlflow", artifacts="/nowhere", owner_tag="optaic-here"
        )
    message = str(caught.value)
    assert message.startswith("MLflow at postgresql+psycopg://me:***@127.0.0.1:1/mlflow could not be opened: ")
    assert message.endswith("the field mlflow_tracking_uri of the Platform block says where it is.")
    assert "hidden-word" not in message


def test_what_cannot_be_written_names_the_run(uri: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = Tracking(uri, artifacts=str(tmp_path / "file"), owner_tag="optaic-here")
    wanted = training()
    with pytest.raises(TrackingError, match=f"could not log the training run {wanted.prefect_run}: .*Not a directory"):
        blocked.log(blocked.ensure("blocked").id, wanted)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://me:hidden-word@mlflow.example:5000", "http://me:***@mlflow.example:5000"),
        ("http://me:hid@den/word@mlflow.example", "http://me:***@mlflow.example"),
        ("https://hidden-token@mlflow.example", "https://***@mlflow.example"),
        ("postgresql://db/x?user=me&password=hidden-word", "postgresql://db/x?user=me&password=***"),
        ("databricks", "databricks"),
    ],
)
def test_passwords_are_not_shown(uri: str, expected: str) -> None:
    assert redacted(uri) == expected


def test_passwords_in_what_mlflow_says_are_not_shown() -> None:
    uri = "http://me:hidden-word@127.0.0.1:1"
    with pytest.raises(TrackingError) as caught:
        Tracking(uri, artifacts="/nowhere", owner_tag="optaic-here").find("alpha")
    assert "http://me:***@127.0.0.1:1" in str(caught.value)
    assert "hidden-word" not in str(caught.value)
    with pytest.raises(TrackingError) as caught, translated("databricks", "be opened"):
        raise OSError(f"API request to {uri}/api/2.0/mlflow failed")
    assert "API request to http://me:***@127.0.0.1:1/api" in str(caught.value)


def test_what_was_deleted_in_mlflow_is_said_to_be_gone(tracking: Tracking, uri: str) -> None:
    with pytest.raises(DeletedInMlflow) as caught, translated(uri, "read the model 'gone'"):
        tracking._client.get_run("f" * 32)
    message = str(caught.value)
    assert "could not read the model 'gone': Run with id=ffff" in message
    assert "It was deleted there: restore it in MLflow." in message
    assert "Check that it runs" not in message
