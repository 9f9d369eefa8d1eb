"""Settings of portfolios that no definition describes: how often weights are decided, what trading costs, ...

The specs of instances embed them.
"""

import datetime as dt
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from definitions.parameters import Parameters
from research.portfolios.costs import Costs, Slippage
from research.portfolios.rebalancing import Frequency
from research.portfolios.score_weights import Selection

TRADES = "trades"
"""The name of the store that holds the trades of a backtest, beside that of its equity curve."""


class DateRange(Parameters):
    """The first and the last date of a range, both inclusive."""

    start: dt.date | None = Field(default=None, description="The first date; none: as early as the data allow.")
    end: dt.date | None = Field(default=None, description="The last date; none: as late as the data go.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError(f"start, {self.start}, lies after end, {self.end}: swap them")
        return self


class BacktestConfig(Parameters):
    """How a backtest chooses, when it trades, and what that costs."""

    model_config = ConfigDict(allow_inf_nan=False)

    rebalance_frequency: Frequency = Field(
        default=Frequency.MONTHLY,
        description="How often weights are decided: at the close of the last trading day of each period, "
        "and traded at the next day's close.",
    )
    transaction_costs: float = Field(
        default=5.0, ge=0, le=1000, description="Commissions and fees, in basis points of the traded value."
    )
    slippage_model: Slippage = Field(
        default=Slippage.LINEAR,
        description="What trading does to the price: none; linear: slippage_bps of the traded value; square_root: "
        "impact_coefficient * daily volatility * sqrt(traded value / daily traded value) of the traded value.",
    )
    slippage_bps: float = Field(
        default=5.0, ge=0, le=1000, description="Of linear slippage: basis points of the traded value."
    )
    impact_coefficient: float = Field(
        default=1.0, ge=0, le=10, description="Of square_root slippage: its coefficient, about 1 for stocks."
    )
    market_depth: float = Field(
        default=100.0,
        gt=0,
        description="Of square_root slippage, where the prices have no column volume: the daily traded value of each "
        "entity, as a multiple of the portfolio's value.",
    )
    initial_capital: float = Field(default=1_000_000.0, gt=0, description="The capital at the start, in currency.")
    top_fraction: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Of a backtest of signals: the share of the entities with a score that is held, the best first.",
    )
    long_short: bool = Field(
        default=False,
        description="Of a backtest of signals: sell the worst as short as the best are long, half the capital each.",
    )

    @property
    def costs(self) -> Costs:
        return Costs(
            transaction_bps=self.transaction_costs,
            slippage=self.slippage_model,
            linear_bps=self.slippage_bps,
            impact=self.impact_coefficient,
            depth=self.market_depth,
        )

    @property
    def selection(self) -> Selection:
        return Selection(top_fraction=self.top_fraction, long_short=self.long_short)


class OptimizationSettings(Parameters):
    """When weights are decided, and from what."""

    model_config = ConfigDict(allow_inf_nan=False)

    rebalance_frequency: Frequency = Field(
        default=Frequency.MONTHLY,
        description="How often weights are decided: at the close of the last trading day of each period.",
    )
    lookback: int = Field(
        default=252, ge=20, description="How many daily returns, up to that close, the optimizer sees."
    )
    information_coefficient: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="How well the signal is expected to predict: the correlation of its scores with later returns. "
        "It scales the expected returns that the signal stands for.",
    )
    signal_horizon: int = Field(
        default=21, ge=1, description="Over how many days those later returns are, as the signal is meant."
    )
    date_range: DateRange = Field(default=DateRange(), description="The dates for which weights are decided.")
