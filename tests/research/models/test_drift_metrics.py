"""Drift metrics beside independent computations."""

import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp

from research.models.drift_metrics import direction_accuracy, drift_metrics


def frame(**columns: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64))


def drawn(seed: int, count: int, shift: float = 0.0) -> list[float | None]:
    return list(np.random.default_rng(seed).normal(shift, 1, count))


def test_the_greatest_of_the_features_counts() -> None:
    now, then = frame(a=drawn(1, 300, 0.8), b=drawn(2, 300)), frame(a=drawn(3, 1000), b=drawn(4, 1000))

    found = drift_metrics(now, then, ("a", "b"))

    assert found["ks_statistic"] == pytest.approx(ks_2samp(now["a"].to_numpy(), then["a"].to_numpy()).statistic)
    edges = np.quantile(then["a"].to_numpy(), np.arange(1, 10) / 10)
    stability = 0.0
    for low, high in zip([-math.inf, *edges], [*edges, math.inf], strict=True):
        p = ((now["a"] > low) & (now["a"] <= high)).mean()
        q = ((then["a"] > low) & (then["a"] <= high)).mean()
        assert isinstance(p, float)
        assert isinstance(q, float)
        stability += (p - q) * math.log(p / q)
    assert found["psi"] == pytest.approx(stability, rel=1e-9)
    assert found["psi"] > 0.2 > drift_metrics(now.select("b"), then.select("b"), ("b",))["psi"]


def test_the_same_again_has_not_moved() -> None:
    rows = frame(a=drawn(1, 200))
    found = drift_metrics(rows, rows, ("a",))
    assert (found["psi"], found["ks_statistic"], found["missing_pct"]) == (0, 0, 0)


def test_what_is_missing_and_what_lies_far_off_is_in_percent_of_values() -> None:
    then = frame(a=[-1.0, 1.0, -1.0, 1.0], b=[0.0, 2.0, 0.0, 2.0])  # deviations of 1.1547 from 0 and 1
    now = frame(a=[0.0, 3.5, None, math.nan], b=[1.0, 1.0, -9.0, 4.4])
    found = drift_metrics(now, then, ("a", "b"))
    assert found["missing_pct"] == pytest.approx(25)
    assert found["outlier_pct"] == pytest.approx(100 * 2 / 6)  # 3.5 and -9; 4.4 lies within 3 of them


def test_what_is_not_defined_is_left_out() -> None:
    empty = frame(a=[None, None])
    assert drift_metrics(empty, frame(a=[1.0]), ("a",)) == {"missing_pct": 100}
    assert drift_metrics(empty.clear(), empty, ("a",)) == {}


def test_the_direction_is_that_of_known_targets() -> None:
    rows = frame(prediction=[1.0, -1.0, 2.0, 1.0, 0.0], target=[0.5, -3.0, -1.0, 0.0, None])
    assert direction_accuracy(rows) == pytest.approx(2 / 3)
    assert direction_accuracy(rows.tail(2)) is None


def test_a_shift_below_the_least_value_that_many_rows_had_is_one() -> None:
    then = pl.DataFrame({"a": [0.0] * 95 + [1.0] * 5})
    for now in ([-3.0] * 95 + [1.0] * 5, [-1.0] * 100, [2.0] * 100):
        assert drift_metrics(pl.DataFrame({"a": now}), then, ("a",))["psi"] > 5
    assert drift_metrics(then, then, ("a",))["psi"] == 0
