"""Performance: what a curve of equity says in a few numbers."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

DAYS_PER_YEAR = 252
LEVEL = 0.95


@dataclass(frozen=True)
class Metric:
    """A metric's label and how to write its value: as a share in percent, as a number, or in days."""

    label: str
    form: str  # of `format`

    def written(self, value: float | None) -> str:
        return "–" if value is None or math.isnan(value) else self.form.format(value)


# z: a value that is rounded to 0 is written without a sign.
PERCENT, NUMBER, DAYS = "{:z.2%}", "{:z.2f}", "{:,.0f} days"

METRICS = {
    "total_return": Metric("Total return", PERCENT),
    "annual_return": Metric("Annual return", PERCENT),
    "volatility": Metric("Volatility, annual", PERCENT),
    "sharpe": Metric("Sharpe ratio", NUMBER),
    "sortino": Metric("Sortino ratio", NUMBER),
    "calmar": Metric("Calmar ratio", NUMBER),
    "max_drawdown": Metric("Maximum drawdown", PERCENT),
    "max_drawdown_days": Metric("Its length", DAYS),
    "var_95": Metric("VaR 95 %, daily", PERCENT),
    "cvar_95": Metric("CVaR 95 %, daily", PERCENT),
    "win_rate": Metric("Win rate, daily", PERCENT),
    "turnover": Metric("Turnover, annual", PERCENT),
    "costs": Metric("Trading costs, annual", PERCENT),
    "alpha": Metric("Alpha, annual", PERCENT),
    "beta": Metric("Beta", NUMBER),
    "tracking_error": Metric("Tracking error, annual", PERCENT),
    "information_ratio": Metric("Information ratio", NUMBER),
}


def performance(equity: "pd.Series[float]") -> dict[str, float]:
    """Return the metrics of a curve of equity by day, its first value being the capital put in.

    With r the n daily returns, a year being 252 days and no interest on cash; NaN where a metric is not defined:
    - total_return: last / first - 1.
    - annual_return: (last / first) ** (252 / n) - 1.
    - volatility: standard deviation of r (n - 1), * sqrt(252).
    - sharpe: mean(r) * 252 / volatility (Sharpe 1994, with a riskless rate of 0).
    - sortino: mean(r) * 252 / (sqrt(mean(min(r, 0) ** 2)) * sqrt(252)) (Sortino and Price 1994, target 0).
    - calmar: annual_return / |max_drawdown| (Young 1991, over the whole range).
    - max_drawdown: the least of equity / highest equity so far - 1; a share, at most 0.
    - max_drawdown_days: calendar days from the peak before that low until the peak is reached again, or the end.
    - var_95, cvar_95: loss on a day that is exceeded on 5 % of days, the 5 % quantile of r (linear) times -1, and
      the mean loss on the days at or beyond it; shares, positive for a loss.
    - win_rate: days with r > 0, as a share of those with r != 0.
    """
    import numpy as np

    returns = equity.pct_change().iloc[1:]
    count = len(returns)
    growth = float(equity.iloc[-1] / equity.iloc[0])
    annual_return = growth ** (DAYS_PER_YEAR / count) - 1 if count else math.nan
    mean = float(returns.mean()) * DAYS_PER_YEAR
    volatility = float(returns.std()) * math.sqrt(DAYS_PER_YEAR)
    downside = math.sqrt(float((np.minimum(returns, 0) ** 2).mean()) * DAYS_PER_YEAR) if count else math.nan
    deepest, length = _deepest(equity)
    quantile = float(returns.quantile(1 - LEVEL)) if count else math.nan
    moved = int((returns != 0).sum())
    return {
        "total_return": growth - 1,
        "annual_return": annual_return,
        "volatility": volatility,
        "sharpe": _ratio(mean, volatility),
        "sortino": _ratio(mean, downside),
        "calmar": _ratio(annual_return, -deepest),
        "max_drawdown": deepest,
        "max_drawdown_days": float(length),
        "var_95": -quantile,
        "cvar_95": -float(returns[returns <= quantile].mean()),
        "win_rate": _ratio(float((returns > 0).sum()), float(moved)),
    }


def relative_performance(equity: "pd.Series[float]", benchmark: "pd.Series[float]") -> dict[str, float]:
    """Return the metrics of a curve of equity against its benchmark's, on the same days.

    With r and b their daily returns:
    - beta: covariance(r, b) / variance(b); alpha: (mean(r) - beta * mean(b)) * 252 (Jensen 1968, riskless rate 0).
    - tracking_error: standard deviation of r - b (n - 1), * sqrt(252).
    - information_ratio: mean(r - b) * 252 / tracking_error (Grinold and Kahn).
    """
    returns, others = equity.pct_change().iloc[1:], benchmark.pct_change().iloc[1:]
    covariance = float(returns.cov(others)) if len(returns) > 1 else math.nan
    beta = _ratio(covariance, float(others.var()))
    active = returns - others
    tracking_error = float(active.std()) * math.sqrt(DAYS_PER_YEAR)
    return {
        "alpha": (float(returns.mean()) - beta * float(others.mean())) * DAYS_PER_YEAR,
        "beta": beta,
        "tracking_error": tracking_error,
        "information_ratio": _ratio(float(active.mean()) * DAYS_PER_YEAR, tracking_error),
    }


def trading(equity: "pd.Series[float]", turnover: "pd.Series[float]", costs: "pd.Series[float]") -> dict[str, float]:
    """Return, per year of 252 days, the turnover and what trading has cost.

    - turnover: sum over days of half the absolute value traded / value before it; 1: the whole portfolio was
      exchanged once. Building it up from cash counts too.
    - costs: sum over days of costs / value before them.
    """
    years = (len(equity) - 1) / DAYS_PER_YEAR
    return {
        "turnover": _ratio(float(turnover.sum()), years),
        "costs": _ratio(float((costs / (equity + costs)).sum()), years),
    }


def drawdown(equity: "pd.Series[float]") -> "pd.Series[float]":
    """Return equity / highest equity so far - 1, by day: a share, at most 0."""
    return equity / equity.cummax() - 1


def _deepest(equity: "pd.Series[float]") -> tuple[float, int]:
    depths = drawdown(equity)
    low = depths.idxmin()
    if depths[low] == 0:
        return 0.0, 0
    peak = equity.loc[:low].idxmax()
    healed = equity.loc[low:][equity.loc[low:] >= equity[peak]]
    end = healed.index[0] if len(healed) else equity.index[-1]
    return float(depths[low]), int((end - peak).days)


def _ratio(value: float, by: float) -> float:
    # Returns that are all alike have a deviation of rounding errors, not of 0.
    return value / by if abs(by) > 1e-12 else math.nan
