"""What a training leaves: which version is the champion afterwards, and what it is worth out of sample."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from definitions.markdown_table import frame_table
from definitions.work.models.training import TrainingResult
from definitions.work.outcome import TRAINED_VERSION, Outcome
from research.models.promotion_rule import Verdict

COUNTS = ("rows", "ic_dates")
FOLD_METRICS = ("rows", "rmse", "ic_mean", "ic_ratio")


@dataclass(frozen=True)
class Challenge:
    """What became of a newly trained version of a model; `champion` is the version that is so afterwards."""

    model: str
    candidate: str
    champion: str | None
    verdict: Verdict

    @property
    def message(self) -> str:
        """What became of it, for a person who only reads this."""
        model, version, reason = self.model, self.candidate, self.verdict.reason
        if self.verdict.promote:
            return f"Version {version} trained and promoted: {reason}."
        stays = f"The champion stays {self.champion}" if self.champion else "There is no champion yet"
        return (
            f"Version {version} trained, not promoted: {reason}. {stays}; "
            f"`optaic promote {model} {version}` makes it version {version}."
        )


def training_outcome(
    trained: TrainingResult, challenge: Challenge, *, page: str, handles: Mapping[str, str]
) -> Outcome:
    """Return what a training leaves. `page` says as Markdown where it was logged."""
    return Outcome(
        version=challenge.champion,
        message=challenge.message,
        metrics={**training_metrics(trained), "promoted": float(challenge.verdict.promote)},
        facts={TRAINED_VERSION: challenge.candidate, "verdict": challenge.message},
        summary=training_summary(trained, challenge.message, page),
        pictures=trained.pictures,
        handles=handles,
    )


def training_metrics(trained: TrainingResult) -> dict[str, float]:
    """Return the metrics of a training: out of sample by their own names, in sample as `train_...`, and counts."""
    in_sample = {"rmse": "train_rmse", "mae": "train_mae", "r2": "train_r2", "ic_mean": "train_ic"}
    return {
        **trained.metrics,
        **{name: trained.in_sample[ours] for ours, name in in_sample.items() if ours in trained.in_sample},
        "training_rows": float(trained.training_rows),
        "num_features": float(len(trained.feature_names)),
    }


def training_summary(trained: TrainingResult, message: str, page: str) -> str:
    """Return as Markdown what became of a training, where it was logged, its metrics and those of its folds."""
    metrics = pl.DataFrame([{"metric": name, "value": _shown(name, value)} for name, value in trained.metrics.items()])
    return "\n".join(
        [
            f"**{message}**",
            "",
            page,
            "",
            f"Trained on {trained.training_rows:,} rows of {', '.join(trained.feature_names)}; "
            f"out of sample, over {len(trained.folds)} folds:",
            "",
            *frame_table(metrics),
            "",
            *frame_table(_folds(trained)),
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
