"""Metrics of predictions: their errors, and how well they rank the entities of a day."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it is the settings of models that are looked at most often, without any rows
    import polars as pl

LEAST_ENTITIES = 3

HIGHER_IS_BETTER: Mapping[str, bool] = MappingProxyType(
    {
        "rmse": False,
        "mae": False,
        "r2": True,
        "ic_mean": True,
        "ic_ratio": True,
        "ic_positive_share": True,
    }
)
"""The metrics that models can be compared by; the others say how spread out or how many."""

BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"r2": (-math.inf, 1), "ic_mean": (-1, 1), "ic_positive_share": (0, 1)}
)
"""Between what the metrics lie that do not lie anywhere."""


def model_metrics(rows: "pl.DataFrame") -> dict[str, float]:
    """Return the metrics of `rows`: `date`, `entity`, `prediction` and `target` (Float64).

    `rows`: how many have both a prediction and a target, which are those that count. `rmse`, `mae`: root
    mean squared and mean absolute error, in the target's unit. `r2`: 1 less the squared errors over the
    target's squared deviations from its mean. Of the dates' information coefficients (see
    `information_coefficients`): `ic_dates`, how many; `ic_mean`; `ic_std`, with count - 1 degrees of
    freedom; `ic_ratio`, mean over standard deviation, per date and not per year; `ic_positive_share`, the
    share above 0. A metric that these rows don't define is left out: r2 of a constant target, ic_std of one
    date. Every value is finite.
    """
    rows = _complete(rows)
    found = {"rows": float(rows.height)} | _errors(rows) | _of_coefficients(information_coefficients(rows)["ic"])
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}


def information_coefficients(rows: "pl.DataFrame") -> "pl.DataFrame":
    """Return `date`, `ic` (Float64) and `entities` (UInt32, how many), sorted by date.

    The information coefficient of a date is Spearman's rank correlation of the predictions and targets of
    its entities, ties with their mean rank (R. Grinold, R. Kahn, Active Portfolio Management, McGraw-Hill
    2000, chapter 6, has the coefficient). A date with fewer than 3 entities, or whose predictions or targets
    are all alike, has none and no row. `rows` is as for `model_metrics`.
    """
    import polars as pl

    prediction, target = pl.col("prediction"), pl.col("target")
    return (
        _complete(rows)
        .group_by("date")
        .agg(
            pl.corr(prediction.rank(), target.rank()).alias("ic"),
            pl.len().alias("entities"),
            constant=(prediction.n_unique() == 1) | (target.n_unique() == 1),
        )
        .filter(pl.col("entities") >= LEAST_ENTITIES, ~pl.col("constant"))
        .drop("constant")
        .sort("date")
    )


def _complete(rows: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    return rows.filter(pl.col("prediction").is_finite() & pl.col("target").is_finite())


def _errors(rows: "pl.DataFrame") -> dict[str, float | None]:
    if rows.is_empty():
        return {}
    target = rows["target"].to_numpy()
    error = rows["prediction"].to_numpy() - target
    squares, deviations = float((error**2).sum()), float(((target - target.mean()) ** 2).sum())
    return {
        "rmse": math.sqrt(squares / rows.height),
        "mae": float(abs(error).mean()),
        "r2": 1 - squares / deviations if deviations > 0 else None,
    }


def _of_coefficients(ic: "pl.Series") -> dict[str, float | None]:
    mean, std = ic.mean(), ic.std()
    if not isinstance(mean, float):
        return {"ic_dates": 0.0}
    spread = std if isinstance(std, float) else None
    return {
        "ic_dates": float(ic.len()),
        "ic_mean": mean,
        "ic_std": spread,
        "ic_ratio": mean / spread if spread else None,
        "ic_positive_share": float((ic > 0).sum()) / ic.len(),
    }
