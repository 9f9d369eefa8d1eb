"""The champion of a model: MLflow's alias says which version it is, and the row of the last training says the same."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import polars as pl
from sqlalchemy import Engine

from definitions.work.models.inference import feature_names
from definitions.work.models.model_settings import Promotion
from definitions.work.models.training import TrainingResult
from definitions.work.models.training_outcome import Challenge
from definitions.work.outcome import Outcome
from flows.integrations.mlflow_tracking import ModelVersion, Tracking
from flows.integrations.services import Services
from instances.storage.advisory_locks import Lock, held
from instances.world.facts import RunId
from research.models.promotion_rule import Contest, Verdict, contest, promotes

HANDLE = "mlflow_registered_model_name"


def champion_lock(engine: Engine, model: str) -> AbstractContextManager[None]:
    """Keep all others waiting that promote a version of this model, or record which one is its champion."""
    return held(engine, Lock.PROMOTION, of=model)


@contextmanager
def settled(services: Services, model: str, outcome: Outcome) -> Iterator[Outcome]:
    """Yield what is recorded of a training: with the version that is the champion now, until it is recorded.

    A person may have promoted another since the run decided. Raises `TrackingError`.
    """
    with champion_lock(services.engine, model):
        champion = services.tracking.champion(model)
        handles = {**outcome.handles, **({HANDLE: champion.model} if champion else {})}
        yield replace(outcome, version=champion.version if champion else None, handles=handles)


def promote_by_hand(services: Services, model: str, version: str, *, trained: RunId, by: str, now: dt.datetime) -> None:
    """Make a version the champion, and write it to the row of a training and of those that have recorded since.

    Raises `NoSuchVersion`, `NotOurs`, `TrackingError`.
    """
    with champion_lock(services.engine, model):
        services.tracking.promote(model, version, by=by)
        services.ledger.amend_version(trained, version, {HANDLE: model}, now)


def repair_champion(services: Services, model: str, trained: RunId, now: dt.datetime) -> None:
    """Write the champion that MLflow has to the row of a training. Raises `TrackingError`."""
    with champion_lock(services.engine, model):
        champion = services.tracking.champion(model)
        version = champion.version if champion else None
        services.ledger.amend_version(trained, version, {HANDLE: model} if champion else {}, now)


def challenge(
    services: Services,
    name: str,
    run_id: str,
    trained: TrainingResult,
    settings: Promotion,
    *,
    writing: Callable[[], AbstractContextManager[None]],
) -> Challenge:
    """Register what a run of MLflow has trained, and promote it where the model's rule says so.

    `name` is that of the model; `trained` is what the run holds. `writing` is entered meanwhile, and only once
    nothing is waited for any more. Raises `TrackingError`, `NotOurs`, and what `writing` does.
    """
    tracking = services.tracking
    with champion_lock(services.engine, name), writing():
        champion, candidate = tracking.champion(name), tracking.register(name, run_id)
        verdict = _verdict(tracking, candidate, champion, trained, settings)
        if verdict.promote:
            tracking.promote(name, candidate.version, by=f"the rule {settings.metric}")
            champion = candidate
    return Challenge(name, candidate.version, champion.version if champion else None, verdict)


def _verdict(
    tracking: Tracking,
    candidate: ModelVersion,
    champion: ModelVersion | None,
    trained: TrainingResult,
    settings: Promotion,
) -> Verdict:
    if champion is not None and champion.version == candidate.version:
        return Verdict(True, "it was promoted before this run was interrupted")
    if not settings.automatic:
        return Verdict(False, "this model is promoted by hand only")
    met, unopposed = _contest(tracking, candidate, champion, trained)
    return promotes(settings.rule, trained.metrics, met, unopposed=unopposed)


def _contest(
    tracking: Tracking, candidate: ModelVersion, champion: ModelVersion | None, trained: TrainingResult
) -> tuple[Contest | None, str]:
    """Return how both do on the same rows; where that can't be told, None and why."""
    if champion is None:
        return None, "there is no champion yet"
    reference = reference_of(tracking, champion.model, champion.version)
    if gone := [name for name in feature_names(reference) if name not in trained.feature_names]:
        return None, f"the champion {champion.version} can't be asked any more: it needs {', '.join(map(repr, gone))}"
    for settings in ("target", "validation"):
        if _of(settings, candidate) != _of(settings, champion):
            return None, f"the champion {champion.version} has another {settings}: they can't be compared"
    if _of("features", champion) not in ({}, _of("features", candidate)):  # old versions don't say
        return None, f"the champion {champion.version} has learned other features: they can't be compared"
    met = contest(trained.reference, reference)
    return met, f"the champion {champion.version} has no test row in common with it"


def reference_of(tracking: Tracking, model: str, version: str) -> pl.DataFrame:
    """Return the rows that a version was validated on; see `TrainingResult.reference`."""
    return pl.from_pandas(tracking.reference(model, version)).cast({"date": pl.Date})


def _of(settings: str, version: ModelVersion) -> dict[str, str]:
    return {name: value for name, value in version.params.items() if name.startswith(f"{settings}.")}
