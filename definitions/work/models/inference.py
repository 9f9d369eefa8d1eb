"""Asking the champion: predictions of all dates, none of which looked ahead."""

import time
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from definitions.contract import Input, Regressor, Store
from definitions.markdown_table import frame_table
from definitions.work.commits import until_committed
from definitions.work.models.prediction import predict
from definitions.work.outcome import Outcome, rows_left

KEYS = ("date", "entity")


def feature_names(reference: pl.DataFrame) -> tuple[str, ...]:
    """Return the features that a model was trained on, from its training's reference; see `TrainingResult`."""
    return tuple(name for name in reference.columns if name not in (*KEYS, "prediction", "target"))


def infer(
    model: Regressor,
    reference: pl.DataFrame,
    store: Store,
    *,
    features: Sequence[Input],
    missing: Sequence[str] = (),
) -> Outcome:
    """Write the champion's predictions to `store`: `date`, `entity` and `prediction` (Float64).

    Up to the newest row of its training those of the validation, each by a model that had not seen what
    followed (see `TrainingResult.reference`); later ones by the champion itself. So the rows follow from the
    champion and the features alone, and a backtest that reads them does not look ahead.
    The metric `latency_ms` is how long it took to make the features and to ask the champion for all later rows.
    Raises `ModuleError` as `predict` does.
    """
    past = reference.select(*KEYS, "prediction")
    begun = time.perf_counter()
    later = predict(model, features, feature_names(reference), missing=missing, since=past["date"].max())  # type: ignore[arg-type]
    taken = time.perf_counter() - begun
    rows = pl.concat([past, later]).sort(*KEYS)
    written = until_committed(lambda: store.write(rows, replace=True))
    left = rows_left(written)
    newest = rows.filter(pl.col("date") == left.watermark).sort("prediction", descending=True)
    return replace(
        left,
        metrics={
            "rows": float(rows.height),
            "predicted": float(later.height),
            "latency_ms": taken * 1000,
            "prediction_mean": float(newest["prediction"].mean()),  # type: ignore[arg-type]
            "prediction_std": float(newest["prediction"].std() or 0.0),  # type: ignore[arg-type]
        },
        summary="\n".join(
            [
                f"{past.height:,} predictions of the validation, {later.height:,} later ones by the champion. "
                f"The highest of {left.watermark}:",
                "",
                *frame_table(newest.head(5)),
            ]
        ),
    )
