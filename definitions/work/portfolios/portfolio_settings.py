"""Settings of portfolios that no definition describes: how often weights are decided, what trading costs, ...

The specs of instances embed them.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from definitions.parameters import Parameters, TradingDays
from research.errors import did_you_mean, shown
from research.portfolios.costs import BPS, Costs, Slippage
from research.portfolios.rebalancing import Frequency, Weekday
from research.portfolios.score_weights import Selection

TRADES = "trades"
"""The name of the store that holds the trades of a backtest, beside that of its equity curve."""

DEAREST = 0.1  # share of the traded value from which on transaction costs are another unit's
CHEAPEST_BPS = 0.1  # below it, but for 0, slippage is a share's
_PER_TRADE = ("commission", "slippage")


def _share(value: float) -> float:
    if value >= DEAREST:
        raise ValueError(f"this is a share of the traded value: 0.001 is 10 basis points; {value:g} is too much")
    return value


def _basis_points(value: float) -> float:
    if 0 < value < CHEAPEST_BPS:
        raise ValueError(f"this is in basis points: 5 is a share of 0.0005; {value:g} is too little")
    return value


def _per_trade(costs: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `transaction_costs: {commission, slippage}` says, as fields of a backtest's config."""
    if odd := [name for name in costs if name not in _PER_TRADE]:
        hint = did_you_mean(str(odd[0]), _PER_TRADE)
        raise ValueError(f"transaction_costs has no {shown(odd[0])}; it is a share, or {{commission, slippage}}.{hint}")
    fields = {} if costs.get("commission") is None else {"transaction_costs": costs["commission"]}
    slippage = costs.get("slippage")
    if slippage is None:
        return fields
    if isinstance(slippage, bool) or not isinstance(slippage, int | float) or not 0 <= slippage < DEAREST:
        raise ValueError(
            f"transaction_costs.slippage is a share of the traded value, from 0 up to {DEAREST:g}: 0.0005 is 5 basis "
            f"points; not {shown(slippage)}"
        )
    if config.get("slippage_bps") is not None:
        raise ValueError("transaction_costs.slippage and slippage_bps are the same: leave one of them out")
    if config.get("slippage_model", Slippage.LINEAR) != Slippage.LINEAR:
        raise ValueError(
            f"transaction_costs.slippage is that of the slippage_model linear, not of {config['slippage_model']}: "
            "leave one of them out"
        )
    return fields | {"slippage_bps": float(f"{slippage / BPS:.12g}")}  # 0.0007 is 7, and not 6.999999999999999


class DateRange(Parameters):
    """The first and the last date of a range, both inclusive."""

    start: dt.date | None = Field(default=None, description="The first date; none: as early as the data allow.")
    end: dt.date | None = Field(default=None, description="The last date; none: as late as the data go.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError(f"start, {self.start}, lies after end, {self.end}: swap them")
        return self


class BacktestDates(DateRange):
    """The dates of a backtest, and how often the portfolio is looked at on them."""

    frequency: Frequency = Field(
        default=Frequency.DAILY,
        description="How often the portfolio is looked at: the equity curve has the last trading day of each period, "
        "volatility and ratios are of the returns of whole periods. Trades are simulated day by day all the same.",
    )


class BacktestConfig(Parameters):
    """How a backtest chooses, when it trades, and what that costs."""

    model_config = ConfigDict(allow_inf_nan=False)

    rebalance_frequency: Frequency = Field(
        default=Frequency.MONTHLY,
        description="How often weights are decided: at the close of the last trading day of each period, "
        "and traded at the next day's close.",
    )
    rebalance_day: Weekday | Annotated[int, Field(ge=1, le=31)] | None = Field(
        default=None,
        description="The day of each week (monday to sunday) or of each month (1 to 31) at whose close weights are "
        "decided; the trading day before it where it is none, else the first after it; none: the last trading day of "
        "the period.",
    )
    transaction_costs: Annotated[float, AfterValidator(_share)] = Field(
        default=0.0005,
        ge=0,
        description="Commissions and fees, as a share of the traded value: 0.001 is 10 basis points.",
        json_schema_extra={"exclusiveMaximum": DEAREST},
    )
    slippage_model: Slippage = Field(
        default=Slippage.NONE,
        description="What trading does to the price: none; linear, which slippage_bps implies: so much of the traded "
        "value; square_root: "
        "impact_coefficient * daily volatility * sqrt(traded value / daily traded value) of the traded value.",
    )
    slippage_bps: Annotated[float, AfterValidator(_basis_points)] = Field(
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

    @model_validator(mode="before")
    @classmethod
    def _by_commission_and_slippage(cls, config: Any) -> Any:
        if not isinstance(config, Mapping):
            return config
        costs, given = config.get("transaction_costs"), dict(config)
        if isinstance(costs, Mapping):
            del given["transaction_costs"]
            given |= _per_trade(costs, config)
        if given.get("slippage_bps") is not None:
            given.setdefault("slippage_model", Slippage.LINEAR)
        return given

    @model_validator(mode="after")
    def _day_of_its_period(self) -> Self:
        day, frequency = self.rebalance_day, self.rebalance_frequency
        fits = {Frequency.WEEKLY: Weekday, Frequency.MONTHLY: int}.get(frequency)
        if day is None or (fits is not None and isinstance(day, fits)):
            return self
        raise ValueError(
            f"rebalance_day {day} does not go with rebalance_frequency {frequency}: weekly takes a weekday, like "
            "friday, monthly a day from 1 to 31; leave it out for the last trading day of each period"
        )

    @property
    def costs(self) -> Costs:
        return Costs(
            transaction_share=self.transaction_costs,
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
    lookback: TradingDays = Field(
        default=252, ge=20, description="How many daily returns, up to that close, the optimizer sees."
    )
    information_coefficient: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="How well the signal is expected to predict: the correlation of its scores with later returns. "
        "It scales the expected returns that the signal stands for.",
    )
    signal_horizon: TradingDays = Field(
        default=21, ge=1, description="Over how many trading days those later returns are, as the signal is meant."
    )
    signal_weights: dict[str, float] = Field(
        default={}, description='Of several signals: how much each counts, like {"momentum": 2}; one without counts 1.'
    )
    date_range: DateRange = Field(default=DateRange(), description="The dates for which weights are decided.")
