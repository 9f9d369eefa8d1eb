import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from research.portfolios.backtest_metrics import (
    METRICS,
    drawdown,
    performance,
    period_ends,
    relative_performance,
    trading,
)
from research.portfolios.rebalancing import Frequency
from tests.research.market import index, stocks


@pytest.fixture(scope="module")
def curve() -> "pd.Series[float]":
    return stocks("2007", "2016").pct_change().fillna(0).mean(axis=1).add(1).cumprod() * 100


@pytest.fixture(scope="module")
def benchmark(curve: "pd.Series[float]") -> "pd.Series[float]":
    return index("2007", "2016").reindex(curve.index)


def test_every_metric_equals_an_independent_computation(curve: "pd.Series[float]") -> None:
    values = curve.to_numpy()
    r = values[1:] / values[:-1] - 1
    n = len(r)
    peaks = np.maximum.accumulate(values)
    low = int(np.argmin(values / peaks))
    peak = int(np.argmax(values[: low + 1]))
    healed = next(i for i in range(low, len(values)) if values[i] >= values[peak])
    ordered = np.sort(r)
    place = 0.05 * (n - 1)
    below, share = int(place), place - int(place)
    quantile = ordered[below] * (1 - share) + ordered[below + 1] * share
    annual = (values[-1] / values[0]) ** (252 / n) - 1
    expected = {
        "total_return": values[-1] / values[0] - 1,
        "annual_return": annual,
        "volatility": math.sqrt(sum((r - r.mean()) ** 2) / (n - 1) * 252),
        "sharpe": r.mean() / r.std(ddof=1) * math.sqrt(252),
        "sortino": r.mean() / math.sqrt(sum(x * x for x in r if x < 0) / n) * math.sqrt(252),
        "calmar": annual / (1 - values[low] / values[peak]),
        "max_drawdown": values[low] / values[peak] - 1,
        "max_drawdown_days": (curve.index[healed] - curve.index[peak]).days,
        "var_95": -quantile,
        "cvar_95": -np.mean([x for x in r if x <= quantile]),
        "positive_share": sum(r > 0) / sum(r != 0),
        "avg_drawdown": np.mean(depths_of_drawdowns(values)),
    }

    assert performance(curve) == pytest.approx(expected, rel=1e-9)


def depths_of_drawdowns(values: "np.ndarray[Any, Any]") -> list[float]:
    """Return the depth of each time under water, one after the other."""
    found, peak, low = list[float](), values[0], 0.0
    for value in values:
        if value >= peak:
            found += [low] if low < 0 else []
            peak, low = value, 0.0
        low = min(low, value / peak - 1)
    return [*found, *([low] if low < 0 else [])]


@pytest.mark.parametrize(("frequency", "rule", "periods"), [("weekly", "W", 52), ("monthly", "ME", 12)])
def test_returns_of_whole_periods_are_annualised_by_their_number_in_a_year(
    curve: "pd.Series[float]", benchmark: "pd.Series[float]", frequency: str, rule: str, periods: int
) -> None:
    def returns(of: "pd.Series[float]") -> "np.ndarray[Any, Any]":
        return np.asarray(of.resample(rule).last().pct_change())[1:]

    r, b = returns(curve), returns(benchmark)
    found = performance(curve, Frequency(frequency)) | relative_performance(curve, benchmark, Frequency(frequency))
    assert len(r) == len(period_ends(curve, Frequency(frequency))) - 1
    expected = {
        "volatility": np.std(r, ddof=1) * math.sqrt(periods),
        "sharpe": r.mean() / np.std(r, ddof=1) * math.sqrt(periods),
        "sortino": r.mean() / math.sqrt(sum(x * x for x in r if x < 0) / len(r)) * math.sqrt(periods),
        "var_95": -np.quantile(r, 0.05),
        "cvar_95": -r[r <= np.quantile(r, 0.05)].mean(),
        "positive_share": (r > 0).sum() / (r != 0).sum(),
        "beta": np.cov(r, b)[0, 1] / np.var(b, ddof=1),
        "alpha": (r.mean() - np.cov(r, b)[0, 1] / np.var(b, ddof=1) * b.mean()) * periods,
        "tracking_error": np.std(r - b, ddof=1) * math.sqrt(periods),
        "information_ratio": np.mean(r - b) / np.std(r - b, ddof=1) * math.sqrt(periods),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    daily = performance(curve)
    for name in ("total_return", "annual_return", "calmar", "max_drawdown", "max_drawdown_days", "avg_drawdown"):
        assert found[name] == daily[name]


def test_ratios_agree_with_those_of_ffn(curve: "pd.Series[float]") -> None:
    import ffn  # type: ignore[import-untyped]

    stats, found = ffn.PerformanceStats(curve), performance(curve)

    assert found["sharpe"] == pytest.approx(stats.daily_sharpe, rel=1e-9)
    assert found["volatility"] == pytest.approx(stats.daily_vol, rel=1e-9)
    assert found["max_drawdown"] == pytest.approx(stats.max_drawdown, rel=1e-9)


def test_relative_metrics_equal_a_regression(curve: "pd.Series[float]", benchmark: "pd.Series[float]") -> None:
    r, b = curve.pct_change().to_numpy()[1:], benchmark.pct_change().to_numpy()[1:]
    (constant, slope), *_ = np.linalg.lstsq(np.column_stack([np.ones(len(b)), b]), r, rcond=None)
    expected = {
        "alpha": constant * 252,
        "beta": slope,
        "tracking_error": np.std(r - b, ddof=1) * math.sqrt(252),
        "information_ratio": np.mean(r - b) / np.std(r - b, ddof=1) * math.sqrt(252),
    }

    assert relative_performance(curve, benchmark) == pytest.approx(expected, rel=1e-9)


def test_turnover_and_costs_are_per_year() -> None:
    days = pd.bdate_range("2024-01-01", periods=127)  # half a year of returns
    equity = pd.Series(99.0, index=days)
    turnover, costs = pd.Series(0.0, index=days), pd.Series(0.0, index=days)
    turnover.iloc[1], turnover.iloc[50], costs.iloc[1] = 0.5, 0.25, 1.0

    assert trading(equity, turnover, costs) == pytest.approx({"turnover": 1.5, "costs": 0.02})


def test_an_unfinished_drawdown_lasts_to_the_end() -> None:
    days = pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-31"])
    equity = pd.Series([100.0, 120.0, 90.0, 110.0], index=days)

    found = performance(equity)

    assert (found["max_drawdown"], found["max_drawdown_days"]) == (-0.25, 29)
    assert drawdown(equity).to_list() == pytest.approx([0, 0, -0.25, -1 / 12])


@pytest.mark.parametrize("count", [1, 2, 10])
def test_what_is_not_defined_is_not_a_number(count: int) -> None:
    flat = pd.Series(100.0, index=pd.bdate_range("2024-01-01", periods=count))

    found = performance(flat)

    assert all(math.isnan(found[name]) for name in ("sharpe", "sortino", "calmar", "positive_share"))
    assert (found["total_return"], found["max_drawdown"], found["max_drawdown_days"]) == (0, 0, 0)
    assert all(math.isnan(value) for value in relative_performance(flat, flat).values() if value != 0)


def test_metrics_are_written_for_people() -> None:
    assert METRICS["annual_return"].written(0.1234) == "12.34%"
    assert METRICS["max_drawdown_days"].written(1234.0) == "1,234 days"
    assert METRICS["sharpe"].written(math.nan) == METRICS["sharpe"].written(None) == "–"


def test_what_is_rounded_to_zero_has_no_sign() -> None:
    assert METRICS["var_95"].written(-0.0) == "0.00%"
    assert METRICS["beta"].written(-0.001) == "0.00"
    assert METRICS["max_drawdown"].written(-0.101) == "-10.10%"
