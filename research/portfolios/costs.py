"""Costs of trading: what a rebalance takes from the capital."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from research.errors import ResearchError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

WINDOW = 21
BPS = 1e-4


class Slippage(StrEnum):
    """How the price moves against a trade."""

    NONE = "none"
    LINEAR = "linear"
    SQUARE_ROOT = "square_root"


@dataclass(frozen=True)
class Costs:
    """What a trade costs, as a share of its absolute value |x|: transaction costs plus slippage.

    - Transaction costs: `transaction_share`.
    - Slippage, by `slippage`: none: 0. linear: `linear_bps` / 10,000, like half a quoted spread.
      square_root: `impact` * volatility * sqrt(|x| / daily value), the square-root law of market impact
      (Grinold and Kahn, "Active Portfolio Management", 2nd edition, 2000, chapter 16; B. Toth et al., "Anomalous
      Price Impact and the Critical Nature of Liquidity in Financial Markets", Physical Review X 1, 2011).
      The volatility is the standard deviation of the entity's last 21 daily returns. The daily value is the
      mean traded value (close * volume) of the last 21 days where volumes are given, else
      `depth` * the portfolio's value: then the costs don't depend on the capital. Both are known at the
      close of the day of decision, the day before the trade.
    """

    transaction_share: float
    slippage: Slippage
    linear_bps: float
    impact: float
    depth: float

    @property
    def rate(self) -> float:
        """The part of the costs that is proportional to the traded value."""
        linear = self.linear_bps if self.slippage is Slippage.LINEAR else 0.0
        return self.transaction_share + linear * BPS


@dataclass(frozen=True)
class Market:
    """What the costs of a day's trades depend on: arrays by date and entity, each known at that day's close.

    `volatility` is per day; `daily_value` is in currency, None where no volumes are known.
    """

    volatility: "NDArray[np.float64]"
    daily_value: "NDArray[np.float64] | None"


def market(prices: "pd.DataFrame", volumes: "pd.DataFrame | None") -> Market:
    """Return volatility and traded value over the last 21 days, of as many as there are, but at least two returns."""
    volatility = prices.pct_change(fill_method=None).rolling(WINDOW, min_periods=2).std()
    if volumes is None:
        return Market(volatility.to_numpy(), None)
    traded = prices * volumes.reindex(index=prices.index, columns=prices.columns)
    return Market(volatility.to_numpy(), traded.rolling(WINDOW, min_periods=1).mean().to_numpy())


@dataclass(frozen=True)
class Rebalance:
    """Trades `values` (signed, in currency) with their `costs`, after which the portfolio is worth `after`."""

    values: "NDArray[np.float64]"
    costs: "NDArray[np.float64]"
    after: float


def rebalance(
    weights: "NDArray[np.float64]",
    holdings: "NDArray[np.float64]",
    value: float,
    *,
    rate: float,
    impact: "NDArray[np.float64]",
) -> Rebalance:
    """Return the trades after which the weights, of what is then left, are exactly `weights`.

    `holdings` are the values held before, `value` is the portfolio's with its cash. With the trades
    x = weights * after - holdings, the value after the trades solves
    after = value - sum(rate * |x| + impact * |x| ** 1.5), by bracketing to a relative 1e-14. So costs are
    paid from the portfolio, in proportion, and cash is (1 - sum(weights)) * after.
    Raises `ResearchError` when the costs exceed the value.
    """
    from scipy.optimize import brentq

    def costs(after: float) -> "NDArray[np.float64]":
        traded = abs(weights * after - holdings)
        return rate * traded + impact * traded**1.5

    def missing(after: float) -> float:
        return float(after + costs(after).sum() - value)

    if missing(0.0) >= 0:
        raise ResearchError(f"trading costs would take all of the capital, {value:,.2f}: lower the costs or the trades")
    after = value if missing(value) <= 0 else float(brentq(missing, 0.0, value, xtol=value * 1e-14, rtol=1e-14))
    return Rebalance(weights * after - holdings, costs(after), after)
