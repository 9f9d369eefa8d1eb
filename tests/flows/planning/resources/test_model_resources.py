"""What a model has outside Prefect: its MLflow experiment and its Evidently project, on the real servers."""

from pathlib import Path

import pytest

from flows.integrations.mlflow_tracking import Tracking
from instances.errors import InvalidSpec
from instances.plans.plan import Action
from tests.flows.chain import chain
from tests.flows.lab import Lab, Play
from tests.flows.recorded import SIGNALS, model_row, steps

OF_MODELS = ("MLflow experiment", "Evidently project")


def test_a_model_has_its_experiment_and_its_project_from_the_apply_on(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        specs, name = chain(lab.prefix, tmp_path, (*SIGNALS, "returns")), lab.prefix + "returns"
        plan = await lab.bootstrap(manifest=specs)
        assert steps(plan, *OF_MODELS) == [(Action.CREATE, kind, name) for kind in OF_MODELS]
        tracking, monitoring = lab.services.tracking, lab.services.monitoring
        experiment, project = tracking.find(name), monitoring.find(name)
        assert experiment is not None
        assert project is not None
        row = model_row(lab)
        assert (row.mlflow_experiment_id, row.evidently_project_id) == (experiment.id, str(project.id))
        assert steps((await lab.plan(manifest=specs)).plan) == []

        tracking.delete_experiment(name)
        monitoring.delete(name)
        changeset = (await lab.plan(manifest=specs)).plan
        assert steps(changeset) == [
            (Action.UPDATE, "MLflow experiment", name),
            (Action.CREATE, "Evidently project", name),
        ]
        await lab.bootstrap(manifest=specs)
        assert tracking.find(name) == experiment
        assert monitoring.find(name) == project
        assert steps((await lab.plan(manifest=specs)).plan) == []

        lab.services.writer.set_handle(name, "mlflow_experiment_id", None)
        assert steps((await lab.plan(manifest=specs)).plan) == [(Action.UPDATE, "MLflow experiment", name)]
        deleted = tuple(spec.name for spec in specs)
        await lab.bootstrap(destroy=deleted)
        assert tracking.find(name) == experiment  # they stay unless asked
        await lab.bootstrap(manifest=specs)
        assert model_row(lab).mlflow_experiment_id == experiment.id
        await lab.bootstrap(destroy=deleted, data=True)
        left = tracking.find(name)
        assert left is not None
        assert left.deleted
        assert monitoring.find(name) is None

    play(scenario)


def test_a_foreign_experiment_of_the_same_name_is_a_problem(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        name = lab.prefix + "returns"
        lab.services.tracking._client.create_experiment(name)
        with pytest.raises(InvalidSpec, match=f"has the experiment '{name}', which was not made from this"):
            await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns")))

    play(scenario)


def test_what_a_model_has_left_is_looked_for_by_its_name(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(lab: Lab) -> None:
        name, specs = lab.prefix + "returns", chain(lab.prefix, tmp_path, (*SIGNALS, "returns"))
        await lab.bootstrap(manifest=specs)
        experiment = lab.services.tracking.find(name)
        assert experiment is not None
        for handle in ("mlflow_experiment_id", "evidently_project_id"):
            lab.services.writer.set_handle(name, handle, None)
        changeset = (await lab.plan(destroy=(name,), data=True)).plan
        (step,) = [step for step in changeset.changes if step.kind == "data"]
        assert {(change.field, change.before) for change in step.changes} == {
            ("mlflow_experiment_id", experiment.id),
            ("evidently_project_id", str(lab.services.monitoring.project_id(name))),
        }
        dead = Tracking("http://127.0.0.1:1", artifacts="/nowhere", owner_tag=lab.services.owner_tag)
        monkeypatch.setitem(vars(lab.services), "tracking", dead)
        with pytest.raises(InvalidSpec, match=r"returns: MLflow at http://127\.0\.0\.1:1 could not list experiments"):
            await lab.plan(destroy=(name,), data=True)

    play(scenario)
