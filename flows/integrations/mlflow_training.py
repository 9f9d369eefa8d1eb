"""What one training leaves in MLflow: a run with parameters, metrics, pictures, its reference and the model."""

import hashlib
import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from definitions.contract import Regressor
from flows.integrations.mlflow_client import fluent
from research.frames.pictures import Picture

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

PREFECT_RUN = "optaic.prefect_run"
PREFECT_URL = "optaic.prefect_url"
MODEL_ID = "optaic.model_id"
CONTENT = "optaic.content"
REFERENCE = "reference.parquet"

_AT_ONCE = 100  # params in a request, the fewest of what MLflow takes
_EXAMPLE_ROWS = 100
# Said here: MLflow would look for them by loading the model in a process of its own, for 15 s.
_REQUIREMENTS = ("scikit-learn", "cloudpickle", "numpy", "pandas")


@dataclass(frozen=True)
class Training:
    """A fitted model and all that is to be kept of its training.

    `reference` has a row for each observation: the columns `features` (float64), `prediction` and `target`;
    monitoring compares with it. `folds` are the metrics of each fold of the validation, in its order; they
    become steps of the metrics `fold_...`. `requirements` are packages, as pip takes them, that the model
    needs beyond scikit-learn, NumPy and pandas. `tags` are kept with the run.
    """

    prefect_run: UUID
    model: Regressor
    features: Sequence[str]
    reference: "pd.DataFrame"
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    folds: Sequence[Mapping[str, float]] = ()
    pictures: Sequence[Picture] = ()
    requirements: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    prefect_url: str | None = None

    @property
    def content(self) -> str:
        """Hash of what tells this training from another one of the same Prefect run."""
        told = [
            sorted((name, str(value)) for name, value in self.params.items()),
            sorted(self.metrics.items()),
            [sorted(fold.items()) for fold in self.folds],
            sorted(self.tags.items()),
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def log(client: "MlflowClient", uri: str, experiment_id: str, training: Training) -> str:
    """Write a training down and return the id of its run in MLflow.

    One Prefect run has one run here: tried again with the same result it is left as it is; what an
    attempt that was cut short or had another result has left gives way, unless a registered version needs it.
    """
    earlier = client.search_runs([experiment_id], f"tags.`{PREFECT_RUN}` = '{training.prefect_run}'")
    for run in earlier:
        if run.info.status == "FINISHED" and run.data.tags.get(CONTENT) == training.content:
            return str(run.info.run_id)
    for run in earlier:
        if not client.search_model_versions(f"run_id = '{run.info.run_id}'"):
            client.delete_run(run.info.run_id)
    run = client.create_run(experiment_id, run_name=training.name, tags=_tags(training))
    _write(client, uri, run, training)
    return str(run.info.run_id)


def _write(client: "MlflowClient", uri: str, run: "Run", training: Training) -> None:
    import mlflow

    run_id = run.info.run_id
    with fluent(uri), mlflow.start_run(run_id=run_id):  # FINISHED at its end, FAILED on an error
        with tempfile.TemporaryDirectory() as folder:
            _write_files(Path(folder), training)
            client.log_artifacts(run_id, folder)
        model_id = _log_model(training)
        client.set_tag(run_id, MODEL_ID, model_id)
        # After the model, which they are metrics of too: MLflow would log those of before once more.
        _log_values(client, run_id, training, model_id)


def _tags(training: Training) -> dict[str, str]:
    linked = {PREFECT_RUN: str(training.prefect_run), CONTENT: training.content}
    if training.prefect_url:
        linked |= {PREFECT_URL: training.prefect_url, "mlflow.note.content": f"[Prefect run]({training.prefect_url})"}
    return {**training.tags, **linked}


def _log_values(client: "MlflowClient", run_id: str, training: Training, model_id: str) -> None:
    from mlflow.entities import Param

    params = [Param(name, str(value)) for name, value in training.params.items()]
    metrics = list(_metrics(training, run_id, model_id))
    for start in range(0, len(params), _AT_ONCE):
        client.log_batch(run_id, params=params[start : start + _AT_ONCE])
    for start in range(0, len(metrics), _AT_ONCE):
        client.log_batch(run_id, metrics=metrics[start : start + _AT_ONCE])


def _metrics(training: Training, run_id: str, model_id: str) -> "Iterator[Metric]":
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    steps = [(0, training.metrics)]
    steps += [
        (step, {f"fold_{name}": value for name, value in fold.items()}) for step, fold in enumerate(training.folds)
    ]
    for step, metrics in steps:
        for name, value in metrics.items():
            yield Metric(name, float(value), now, step, model_id=model_id, run_id=run_id)


def _write_files(folder: Path, training: Training) -> None:
    training.reference.to_parquet(folder / REFERENCE)
    for number, picture in enumerate(training.pictures, start=1):
        slug = re.sub(r"[^a-z0-9]+", "-", picture.title.lower()).strip("-") or "picture"
        (folder / f"{number:02}-{slug}.png").write_bytes(picture.png)


def _log_model(training: Training) -> str:
    """Log the model of the active run and return its id."""
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.base import BaseEstimator

    example = training.reference[list(training.features)].head(_EXAMPLE_ROWS)
    signature = infer_signature(example, training.model.predict(example))
    needs = [*(f"{name}=={version(name)}" for name in _REQUIREMENTS), *training.requirements]
    shared = {"name": "model", "signature": signature, "pip_requirements": needs}
    if isinstance(training.model, BaseEstimator):
        form = mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE
        info = mlflow.sklearn.log_model(training.model, serialization_format=form, **shared)
    else:
        info = mlflow.pyfunc.log_model(python_model=_python_model(training.model), **shared)
    return str(info.model_id)


def _python_model(model: Regressor) -> object:
    from mlflow.pyfunc.model import PythonModel

    class Predictor(PythonModel):  # made here, it is pickled whole: MLflow can load it without us
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return model.predict(model_input)

    return Predictor()
