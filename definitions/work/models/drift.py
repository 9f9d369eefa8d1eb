"""Drift: how far what a model is asked has moved from what it was trained on, and what a monitoring leaves of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import polars as pl

from definitions.markdown_table import frame_table
from definitions.work.outcome import Event, Outcome
from research.models.drift_metrics import direction_accuracy, drift_metrics
from research.models.model_metrics import model_metrics


@dataclass(frozen=True)
class Drift:
    """What was found: the drift of the features, and how well it was predicted.

    `share` and `drifted_columns` are of the features. `scores` has the distance of each, and of the prediction,
    which is shown only: the reference was predicted by the models of several folds. `performance` has
    `mean_error`, `mae`, `rmse` and `r2` of the rows whose target is known, and is empty where there are none.
    `threshold` is the distance from which on a column has drifted, and `share_threshold` the share of the features
    that must have. `page` is the path or the URL of the report.
    """

    drifted: bool
    share: float
    drifted_columns: tuple[str, ...]
    scores: Mapping[str, float]
    performance: Mapping[str, float]
    rows: int
    reference_rows: int
    snapshot_id: UUID
    page: str
    threshold: float
    share_threshold: float

    @property
    def message(self) -> str:
        """What was found, for a person who only reads this."""
        columns = f": {', '.join(self.drifted_columns)}" if self.drifted_columns else ""
        return (
            f"{'Drift' if self.drifted else 'No drift'}: {self.share:.0%} of the features have drifted{columns}; "
            f"it counts as drift from {self.share_threshold:.0%} on."
        )


def drift_outcome(
    drift: Drift,
    current: pl.DataFrame,
    reference: pl.DataFrame,
    *,
    features: Sequence[str],
    page: str,
    events: tuple[Event, ...] = (),
) -> Outcome:
    """Return what a monitoring of the `current` rows beside the `reference` leaves.

    Both have the columns `date`, `entity`, `prediction`, `target` and the `features`. `page` says as Markdown where
    its report is.
    """
    return Outcome(
        version=None,
        metrics={
            "drifted": float(drift.drifted),
            "drift_share": drift.share,
            **{f"drift_{column}": score for column, score in drift.scores.items()},
            **drift_metrics(current, reference, features),
            **_coefficients(current),
            **drift.performance,
            "rows": float(drift.rows),
        },
        message=drift.message,
        summary=drift_summary(drift, current, page),
        events=events,
    )


def _coefficients(current: pl.DataFrame) -> dict[str, float]:
    """Return how well the rows whose target is known were ranked, and how often the sign was right."""
    names = ("ic_mean", "ic_ratio", "ic_positive_share")
    ranked = {name: value for name, value in model_metrics(current).items() if name in names}
    accuracy = direction_accuracy(current)
    return ranked if accuracy is None else ranked | {"direction_accuracy": accuracy}


def drift_summary(drift: Drift, current: pl.DataFrame, page: str) -> str:
    """Return as Markdown what has drifted, of which rows, where the report is, and how well it was predicted."""
    first, last = current["date"].min(), current["date"].max()
    scores = pl.DataFrame(
        [
            {
                "column": name,
                "distance": f"{score:.4f}",
                "drifts from": f"{drift.threshold:g}",
                "drifted": "yes" if name in drift.drifted_columns else "no",
            }
            for name, score in drift.scores.items()
        ]
    )
    return "\n".join(
        [
            f"**{'Drift' if drift.drifted else 'No drift'}**: {drift.share:.0%} of the features have drifted, "
            f"it takes {drift.share_threshold:.0%}; "
            f"{drift.rows:,} rows of {first!s} to {last!s} beside {drift.reference_rows:,} of the training.",
            "",
            page,
            "",
            f"As a file: `{drift.page}`",
            "",
            *frame_table(scores),
            "",
            *(f"- {name} {value:.6g}" for name, value in drift.performance.items()),
        ]
    )
