"""Evidently's judgement: current rows beside those that a model was trained on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from definitions.work.models.model_settings import DriftSettings
from instances.errors import OptaicError

if TYPE_CHECKING:
    import pandas as pd
    from evidently import Dataset
    from evidently.core.report import Snapshot

PREDICTION, TARGET = "prediction", "target"
MOST_ROWS = 20_000  # of each frame; Evidently takes 3 s for 10 columns of them

_PERFORMANCE = {"MeanError": "mean_error", "MAE": "mae", "RMSE": "rmse", "R2Score": "r2"}


class NothingToCompare(OptaicError):
    """A frame, or a column of it, holds nothing that could be compared."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"drift can't be judged: {what}. Monitor when there are rows, or leave the column out of the features."
        )


def compare(
    current: "pd.DataFrame",
    reference: "pd.DataFrame",
    *,
    features: Sequence[str],
    rules: DriftSettings,
    metadata: Mapping[str, str],
) -> "Snapshot":
    """Return Evidently's snapshot of two frames with the columns `features`, `prediction` and `target`.

    Of more than 20,000 rows a sample is taken, the same one each time. `target` may be unknown (NaN).
    Raises `NothingToCompare`.
    """
    from evidently import Report
    from evidently.metrics import MAE, RMSE, MeanError, R2Score, ValueDrift
    from evidently.presets import DataDriftPreset

    judged = [*features, PREDICTION]
    parts = [
        DataDriftPreset(
            columns=list(features),
            drift_share=rules.share,
            num_method="wasserstein",
            num_threshold=rules.column_threshold,
        ),
        ValueDrift(column=PREDICTION, method="wasserstein", threshold=rules.column_threshold),
    ]
    rows, base = prepared(current, judged, "the current rows"), prepared(reference, judged, "the reference rows")
    if rows[TARGET].count() > 1 and base[TARGET].count() > 1:
        # Not RegressionPreset: its MAPE, in the largest type, divides by returns that are almost 0.
        parts += [MeanError(), MAE(), RMSE(), R2Score()]
    report = Report(parts, metadata=dict(metadata))
    return report.run(_dataset(rows, judged), _dataset(base, judged))


def prepared(frame: "pd.DataFrame", judged: Sequence[str], what: str) -> "pd.DataFrame":
    """Return what Evidently is given of a frame: the columns `judged` and `target` as numbers, at most 20,000 rows.

    Raises `NothingToCompare`, in which `what` names the rows.
    """
    kept = frame.reindex(columns=[*judged, TARGET]).astype("float64")
    if len(kept) > MOST_ROWS:
        kept = kept.sample(MOST_ROWS, random_state=0).sort_index()
    if kept.empty:
        raise NothingToCompare(f"{what} are empty")
    empty = [name for name in judged if not kept[name].count()]
    if empty:
        raise NothingToCompare(f"{what} have no value of {empty[0]!r}")
    return kept.reset_index(drop=True)


def read(snapshot: "Snapshot") -> tuple[float, dict[str, float], dict[str, float]]:
    """Return the share of drifted columns, the score of each column, and the performance, from a snapshot."""
    share, scores, performance = 0.0, dict[str, float](), dict[str, float]()
    for metric in snapshot.dict()["metrics"]:
        kind, value = metric["config"]["type"].rsplit(":", 1)[-1], metric["value"]
        if kind == "DriftedColumnsCount":
            share = float(value["share"])
        elif kind == "ValueDrift":
            scores[metric["config"]["column"]] = float(value)
        elif kind in _PERFORMANCE:
            performance[_PERFORMANCE[kind]] = _number(value)
    return share, scores, performance


def _number(value: Any) -> float:
    return float(value["mean"] if isinstance(value, dict) else value)


def _dataset(frame: "pd.DataFrame", judged: Sequence[str]) -> "Dataset":
    from evidently import DataDefinition, Dataset, Regression

    regression = [Regression(target=TARGET, prediction=PREDICTION)]
    definition = DataDefinition(numerical_columns=[*judged, TARGET], regression=regression)
    return Dataset.from_pandas(frame, data_definition=definition)
