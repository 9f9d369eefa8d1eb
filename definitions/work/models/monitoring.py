"""What monitoring compares with the training: the newest features and predictions, with what came true."""

from collections.abc import Sequence

import polars as pl

from definitions.contract import Input
from definitions.work.models.features import feature_table
from research.models.labels import TargetSpec, forward_returns


def rows_before(reference: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a training's reference that lie before the current ones: these would agree with themselves.

    All of them where fewer are left than there are current ones.
    """
    before = reference.filter(pl.col("date") < current["date"].min())
    return before if before.height >= current.height else reference


def monitored_rows(
    features: Sequence[Input],
    predictions: Input,
    prices: Input,
    *,
    target: TargetSpec,
    window_days: int,
    missing: Sequence[str] = (),
) -> pl.DataFrame:
    """Return the rows of the newest `window_days` days with predictions, sorted by date and entity.

    Columns: `date`, `entity`, the features, `prediction` and `target` (Float64; null where it is not known
    yet). Raises `ModuleError` as `feature_table` does, `ResearchError` as `forward_returns` does.
    """
    predicted = predictions.frame.select("date", "entity", "prediction")
    days = predicted["date"].unique().sort().tail(window_days)
    newest = predicted.filter(pl.col("date").is_in(days.implode()))
    rows = feature_table(features, on=newest, missing=missing)
    labels = forward_returns(prices.frame, target).select("date", "entity", "target")
    return (
        rows.join(newest, on=["date", "entity"], how="inner")
        .join(labels, on=["date", "entity"], how="left")
        .sort("date", "entity")
    )
