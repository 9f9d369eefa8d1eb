"""Asking a trained model."""

import datetime as dt
from collections.abc import Sequence

import polars as pl

from definitions.contract import Input, Regressor
from definitions.errors import ModuleError
from definitions.work.models.features import feature_table


def predict(
    model: Regressor,
    features: Sequence[Input],
    feature_names: Sequence[str],
    *,
    missing: Sequence[str] = (),
    since: dt.date | None = None,
) -> pl.DataFrame:
    """Return `date`, `entity` and `prediction` (Float64) for the rows dated after `since`, sorted by both.

    The features are made as for the training (see `feature_table`), with a prediction for each row of those
    that come most often. `feature_names` are those that the model was trained on, in that order.
    Raises `ModuleError` when one of them is not there, or a prediction is not finite.
    """
    table = feature_table(features, missing=missing)
    if lacking := [name for name in feature_names if name not in table.columns]:
        there = ", ".join(name for name in table.columns if name not in ("date", "entity"))
        raise ModuleError(
            f"the model was trained on {', '.join(map(repr, lacking))}, which the features don't have; "
            f"there are: {there}. Bring them back, or train on what there is now and make that the champion: "
            "`optaic promote MODEL VERSION`."
        )
    rows = table if since is None else table.filter(pl.col("date") > since)
    return rows.select("date", "entity", predicted(model, rows, feature_names))


def predicted(model: Regressor, rows: pl.DataFrame, feature_names: Sequence[str]) -> pl.Series:
    """Return the series `prediction` (Float64), one for each of `rows`, which hold the features.

    Raises `ModuleError` when there is not one finite number for each row.
    """
    import numpy as np
    import pandas as pd
    from threadpoolctl import threadpool_limits

    if rows.is_empty():
        return pl.Series("prediction", [], pl.Float64)
    features = pd.DataFrame(rows.select(feature_names).to_numpy(), columns=list(feature_names))
    with threadpool_limits(1):  # on a busy machine threads wait for each other longer than they work
        values = np.asarray(model.predict(features), dtype=np.float64)
    if values.shape != (rows.height,):
        raise ModuleError(
            f"the model gives predictions of shape {values.shape} for {rows.height:,} rows: "
            "its module must return one number for each row"
        )
    if not (finite := np.isfinite(values)).all():
        first = rows.row(int(finite.argmin()), named=True)
        raise ModuleError(
            f"{(~finite).sum():,} of {rows.height:,} predictions are not finite, the first of {first['entity']} on "
            f"{first['date']}: see that the module copes with missing features, and bound the features"
        )
    return pl.Series("prediction", values)
