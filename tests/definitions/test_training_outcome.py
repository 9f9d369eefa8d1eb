"""What a training's artifact says."""

import datetime as dt
from typing import cast

import polars as pl

from definitions.contract import Regressor
from definitions.work.models.training import Fold, TrainingResult
from definitions.work.models.training_outcome import training_summary
from research.models.walk_forward import Split

DAY = dt.date(2024, 1, 1)
METRICS = {"rows": 5040.0, "rmse": 0.043218, "mae": 0.03, "ic_dates": 84.0, "ic_mean": 0.0512345, "ic_ratio": 0.31234}


def fold(number: int, **metrics: float) -> Fold:
    first, last = DAY + dt.timedelta(90 * number), DAY + dt.timedelta(90 * number + 89)
    return Fold(Split(DAY, first, first, last, first), 1000, metrics)


def test_counts_are_whole_numbers_and_a_fold_takes_five_columns() -> None:
    folds = (fold(1, **METRICS), fold(2, rows=12.0, rmse=0.05, mae=0.04))
    reference = pl.DataFrame()
    trained = TrainingResult(cast(Regressor, None), ("momentum",), 123456, folds, METRICS, reference, ())

    lines = training_summary(trained, "Trained.", "a link").splitlines()

    assert "| rows | 5,040 |" in lines
    assert "| ic_dates | 84 |" in lines
    assert lines[-4:] == [
        "| test dates | rows | rmse | ic_mean | ic_ratio |",
        "| --- | --- | --- | --- | --- |",
        "| 2024-03-31 to 2024-06-28 | 5,040 | 0.04322 | 0.05123 | 0.3123 |",
        "| 2024-06-29 to 2024-09-26 | 12 | 0.05 | – | – |",
    ]
