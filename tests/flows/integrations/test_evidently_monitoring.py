"""The adapter to Evidently, on real workspaces: a folder, and its own service."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pandas as pd
import pytest
from evidently.sdk.models import ProjectModel
from evidently.ui.workspace import Workspace

from definitions.work.models.model_settings import DriftSettings
from flows.integrations.evidently_drift import MOST_ROWS, NothingToCompare, prepared
from flows.integrations.evidently_monitoring import Monitoring, MonitoringError, Project
from prefect_optaic.stack.machine.ports import HOST, choose

FEATURES = ("momentum", "reversal", "volume")
RULES = DriftSettings(column_threshold=0.1, share=0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evidently"


@pytest.fixture
def monitoring(folder: Path) -> Monitoring:
    return Monitoring(str(folder), owner_tag="optaic-here")


def rows(count: int = 2000, *, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.normal(size=(count, 3)), columns=list(FEATURES))
    frame[["momentum", "reversal"]] += shift
    target = frame.momentum * 0.5 + random.normal(scale=0.1, size=count)
    return frame.assign(prediction=frame.momentum * 0.5, target=target)


# Projects


def test_a_project_is_made_once_and_carries_the_mark(monitoring: Monitoring, folder: Path) -> None:
    assert monitoring.find("alpha") is None
    made = monitoring.ensure("alpha")
    assert made.id == monitoring.project_id("alpha")
    assert monitoring.ensure("alpha") == made == monitoring.find("alpha")
    assert dict(monitoring.projects()) == {"alpha": made}
    (project,) = Workspace(str(folder)).list_projects()
    assert project.description == "Monitoring of the model instance alpha [optaic-here]"
    assert [panel.title for panel in project.dashboard.model().panels] == [
        "Share of drifted columns",
        "Errors of prediction",
    ]


def test_another_installation_has_projects_of_its_own(monitoring: Monitoring, folder: Path) -> None:
    other = Monitoring(str(folder), owner_tag="optaic-there")
    assert other.ensure("alpha").id != monitoring.ensure("alpha").id
    assert list(monitoring.projects()) == ["alpha"]
    other.delete("alpha")
    other.delete("alpha")
    assert monitoring.find("alpha") is not None


def test_half_a_project_of_a_killed_process_is_made_whole(monitoring: Monitoring, folder: Path) -> None:
    half = folder / str(monitoring.project_id("alpha"))
    half.mkdir()
    assert dict(monitoring.projects()) == {}
    (half / "metadata.json").write_text('{"id": ')
    assert dict(monitoring.projects()) == {}
    assert monitoring.ensure("alpha").id == UUID(half.name)
    assert list(monitoring.projects()) == ["alpha"]


@pytest.mark.parametrize("left", ["", '{"id": '])
def test_a_workspace_with_half_files_of_a_killed_process_is_opened(folder: Path, left: str) -> None:
    before = Monitoring(str(folder), owner_tag="optaic-here")
    alpha, beta = before.ensure("alpha"), before.ensure("beta")
    (folder / str(alpha.id) / "metadata.json").write_text(left)
    half = folder / str(beta.id) / "snapshots" / f"{uuid4()}.json"
    half.parent.mkdir(exist_ok=True)
    half.write_text(left)
    after = Monitoring(str(folder), owner_tag="optaic-here")
    assert list(after.projects()) == ["beta"]
    assert after.ensure("alpha") == alpha
    assert set(Monitoring(str(folder), owner_tag="optaic-here").projects()) == {"alpha", "beta"}


def test_a_project_without_its_panels_is_made_whole(monitoring: Monitoring, folder: Path) -> None:
    name, id_ = "alpha", monitoring.project_id("alpha")
    Workspace(str(folder)).add_project(ProjectModel(id=id_, name=name, description="Half made [optaic-here]"))
    assert monitoring.projects()["alpha"] == Project(id_, name, whole=False)
    assert monitoring.ensure("alpha") == monitoring.projects()["alpha"] == Project(id_, name, whole=True)
    (project,) = Workspace(str(folder)).list_projects()
    assert len(project.dashboard.model().panels) == 2


# Drift


def test_shifted_rows_have_drifted_and_others_have_not(monitoring: Monitoring, folder: Path) -> None:
    reference = rows()
    calm = monitoring.check(
        "alpha", prefect_run=uuid4(), current=rows(seed=1), reference=reference, features=FEATURES, rules=RULES
    )
    assert (calm.drifted, calm.share, calm.drifted_columns) == (False, 0.0, ())
    assert calm.performance["rmse"] == pytest.approx(0.1, rel=0.1)
    shifted = monitoring.check(
        "alpha",
        prefect_run=uuid4(),
        current=rows(seed=1, shift=1.0),
        reference=reference,
        features=FEATURES,
        rules=RULES,
    )
    assert shifted.drifted
    assert shifted.share == pytest.approx(2 / 3)
    assert shifted.drifted_columns == ("momentum", "reversal")
    assert shifted.scores["momentum"] == pytest.approx(1.0, abs=0.1)
    assert (shifted.rows, shifted.reference_rows) == (2000, 2000)
    assert len(Workspace(str(folder)).list_runs(monitoring.project_id("alpha"))) == 2


def test_the_performance_is_that_of_the_rows_whose_target_is_known(monitoring: Monitoring) -> None:
    current = rows(seed=1)
    current.loc[1000:, "target"] = np.nan
    known = current.dropna()
    error = known.prediction - known.target
    run, reference = uuid4(), rows()
    found = monitoring.check(
        "alpha", prefect_run=run, current=current, reference=reference, features=FEATURES, rules=RULES
    )
    assert found.performance["rmse"] == pytest.approx(float(np.sqrt((error**2).mean())))
    assert found.performance["mae"] == pytest.approx(float(error.abs().mean()))
    assert found.performance["mean_error"] == pytest.approx(float(error.mean()))
    residual, total = float((error**2).sum()), float(((known.target - known.target.mean()) ** 2).sum())
    assert found.performance["r2"] == pytest.approx(1 - residual / total)
    unknown = monitoring.check(
        "alpha",
        prefect_run=run,
        current=current.assign(target=np.nan),
        reference=reference,
        features=FEATURES,
        rules=RULES,
    )
    assert unknown.performance == {}
    assert unknown.scores == found.scores


def test_a_report_shows_no_percentage_of_a_target_that_is_almost_0(monitoring: Monitoring) -> None:
    current = rows(seed=1)
    current.loc[:500, "target"] = 1e-16
    found = monitoring.check(
        "alpha", prefect_run=uuid4(), current=current, reference=rows(), features=FEATURES, rules=RULES
    )
    assert set(found.performance) == {"mean_error", "mae", "rmse", "r2"}
    (file,) = (Path(found.page).parent.parent / "snapshots").iterdir()
    assert "RMSE" in file.read_text()
    assert "MAPE" not in file.read_text()


def test_a_run_tried_again_replaces_its_snapshot_and_its_report(monitoring: Monitoring, folder: Path) -> None:
    run = uuid4()
    pages = {
        monitoring.check(
            "alpha", prefect_run=run, current=rows(seed=1), reference=rows(), features=FEATURES, rules=RULES
        ).page
        for _ in range(2)
    }
    project = folder / str(monitoring.project_id("alpha"))
    assert pages == {str(project / "reports" / f"{run}.html")}
    assert [file.name for file in (project / "snapshots").iterdir()] == [f"{run}.json"]
    assert "<html" in (project / "reports" / f"{run}.html").read_text()[:1000]
    assert json.loads((project / "snapshots" / f"{run}.json").read_text())["metadata"] == {"prefect_run": str(run)}


def test_the_rules_say_what_drift_is(monitoring: Monitoring) -> None:
    shifted, reference = rows(seed=1, shift=0.3), rows()
    strict, lax = (
        monitoring.check(
            "alpha", prefect_run=uuid4(), current=shifted, reference=reference, features=FEATURES, rules=rules
        )
        for rules in (RULES.model_copy(update={"column_threshold": each}) for each in (0.2, 0.5))
    )
    assert (strict.drifted, lax.drifted) == (True, False)
    assert strict.scores == lax.scores


def test_of_many_rows_the_same_sample_is_taken_each_time() -> None:
    many = rows(MOST_ROWS * 2)
    first, second = (prepared(many, FEATURES, "the current rows") for _ in range(2))
    assert len(first) == MOST_ROWS
    pd.testing.assert_frame_equal(first, second)
    assert first.momentum.mean() == pytest.approx(many.momentum.mean(), abs=0.02)


def test_nothing_to_compare_is_said(monitoring: Monitoring) -> None:
    some = rows(10)
    with pytest.raises(NothingToCompare, match=r"drift can't be judged: the current rows are empty\. Monitor when"):
        monitoring.check(
            "alpha", prefect_run=uuid4(), current=some.head(0), reference=some, features=FEATURES, rules=RULES
        )
    with pytest.raises(NothingToCompare, match="the reference rows have no value of 'volume'"):
        prepared(some.assign(volume=np.nan), FEATURES, "the reference rows")


def test_an_error_of_the_arithmetic_is_no_error_of_the_workspace(
    monitoring: Monitoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*args: object, **kwargs: object) -> None:
        raise ValueError("array must not contain infs")

    monkeypatch.setattr("flows.integrations.evidently_monitoring.compare", wrong)
    with pytest.raises(ValueError, match=r"^array must not contain infs$"):
        monitoring.check(
            "alpha", prefect_run=uuid4(), current=rows(9), reference=rows(9), features=FEATURES, rules=RULES
        )


# A service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Evidently's own service, on an empty folder."""
    folder, port = tmp_path_factory.mktemp("service"), choose(8000)
    command = [sys.executable, "-P", "-m", "evidently.cli", "ui", "--workspace", str(folder), "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "DO_NOT_TRACK": "1"})
    try:
        deadline = time.monotonic() + 60
        while not _answers(f"http://{HOST}:{port}/api/version"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_service_keeps_projects_and_snapshots_too(service: str) -> None:
    monitoring = Monitoring(service, owner_tag="optaic-here")
    assert monitoring.find("alpha") is None
    made = monitoring.ensure("alpha")
    assert made.id == monitoring.project_id("alpha")
    assert Monitoring(service, owner_tag="optaic-here").ensure("alpha") == made
    assert dict(monitoring.projects()) == {"alpha": made}
    assert dict(Monitoring(service, owner_tag="optaic-there").projects()) == {}
    found = monitoring.check(
        "alpha", prefect_run=uuid4(), current=rows(seed=1, shift=1.0), reference=rows(), features=FEATURES, rules=RULES
    )
    assert found.drifted
    assert found.page == f"{service}/projects/{made.id}/reports/{found.snapshot_id}"
    with urllib.request.urlopen(f"{service}/api/projects/{made.id}/reports") as answer:
        assert [report["id"] for report in json.load(answer)] == [str(found.snapshot_id)]
    monitoring.delete("alpha")
    assert monitoring.find("alpha") is None


def test_a_service_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(MonitoringError) as caught:
        Monitoring("http://127.0.0.1:1", owner_tag="optaic-here")
    message = str(caught.value)
    assert message.startswith("Evidently at http://127.0.0.1:1 could not be opened: ")
    assert message.endswith("the field evidently_workspace of the Platform block says where it is.")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MonitoringError, match=r"/file could not be opened: .*File exists"):
        Monitoring(str(tmp_path / "file"), owner_tag="optaic-here")


def test_passwords_are_not_shown() -> None:
    with pytest.raises(MonitoringError) as caught:
        Monitoring("http://me:hidden-word@127.0.0.1:1", owner_tag="optaic-here")
    assert str(caught.value).startswith("Evidently at http://me:***@127.0.0.1:1 could not be opened: ")
    assert "hidden-word" not in str(caught.value)
