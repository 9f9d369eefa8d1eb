"""Drift metrics: how far the values of features have moved from a reference, and what is wrong with them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

BINS = 10
LEAST_SHARE = 1e-4  # of an empty bin, whose logarithm would be infinite
OUTLIER_DEVIATIONS = 3.0


def drift_metrics(current: "pl.DataFrame", reference: "pl.DataFrame", features: Sequence[str]) -> dict[str, float]:
    """Return what is said of the `features` (Float64, null or NaN where there is no value) of two frames.

    - psi: the greatest population stability index of a feature: the sum over bins of (p - q) * ln(p / q), with p and q
      the shares of the current and the reference values in it; the bins are the deciles of the reference, an empty
      one's share is 0.0001 (N. Siddiqi, "Credit Risk Scorecards", 2006).
    - ks_statistic: the greatest two-sample Kolmogorov-Smirnov statistic of a feature: the greatest distance of the two
      empirical distribution functions, from 0 to 1.
    - missing_pct: of all current values, how many percent are missing.
    - outlier_pct: of the current values that are there, how many percent lie more than 3 standard deviations of the
      reference (count - 1) from its mean.
    A feature without values in one of the frames does not count; a metric that no feature defines is left out.
    """
    pairs = [(_values(current, name), _values(reference, name)) for name in features]
    known = [(now, then) for now, then in pairs if len(now) and len(then)]
    cells, there = current.height * len(features), sum(len(now) for now, _ in pairs)
    beyond = [_beyond(now, then) for now, then in known if len(then) > 1]
    judged = sum(len(now) for now, then in known if len(then) > 1)
    found = {
        "psi": max((_stability(now, then) for now, then in known), default=math.nan),
        "ks_statistic": max((_distance(now, then) for now, then in known), default=math.nan),
        "missing_pct": 100 * (1 - there / cells) if cells else math.nan,
        "outlier_pct": 100 * sum(beyond) / judged if judged else math.nan,
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def direction_accuracy(rows: "pl.DataFrame") -> float | None:
    """Return the share of rows whose `prediction` has the sign of the `target`, of those with a target other than 0.

    None where there is no such row.
    """
    import polars as pl

    known = rows.filter(pl.col("prediction").is_finite() & pl.col("target").is_finite() & (pl.col("target") != 0))
    if known.is_empty():
        return None
    return float((known["prediction"].sign() == known["target"].sign()).sum()) / known.height


def _values(frame: "pl.DataFrame", name: str) -> "NDArray[np.float64]":
    import polars as pl

    return frame.select(pl.col(name).cast(pl.Float64)).filter(pl.col(name).is_finite())[name].to_numpy()


def _stability(now: "NDArray[np.float64]", then: "NDArray[np.float64]") -> float:
    import numpy as np

    edges = np.unique(np.quantile(then, np.linspace(0, 1, BINS + 1)[1:-1]))
    if edges[0] <= then.min():  # many rows have the least value: what is below it has a bin of its own
        edges = np.insert(edges, 0, np.nextafter(edges[0], -np.inf))
    p, q = (np.bincount(np.searchsorted(edges, each), minlength=len(edges) + 1) / len(each) for each in (now, then))
    p, q = p.clip(min=LEAST_SHARE), q.clip(min=LEAST_SHARE)
    return float(((p - q) * np.log(p / q)).sum())


def _distance(now: "NDArray[np.float64]", then: "NDArray[np.float64]") -> float:
    import numpy as np

    at = np.concatenate([now, then])
    below = [np.searchsorted(np.sort(each), at, side="right") / len(each) for each in (now, then)]
    return float(abs(below[0] - below[1]).max())


def _beyond(now: "NDArray[np.float64]", then: "NDArray[np.float64]") -> int:
    return int((abs(now - then.mean()) > OUTLIER_DEVIATIONS * then.std(ddof=1)).sum())
