"""The backtest: what a portfolio would have been worth, had it followed its target weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from research.errors import ResearchError
from research.portfolios.costs import Costs, Market, Slippage, market, rebalance

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

DUST = 1e-12  # of the portfolio's value: smaller trades are not made

TRADES = {
    "date": pl.Date,
    "entity": pl.String,
    "quantity": pl.Float64,
    "price": pl.Float64,
    "value": pl.Float64,
    "cost": pl.Float64,
}


@dataclass(frozen=True)
class BacktestResult:
    """What a backtest found, by day, from the day of the first decision on.

    `equity` is the value at the close, after that day's trades and costs; `weights` are those held then, as
    shares of it, a column for each entity. `trades` has `date`, `entity`, `quantity` (negative: sold), `price`,
    `value` (quantity * price) and `cost`, one row for each trade.
    """

    equity: "pd.Series[float]"
    weights: "pd.DataFrame"
    trades: pl.DataFrame

    @property
    def turnover(self) -> "pd.Series[float]":
        """Half the absolute value traded, as a share of the value before the trades and their costs, by day."""
        traded = self._by_day("value", absolute=True)
        return traded / 2 / (self.equity + self._by_day("cost", absolute=False))

    @property
    def costs(self) -> "pd.Series[float]":
        """What trading has cost, by day."""
        return self._by_day("cost", absolute=False)

    def _by_day(self, column: str, *, absolute: bool) -> "pd.Series[float]":
        import pandas as pd

        values = self.trades[column].abs() if absolute else self.trades[column]
        days = pd.DatetimeIndex(self.trades["date"].to_numpy().astype("datetime64[ns]"))
        return (
            pd.Series(values.to_numpy(), index=days).groupby(level=0).sum().reindex(self.equity.index, fill_value=0.0)
        )


def run_backtest(
    prices: "pd.DataFrame",
    targets: "pd.DataFrame",
    *,
    initial_capital: float,
    costs: Costs,
    volumes: "pd.DataFrame | None" = None,
) -> BacktestResult:
    """Follow `targets` through `prices`, and return what came of it.

    Both are panels: a row for each date, a column for each entity. A row of targets holds the weights that
    were decided at the close of its date, as shares of capital; what it leaves out is not held, and what is
    not invested is cash, which earns nothing. They are traded at the close of the next date of `prices`; the
    trades and their costs are those of `research.portfolios.costs.rebalance`. Between trades the quantities stay.
    Positions are fractional. A missing price is the last one known. Runs on the library bt.
    Raises `ResearchError` when there is nothing to follow, a target has no price, or all capital is lost.
    """
    prices = prices.sort_index().ffill()
    targets = targets.sort_index().fillna(0.0)
    _check(prices, targets)
    orders = _orders(prices, targets, market(prices, volumes))
    first = max(int(prices.index.searchsorted(targets.index[0], side="right")) - 1, 0)
    strategy = _run(prices.iloc[first:], _Execution(orders, costs, list(prices.columns)), initial_capital)
    days = prices.index[first:]
    equity = strategy.values.reindex(days).rename("equity")
    held = strategy.positions.reindex(index=days, columns=prices.columns).fillna(0.0)
    weights = (held * prices.loc[days].fillna(0.0)).div(equity, axis=0)
    trades = pl.DataFrame(strategy.perm.get("trades", []), schema=TRADES, orient="row")
    return BacktestResult(equity, weights, trades)


@dataclass(frozen=True)
class _Order:
    """The weights to reach on a day, and what is known of the market the day before."""

    weights: "NDArray[np.float64]"
    volatility: "NDArray[np.float64]"
    daily_value: "NDArray[np.float64] | None"


class _Execution:
    """The algo of the bt strategy: on a day with an order it trades to its weights, and pays the costs."""

    def __init__(self, orders: dict[Any, _Order], costs: Costs, names: list[str]) -> None:
        self.orders = orders
        self.costs = costs
        self.names = names

    def __call__(self, target: Any) -> bool:
        order = self.orders.get(target.now)
        if order is None:
            return False
        import numpy as np

        value = target.value
        prices = target.universe.loc[target.now].to_numpy()
        children = [target.children.get(name) for name in self.names]
        quantities = np.array([0.0 if child is None else child.position for child in children])
        holdings = np.where(quantities == 0, 0.0, quantities * np.nan_to_num(prices))
        impact = self._impact(order, holdings, value, target.now)
        done = rebalance(order.weights, holdings, value, rate=self.costs.rate, impact=impact)
        for place in np.flatnonzero(abs(done.values) > DUST * value):
            closed = order.weights[place] == 0
            quantity = -quantities[place] if closed else done.values[place] / prices[place]
            target.transact(quantity, child=self.names[place])
            row = (target.now.date(), self.names[place], quantity, prices[place], quantity * prices[place])
            target.perm.setdefault("trades", []).append((*row, done.costs[place]))
        paid = float(done.costs.sum())
        target.adjust(-paid, flow=False, fee=paid)
        return True

    def _impact(self, order: _Order, holdings: "NDArray[np.float64]", value: float, day: Any) -> "NDArray[np.float64]":
        """Return what multiplies |x| ** 1.5 in the costs of a trade x, by entity."""
        import numpy as np

        if self.costs.slippage is not Slippage.SQUARE_ROOT:
            return np.zeros(len(holdings))
        depth = np.full(len(holdings), self.costs.depth * value) if order.daily_value is None else order.daily_value
        traded = (order.weights != 0) | (holdings != 0)
        for known, what in ((np.isfinite(order.volatility), "two returns"), (depth > 0, "traded volume")):
            if not known[traded].all():
                name = self.names[int(np.flatnonzero(traded & ~known)[0])]
                raise ResearchError(
                    f"square_root slippage needs {what} of {name} before {day.date()}: start later, leave {name} out, "
                    "or choose another slippage model"
                )
        return np.where(traded, self.costs.impact * order.volatility / np.sqrt(depth), 0.0)


def _orders(prices: "pd.DataFrame", targets: "pd.DataFrame", known: Market) -> dict[Any, _Order]:
    weights = targets.reindex(columns=prices.columns, fill_value=0.0).to_numpy()
    orders: dict[Any, _Order] = {}
    for row, decision in enumerate(targets.index):
        place = int(prices.index.searchsorted(decision, side="right"))
        if place == len(prices):
            continue  # decided at the last close: not traded yet
        before = max(place - 1, 0)
        daily_value = None if known.daily_value is None else known.daily_value[before]
        # Two decisions before one trading day: the later one is what is traded.
        orders[prices.index[place]] = _Order(weights[row], known.volatility[before], daily_value)
    return orders


def _run(prices: "pd.DataFrame", execution: _Execution, initial_capital: float) -> Any:
    import warnings

    import bt

    strategy = bt.Strategy("portfolio", [execution])
    backtest = bt.Backtest(strategy, prices, initial_capital=initial_capital, integer_positions=False)
    with warnings.catch_warnings():
        # bt goes on to statistics that nobody reads here, and which warn where all is lost.
        warnings.simplefilter("ignore", RuntimeWarning)
        backtest.run()
    values = backtest.strategy.values
    if backtest.strategy.bankrupt or (values <= 0).any():
        lost = values.index[int((values <= 0).argmax())].date()
        raise ResearchError(f"the portfolio had lost all its capital by {lost}: lower its leverage")
    return backtest.strategy


def _check(prices: "pd.DataFrame", targets: "pd.DataFrame") -> None:
    if targets.empty or prices.empty or targets.index[0] > prices.index[-1]:
        reach = f"up to {prices.index[-1]:%Y-%m-%d}" if len(prices) else "none at all"
        raise ResearchError(f"there are no weights to follow within the prices ({reach}): widen the range of dates")
    unknown = [name for name in targets.columns if name not in prices.columns and (targets[name] != 0).any()]
    if unknown:
        raise ResearchError(f"there are weights but no prices for {', '.join(unknown)}: add them to the prices")
    for name in targets.columns.intersection(prices.columns):
        held = targets.index[targets[name] != 0]
        begun = prices[name].first_valid_index()
        if len(held) and (begun is None or held[0] < begun):
            raise ResearchError(f"{name} has a weight on {held[0]:%Y-%m-%d}, before its first price: start later")


def benchmark_equity(prices: "pd.Series[float]", equity: "pd.Series[float]") -> "pd.Series[float]":
    """Return what the benchmark would have been worth on the days of `equity`, which is a backtest's.

    It is bought without costs at the close of the second day, when the portfolio trades for the first time,
    for the same capital. A missing price is the last one known. Raises `ResearchError` when it has none by then.
    """
    bought = equity.index[min(1, len(equity) - 1)]
    known = prices.dropna().sort_index()
    aligned = known.reindex(known.index.union(equity.index)).ffill().reindex(equity.index)
    if not aligned.loc[bought] > 0:
        raise ResearchError(f"the benchmark has no price by {bought:%Y-%m-%d}, when it is bought: start later")
    worth = equity.iloc[0] * aligned / aligned.loc[bought]
    return worth.where(worth.index > bought, equity.iloc[0]).rename("benchmark")
