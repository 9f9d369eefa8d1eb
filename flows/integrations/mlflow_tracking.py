"""MLflow: the experiments of model instances, their training runs, and the registry with its champions."""

import datetime as dt
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from definitions.addresses import redacted
from definitions.contract import Regressor
from flows.integrations.mlflow_client import DeletedInMlflow, TrackingError, fluent, is_database, opened, translated
from flows.integrations.mlflow_training import MODEL_ID, REFERENCE, Training, log
from instances.errors import SHOWN, OptaicError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Experiment as MlflowExperiment
    from mlflow.entities.model_registry import RegisteredModel

__all__ = [
    "DeletedInMlflow",
    "Experiment",
    "ModelVersion",
    "NoSuchVersion",
    "NotOurs",
    "Tracking",
    "TrackingError",
    "Training",
]

OWNER_TAG = "optaic.mark"  # the tag that says which installation made a thing
CHAMPION, PREVIOUS = "champion", "previous"  # the aliases
PROMOTED_AT, PROMOTED_BY = "optaic.promoted_at", "optaic.promoted_by"  # tags of a version
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # else MLflow's page shows what is for chatbots


class NotOurs(OptaicError):
    """A name in MLflow is taken by something that this installation did not make."""

    def __init__(self, what: str, name: str, uri: str) -> None:
        super().__init__(
            f"MLflow at {redacted(uri)} has the {what} {name!r}, which was not made from this extension database. "
            "It is left alone: rename it in MLflow, or give the instance another name."
        )


class NoSuchVersion(OptaicError):
    """The registered model has no version of that number."""

    def __init__(self, name: str, version: str, known: list[str]) -> None:
        listed = ", ".join(known[:SHOWN]) or "none"
        super().__init__(f"model {name!r} has no version {version!r}; there are: {listed}. Say one of those.")


@dataclass(frozen=True)
class Experiment:
    """An experiment; a deleted one keeps its name, and can be restored."""

    id: str
    name: str
    ours: bool
    deleted: bool


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model, with the run that trained it and that run's metrics and parameters."""

    model: str
    version: str
    run_id: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]


class Tracking:
    """MLflow at one URI. `artifacts` is where models and pictures lie when that is a database.

    All methods raise `TrackingError` when MLflow does not answer.
    """

    def __init__(self, uri: str, *, artifacts: str, owner_tag: str) -> None:
        self._uri = uri
        self._artifacts = artifacts
        self._owner_tag = owner_tag
        self._client = opened(uri)

    # Experiments

    def experiments(self) -> Mapping[str, Experiment]:
        """Return those that this installation made, by name, the deleted ones too."""
        from mlflow.entities import ViewType

        with self._translated("list experiments"):
            found = _pages(
                self._client.search_experiments,
                view_type=ViewType.ALL,
                filter_string=f"tags.`{OWNER_TAG}` = '{self._owner_tag}'",
            )
            return {each.name: self._experiment(each) for each in found}

    def find(self, name: str) -> Experiment | None:
        """Return the experiment of that name, whosever it is, deleted or not."""
        with self._translated(f"look for the experiment {name!r}"):
            found = self._client.get_experiment_by_name(name)
            return None if found is None else self._experiment(found)

    def taken(self, name: str) -> NotOurs | None:
        """Return why an experiment or a registered model of that name can't be ours; None when they can."""
        found = self.find(name)
        if found is not None and not found.ours:
            return NotOurs("experiment", name, self._uri)
        with self._translated(f"look for the registered model {name!r}"):
            model = self._find_model(name)
            return None if model is None or self._is_ours(model) else NotOurs("registered model", name, self._uri)

    def ensure(self, name: str) -> Experiment:
        """Return our experiment of that name: found, restored, or made.

        Raises `NotOurs` when somebody else's experiment or registered model has the name.
        """
        from mlflow.exceptions import MlflowException

        if taken := self.taken(name):
            raise taken
        with self._translated(f"make the experiment {name!r}"):
            if self.find(name) is None:
                try:
                    self._client.create_experiment(name, self._location(name), {OWNER_TAG: self._owner_tag, **_KIND})
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was quicker
                        raise
            found = self._own(name)
            if found.deleted:
                self._client.restore_experiment(found.id)
            return Experiment(found.id, name, ours=True, deleted=False)

    def delete_experiment(self, name: str) -> None:
        """Delete our experiment, so that it can be restored; nothing where there is none. Raises `NotOurs`."""
        with self._translated(f"delete the experiment {name!r}"):
            found = self.find(name)
            if found is not None and not self._own(name).deleted:
                self._client.delete_experiment(found.id)

    # Runs

    def log(self, experiment_id: str, training: Training) -> str:
        """Write a training down and return the id of its run in MLflow, the one run of its Prefect run.

        Tried again with the same result it is left as it is; what an attempt that was cut short or had
        another result has left gives way, unless a registered version needs it.
        """
        with self._translated(f"log the training run {training.prefect_run}"):
            return log(self._client, self._uri, experiment_id, training)

    # The registry

    def register(self, name: str, run_id: str) -> ModelVersion:
        """Make the model of a run a version of the registered model, only once. Raises `NotOurs`."""
        with self._translated(f"register the model {name!r}"), fluent(self._uri):
            self._ensure_model(name)
            known = self._client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
            if known:
                return self._version(known[0])
            model_id = self._client.get_run(run_id).data.tags[MODEL_ID]
            source = f"models:/{model_id}"
            return self._version(self._client.create_model_version(name, source, run_id=run_id, model_id=model_id))

    def promote(self, name: str, version: str, *, by: str) -> None:
        """Make a version the champion, and the one before it `previous`; tags of it say when, and `by` whom or what.

        Raises `NotOurs`, `NoSuchVersion`.
        """
        self.version(name, version)
        with self._translated(f"promote version {version} of the model {name!r}"):
            before = _aliases(self._ensure_model(name)).get(CHAMPION)
            if before == version:
                return
            if before is not None:
                self._client.set_registered_model_alias(name, PREVIOUS, before)
            for tag, value in ((PROMOTED_AT, dt.datetime.now(dt.UTC).isoformat(timespec="seconds")), (PROMOTED_BY, by)):
                self._client.set_model_version_tag(name, version, tag, value)
            self._client.set_registered_model_alias(name, CHAMPION, version)

    def champions(self) -> Mapping[str, str]:
        """Return the champions of the models that this installation made: versions, by the models' names."""
        with self._translated("list registered models"):
            found = _pages(
                self._client.search_registered_models, filter_string=f"tags.`{OWNER_TAG}` = '{self._owner_tag}'"
            )
            named = {model.name: _aliases(model).get(CHAMPION) for model in found}
        return {name: version for name, version in named.items() if version is not None}

    def champion(self, name: str) -> ModelVersion | None:
        """Return the version that was promoted last, if any was."""
        return self._by_alias(name, CHAMPION)

    def previous(self, name: str) -> ModelVersion | None:
        """Return the version that was the champion before, if there was one."""
        return self._by_alias(name, PREVIOUS)

    def version(self, name: str, version: str) -> ModelVersion:
        """Return a version of a registered model. Raises `NoSuchVersion`."""
        with self._translated(f"read the model {name!r}"):
            found = {str(each.version): each for each in _pages(self._client.search_model_versions, f"name = '{name}'")}
            if version not in found:
                raise NoSuchVersion(name, version, sorted(found, key=int, reverse=True))
            return self._version(found[version])

    def load_model(self, name: str, version: str) -> Regressor:
        """Return a fitted model; it predicts from a frame that holds the columns that it was fitted on."""
        from mlflow import pyfunc

        with self._translated(f"load version {version} of the model {name!r}"), fluent(self._uri):
            loaded: Regressor = pyfunc.load_model(f"models:/{name}/{version}")
            return loaded

    def reference(self, name: str, version: str) -> "pd.DataFrame":
        """Return the frame that a version was trained on: its features, `prediction` and `target`."""
        import pandas as pd

        run_id = self.version(name, version).run_id
        doing = f"read the reference of version {version} of the model {name!r}"
        with self._translated(doing), tempfile.TemporaryDirectory() as folder:
            return pd.read_parquet(self._client.download_artifacts(run_id, REFERENCE, folder))

    def delete_model(self, name: str) -> None:
        """Delete our registered model with all its versions; nothing where there is none. Raises `NotOurs`."""
        with self._translated(f"delete the registered model {name!r}"):
            if self._find_model(name) is not None:
                self._ensure_model(name)
                self._client.delete_registered_model(name)

    # Within

    def _translated(self, doing: str) -> AbstractContextManager[None]:
        return translated(self._uri, doing)

    def _location(self, name: str) -> str | None:
        return f"{self._artifacts.rstrip('/')}/{name}" if is_database(self._uri) else None

    def _experiment(self, found: "MlflowExperiment") -> Experiment:
        ours = found.tags.get(OWNER_TAG) == self._owner_tag
        return Experiment(found.experiment_id, found.name, ours=ours, deleted=found.lifecycle_stage == "deleted")

    def _own(self, name: str) -> Experiment:
        found = self.find(name)
        if found is None or not found.ours:
            raise NotOurs("experiment", name, self._uri)
        return found

    def _find_model(self, name: str) -> "RegisteredModel | None":
        found = self._client.search_registered_models(f"name = '{name}'")
        return found[0] if found else None

    def _ensure_model(self, name: str) -> "RegisteredModel":
        from mlflow.exceptions import MlflowException

        model = self._find_model(name)
        if model is None:
            try:
                model = self._client.create_registered_model(name, tags={OWNER_TAG: self._owner_tag})
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was quicker
                    raise
                model = self._client.get_registered_model(name)
        if not self._is_ours(model):
            raise NotOurs("registered model", name, self._uri)
        return model

    def _is_ours(self, model: "RegisteredModel") -> bool:
        return bool(model.tags.get(OWNER_TAG) == self._owner_tag)

    def _by_alias(self, name: str, alias: str) -> ModelVersion | None:
        with self._translated(f"read the model {name!r}"):
            model = self._find_model(name)
            version = None if model is None else _aliases(model).get(alias)
        return None if version is None else self.version(name, version)

    def _version(self, found: Any) -> ModelVersion:
        data = self._client.get_run(found.run_id).data
        return ModelVersion(found.name, str(found.version), found.run_id, data.metrics, data.params)


def _aliases(model: "RegisteredModel") -> dict[str, str]:
    return {alias: str(version) for alias, version in model.aliases.items()}


def _pages(search: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
    """Return all that a search of MLflow finds; it answers page by page."""
    token = None
    while True:
        page = search(*args, **kwargs, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
