"""Flows of models: `train` looks for a better champion, `infer` predicts with it, `monitor` looks for drift."""

from prefect import State
from prefect.utilities.urls import url_for

from definitions.contract import FlowKind
from definitions.work.metric_names import under_both_names
from definitions.work.models import inference, training
from definitions.work.models.drift import Drift, drift_outcome
from definitions.work.models.monitoring import monitored_rows, rows_before
from definitions.work.models.training import TrainingResult
from definitions.work.models.training_outcome import training_metrics, training_outcome
from definitions.work.models.training_table import training_table
from definitions.work.outcome import Event, Outcome
from flows.integrations.mlflow_tracking import Training
from flows.integrations.page_links import page_link
from flows.running import champion
from flows.running.context import Context, PinnedModel
from flows.running.events import DRIFT_DETECTED
from flows.running.frame import Options, flow_of, guarded_run
from instances.specification.fields import OnStale
from instances.specification.specs import ModelSpec


def train_model(context: Context) -> Outcome:
    """Train and validate a model, log it, register it as a version, and promote it if the rule says so."""
    spec, services, kept_as = _spec(context), context.services, context.applied.kept_as
    with context.writing():
        experiment = services.tracking.ensure(kept_as)  # before the work, which would be in vain without it
    module, features, prices = context.module, context.in_role("features"), context.needed("prices")
    rows = training_table(features, prices, target=spec.target.spec, missing=context.missing)
    trained = training.train(module, rows, spec.validation.windows)
    with context.writing():
        run_id = services.tracking.log(experiment.id, _training(context, trained))
    challenge = champion.challenge(services, kept_as, run_id, trained, spec.promotion, writing=context.writing)
    place = f"#/experiments/{experiment.id}/runs/{run_id}"
    return training_outcome(
        trained,
        challenge,
        page=page_link(services.platform.mlflow_link, place, "The run in MLflow"),
        handles={"mlflow_experiment_id": experiment.id},
    )


def infer_model(context: Context) -> Outcome:
    """Write the predictions of the pinned champion as a version of the model's rows."""
    pinned, tracking = _champion(context), context.services.tracking
    return inference.infer(
        tracking.load_model(pinned.registered_name, pinned.version),
        champion.reference_of(tracking, pinned.registered_name, pinned.version),
        context.store,
        features=context.in_role("features"),
        missing=context.missing,
    )


def monitor_model(context: Context) -> Outcome:
    """Compare the newest features and predictions with the training's, and tell of drift."""
    spec, pinned, services = _spec(context), _champion(context), context.services
    trained_on = champion.reference_of(services.tracking, pinned.registered_name, pinned.version)
    current = monitored_rows(
        context.in_role("features"),
        context.needed("predictions"),
        context.needed("prices"),
        target=spec.target.spec,
        window_days=spec.monitoring.window_days,
        missing=context.missing,
    )
    reference, features = rows_before(trained_on, current), inference.feature_names(trained_on)
    with context.writing():
        drift = services.monitoring.check(
            context.applied.kept_as,
            prefect_run=context.run_id,
            current=current.to_pandas(),
            reference=reference.to_pandas(),
            features=features,
            rules=spec.monitoring,
        )
    place = f"projects/{services.monitoring.project_id(context.applied.kept_as)}/reports/{drift.snapshot_id}"
    return drift_outcome(
        drift,
        current,
        reference,
        features=features,
        page=page_link(services.platform.evidently_link, place, "The report in Evidently"),
        events=(_drift_event(drift, pinned),) if drift.drifted else (),
    )


def _spec(context: Context) -> ModelSpec:
    assert isinstance(context.applied.spec, ModelSpec)
    return context.applied.spec


def _champion(context: Context) -> PinnedModel:
    return next(model for model in context.models if model.role == "champion")


def _training(context: Context, trained: TrainingResult) -> Training:
    spec, definition = _spec(context), context.configured.definition
    settings = {"target": spec.target, "validation": spec.validation, "promotion": spec.promotion}
    params = {f"{name}.{key}": value for name, each in settings.items() for key, value in each.model_dump().items()}
    read = {f"reads.{each.role}.{each.instance}": str(each.version) for each in context.inputs}
    return Training(
        prefect_run=context.run_id,
        model=trained.model,
        features=trained.feature_names,
        reference=trained.reference.to_pandas(),
        params={
            "definition": f"{definition.name}@{definition.version}",
            **{f"config.{key}": value for key, value in context.configured.config.items()},
            **params,
            # Short: it is only ever compared.
            **{f"features.{name}": made_by[:12] for name, made_by in context.made_by.items()},
        },
        metrics=under_both_names(FlowKind.TRAIN, training_metrics(trained)),
        folds=[fold.metrics for fold in trained.folds],
        pictures=trained.pictures,
        requirements=definition.requirements,
        tags=read,
        name=f"train {str(context.run_id)[:8]}",
        prefect_url=url_for("flow-run", context.run_id),
    )


def _drift_event(drift: Drift, pinned: PinnedModel) -> Event:
    return Event(
        DRIFT_DETECTED,
        FlowKind.TRAIN,
        {"share": drift.share, "columns": list(drift.drifted_columns), "version": pinned.version, "report": drift.page},
    )


@flow_of(FlowKind.TRAIN)
async def train(instance: str, on_stale: OnStale | None = None, force: bool = False) -> State[None]:
    """Train a model and validate it by walking forward, when every upstream flow is READY.

    Args:
        instance: The instance that this deployment belongs to.
        on_stale: What to do when an upstream is not READY; the instance's own setting when left out.
        force: Go on whatever the guard says, also when there is nothing new. Recorded with the run.
    """
    options = Options(on_stale=on_stale, force=force)
    return await guarded_run(FlowKind.TRAIN, instance, train_model, options, recording=champion.settled)


@flow_of(FlowKind.INFER)
async def infer(instance: str, on_stale: OnStale | None = None, force: bool = False) -> State[None]:
    """Write the champion's predictions, when its features are READY and it is not too old.

    Args:
        instance: The instance that this deployment belongs to.
        on_stale: What to do when an upstream is not READY; the instance's own setting when left out.
        force: Go on whatever the guard says, also when there is nothing new. Recorded with the run.
    """
    return await guarded_run(FlowKind.INFER, instance, infer_model, Options(on_stale=on_stale, force=force))


@flow_of(FlowKind.MONITOR)
async def monitor(instance: str, on_stale: OnStale | None = None, force: bool = False) -> State[None]:
    """Compare what the champion is asked with what it was trained on, when all that is READY.

    Args:
        instance: The instance that this deployment belongs to.
        on_stale: What to do when an upstream is not READY; the instance's own setting when left out.
        force: Go on whatever the guard says, also when there is nothing new. Recorded with the run.
    """
    return await guarded_run(FlowKind.MONITOR, instance, monitor_model, Options(on_stale=on_stale, force=force))
