"""Performance: what a curve of equity says in a few numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from research.portfolios.rebalancing import Frequency, rebalance_dates

if TYPE_CHECKING:
    import pandas as pd

DAYS_PER_YEAR = 252
PERIODS_PER_YEAR: Mapping[Frequency, int] = MappingProxyType(
    {Frequency.DAILY: DAYS_PER_YEAR, Frequency.WEEKLY: 52, Frequency.MONTHLY: 12, Frequency.QUARTERLY: 4}
)
LEVEL = 0.95


@dataclass(frozen=True)
class Metric:
    """What a metric is called, and how to write its value: as a share in percent, as a number, or in days."""

    name: str  # {} in it stands for the frequency of the returns
    form: str  # of `format`

    def label(self, frequency: Frequency) -> str:
        return self.name.format(frequency)

    def written(self, value: float | None) -> str:
        return "–" if value is None or math.isnan(value) else self.form.format(value)


# z: a value that is rounded to 0 is written without a sign.
PERCENT, NUMBER, DAYS, COUNT = "{:z.2%}", "{:z.2f}", "{:,.0f} days", "{:,.0f}"

METRICS = {
    "total_return": Metric("Total return", PERCENT),
    "annual_return": Metric("Annual return", PERCENT),
    "volatility": Metric("Volatility, annual", PERCENT),
    "sharpe": Metric("Sharpe ratio", NUMBER),
    "sortino": Metric("Sortino ratio", NUMBER),
    "calmar": Metric("Calmar ratio", NUMBER),
    "max_drawdown": Metric("Maximum drawdown", PERCENT),
    "max_drawdown_days": Metric("Its length", DAYS),
    "avg_drawdown": Metric("Mean drawdown", PERCENT),
    "var_95": Metric("VaR 95 %, {}", PERCENT),
    "cvar_95": Metric("CVaR 95 %, {}", PERCENT),
    "positive_share": Metric("Positive returns, {}", PERCENT),
    "turnover": Metric("Turnover, annual", PERCENT),
    "costs": Metric("Trading costs, annual", PERCENT),
    "num_trades": Metric("Trades", COUNT),
    "closed_positions": Metric("Closed positions", COUNT),
    "win_rate": Metric("Of these won", PERCENT),
    "profit_factor": Metric("Profit factor", NUMBER),
    "avg_trade_return": Metric("Return of a closed position, mean", PERCENT),
    "avg_holding_period": Metric("Its holding period, mean", DAYS),
    "alpha": Metric("Alpha, annual", PERCENT),
    "beta": Metric("Beta", NUMBER),
    "tracking_error": Metric("Tracking error, annual", PERCENT),
    "information_ratio": Metric("Information ratio", NUMBER),
}


def period_ends(curve: "pd.Series[float]", frequency: Frequency) -> "pd.DatetimeIndex":
    """Return the days of a daily curve that are the last of a period which is over; all of them, of daily ones."""
    import pandas as pd

    return pd.DatetimeIndex(rebalance_dates([day.date() for day in curve.index], frequency))


def _returns(curve: "pd.Series[float]", frequency: Frequency) -> "pd.Series[float]":
    """Return the returns of whole periods: from the end of one that is over to that of the next."""
    return curve.loc[period_ends(curve, frequency)].pct_change().iloc[1:]


def performance(equity: "pd.Series[float]", frequency: Frequency = Frequency.DAILY) -> dict[str, float]:
    """Return the metrics of a curve of equity by day, its first value being the capital put in.

    With r the returns of whole days, weeks, months or quarters, by `frequency`, of which a year has P = 252, 52, 12
    or 4, with d the number of daily returns, and no interest on cash; NaN where a metric is not defined:
    - total_return: last / first - 1.
    - annual_return: (last / first) ** (252 / d) - 1.
    - volatility: standard deviation of r (count - 1), * sqrt(P).
    - sharpe: mean(r) * P / volatility (Sharpe 1994, with a riskless rate of 0).
    - sortino: mean(r) * P / (sqrt(mean(min(r, 0) ** 2)) * sqrt(P)) (Sortino and Price 1994, target 0).
    - calmar: annual_return / |max_drawdown| (Young 1991, over the whole range).
    - max_drawdown: the least of equity / highest equity so far - 1; a share, at most 0.
    - max_drawdown_days: calendar days from the peak before that low until the peak is reached again, or the end.
    - avg_drawdown: the mean over the drawdowns, each from the day after a peak to the day before that peak is reached
      again, or the end, of the least equity / peak - 1 in it; a share, at most 0, and 0 without a drawdown (Burke 1994
      and C. Bacon, "Practical Portfolio Performance Measurement and Attribution", 2008, average drawdown).
    - var_95, cvar_95: loss of a period that is exceeded in 5 % of them, the 5 % quantile of r (linear) times -1, and
      the mean loss of the periods at or beyond it; shares, positive for a loss.
    - positive_share: periods with r > 0, as a share of those with r != 0.
    The drawdowns and the two returns are of the days, whatever the frequency.
    """
    growth, days = float(equity.iloc[-1] / equity.iloc[0]), len(equity) - 1
    annual_return = growth ** (DAYS_PER_YEAR / days) - 1 if days else math.nan
    deepest, length = _deepest(equity)
    return {
        "total_return": growth - 1,
        "annual_return": annual_return,
        "calmar": _ratio(annual_return, -deepest),
        "max_drawdown": deepest,
        "max_drawdown_days": float(length),
        "avg_drawdown": _average_drawdown(equity),
    } | _of_returns(_returns(equity, frequency), PERIODS_PER_YEAR[frequency])


def _of_returns(returns: "pd.Series[float]", periods: int) -> dict[str, float]:
    import numpy as np

    mean = float(returns.mean()) * periods
    volatility = float(returns.std()) * math.sqrt(periods)
    downside = math.sqrt(float((np.minimum(returns, 0) ** 2).mean()) * periods) if len(returns) else math.nan
    quantile = float(returns.quantile(1 - LEVEL)) if len(returns) else math.nan
    return {
        "volatility": volatility,
        "sharpe": _ratio(mean, volatility),
        "sortino": _ratio(mean, downside),
        "var_95": -quantile,
        "cvar_95": -float(returns[returns <= quantile].mean()),
        "positive_share": _ratio(float((returns > 0).sum()), float((returns != 0).sum())),
    }


def relative_performance(
    equity: "pd.Series[float]", benchmark: "pd.Series[float]", frequency: Frequency = Frequency.DAILY
) -> dict[str, float]:
    """Return the metrics of a curve of equity against its benchmark's, on the same days.

    With r and b their returns of whole periods, of which a year has P, as in `performance`:
    - beta: covariance(r, b) / variance(b); alpha: (mean(r) - beta * mean(b)) * P (Jensen 1968, riskless rate 0).
    - tracking_error: standard deviation of r - b (count - 1), * sqrt(P).
    - information_ratio: mean(r - b) * P / tracking_error (Grinold and Kahn).
    """
    returns, others = _returns(equity, frequency), _returns(benchmark, frequency)
    periods = PERIODS_PER_YEAR[frequency]
    covariance = float(returns.cov(others)) if len(returns) > 1 else math.nan
    beta = _ratio(covariance, float(others.var()))
    active = returns - others
    tracking_error = float(active.std()) * math.sqrt(periods)
    return {
        "alpha": (float(returns.mean()) - beta * float(others.mean())) * periods,
        "beta": beta,
        "tracking_error": tracking_error,
        "information_ratio": _ratio(float(active.mean()) * periods, tracking_error),
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


def _average_drawdown(equity: "pd.Series[float]") -> float:
    depths = drawdown(equity)
    below = depths < 0
    if not below.any():
        return 0.0
    number = (~below).cumsum()[below]  # the same from a peak to the next
    return float(depths[below].groupby(number).min().mean())


def _ratio(value: float, by: float) -> float:
    # Returns that are all alike have a deviation of rounding errors, not of 0.
    return value / by if abs(by) > 1e-12 else math.nan
