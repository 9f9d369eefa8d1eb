"""Flows of models: `train` looks for a better champion, `infer` asks it, `monitor` watches what it is asked."""

import polars as pl
from prefect import State
from prefect.utilities.urls import url_for

from definitions.contract import FlowKind
from definitions.work.models import inference, training
from definitions.work.models.monitoring import monitored_rows, rows_before
from definitions.work.models.training import TrainingResult
from definitions.work.models.training_table import training_table
from definitions.work.outcome import Event, Outcome, table
from flows.integrations.evidently_drift import Drift, DriftRules
from flows.integrations.mlflow_tracking import Training
from flows.running import champion
from flows.running.champion import Challenge
from flows.running.context import Context, PinnedModel
from flows.running.events import DRIFT_DETECTED
from flows.running.frame import Options, flow_of, guarded_run
from instances.specification.specs import ModelSpec, OnStale

COUNTS = ("rows", "ic_dates")
FOLD_METRICS = ("rows", "rmse", "ic_mean", "ic_ratio")


def train_model(context: Context) -> Outcome:
    """Train and validate a model, log it, register it as a version, and promote it if the rule says so."""
    spec, name = _spec(context), context.applied.spec.name
    tracking = context.services.tracking
    experiment = tracking.ensure(name)  # before the work, which would be in vain without it
    rows = training_table(
        context.in_role("features"), context.needed("prices"), target=spec.target.spec, missing=context.missing
    )
    trained = training.train(context.module, rows, spec.validation.windows)
    run_id = tracking.log(experiment.id, _training(context, trained))
    told = champion.challenge(context.services, name, run_id, trained, spec.promotion)
    page = link(
        context.services.platform.mlflow_link, f"#/experiments/{experiment.id}/runs/{run_id}", "The run in MLflow"
    )
    return Outcome(
        version=told.champion.version if told.champion else None,
        message=told.message,
        metrics={
            **trained.metrics,
            "training_rows": float(trained.training_rows),
            "promoted": float(told.verdict.promote),
        },
        facts={"trained_version": told.candidate.version, "verdict": told.message},
        summary=_training_summary(trained, told, page),
        pictures=trained.pictures,
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
    spec, pinned, tracking = _spec(context), _champion(context), context.services.tracking
    name, settings = spec.name, spec.monitoring
    trained_on = champion.reference_of(tracking, pinned.registered_name, pinned.version)
    current = monitored_rows(
        context.in_role("features"),
        context.needed("predictions"),
        context.needed("prices"),
        target=spec.target.spec,
        window_days=settings.window_days,
        missing=context.missing,
    )
    drift = context.services.monitoring.check(
        name,
        prefect_run=context.run_id,
        current=current.to_pandas(),
        reference=rows_before(trained_on, current).to_pandas(),
        features=inference.feature_names(trained_on),
        rules=DriftRules(column_threshold=settings.column_threshold, share=settings.share),
    )
    return Outcome(
        version=None,
        metrics={
            "drifted": float(drift.drifted),
            "drift_share": drift.share,
            **{f"drift_{column}": score for column, score in drift.scores.items()},
            **drift.performance,
            "rows": float(drift.rows),
        },
        summary=_drift_summary(
            drift,
            current,
            link(
                context.services.platform.evidently_link,
                f"projects/{context.services.monitoring.project_id(name)}/reports/{drift.snapshot_id}",
                "The report in Evidently",
            ),
        ),
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
        },
        metrics=trained.metrics,
        folds=[fold.metrics for fold in trained.folds],
        pictures=trained.pictures,
        requirements=definition.requirements,
        tags=read,
        name=f"train {str(context.run_id)[:8]}",
        prefect_url=url_for("flow-run", context.run_id),
    )


def link(page: str | None, path: str, text: str) -> str:
    """Return a Markdown link to a place of a page of other software; a hint where no such page is known."""
    if page is None:
        return f"{text}: `optaic up --with-ui` starts its page."
    return f"[{text}]({page.rstrip('/')}/{path})"


def _training_summary(trained: TrainingResult, told: Challenge, run: str) -> str:
    metrics = pl.DataFrame([{"metric": name, "value": _shown(name, value)} for name, value in trained.metrics.items()])
    return "\n".join(
        [
            f"**{told.message}**",
            "",
            run,
            "",
            f"Trained on {trained.training_rows:,} rows of {', '.join(trained.feature_names)}; "
            f"out of sample, over {len(trained.folds)} folds:",
            "",
            *table(metrics),
            "",
            *table(_folds(trained)),
        ]
    )


def _folds(trained: TrainingResult) -> pl.DataFrame:
    """Return what is shown of each fold: no wider than an artifact's page."""
    return pl.DataFrame(
        [
            {"test dates": f"{fold['test_first']} to {fold['test_last']}"}
            | {name: _shown(name, fold.get(name)) for name in FOLD_METRICS}
            for fold in trained.fold_table.iter_rows(named=True)
        ]
    )


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if name in COUNTS else f"{value:.4g}"


def _drift_summary(drift: Drift, current: pl.DataFrame, report: str) -> str:
    first, last = current["date"].min(), current["date"].max()
    scores = pl.DataFrame(
        [
            {"column": name, "distance": f"{score:.4f}", "drifted": "yes" if name in drift.drifted_columns else "no"}
            for name, score in drift.scores.items()
        ]
    )
    return "\n".join(
        [
            f"**{'Drift' if drift.drifted else 'No drift'}**: {drift.share:.0%} of the features have drifted; "
            f"{drift.rows:,} rows of {first!s} to {last!s} beside {drift.reference_rows:,} of the training.",
            "",
            report,
            "",
            f"As a file: `{drift.page}`",
            "",
            *table(scores),
            "",
            *(f"- {name} {value:.6g}" for name, value in drift.performance.items()),
        ]
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
    return await guarded_run(FlowKind.TRAIN, instance, train_model, Options(on_stale=on_stale, force=force))


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
