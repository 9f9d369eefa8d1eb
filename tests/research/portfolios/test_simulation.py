import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from research.errors import ResearchError
from research.portfolios.costs import Costs, Slippage
from research.portfolios.rebalancing import Frequency, rebalance_dates
from research.portfolios.score_weights import Selection, selected_weights
from research.portfolios.simulation import BacktestResult, benchmark_equity, run_backtest
from tests.research.market import index, shuffled_after, stocks

if TYPE_CHECKING:
    import pandas as pd

CAPITAL = 1_000_000.0


def decisions(prices: "pd.DataFrame", frequency: Frequency, after: int = 260) -> "pd.DatetimeIndex":
    import pandas as pd

    days = pd.DatetimeIndex(rebalance_dates([day.date() for day in prices.index], frequency))
    return days[days >= prices.index[after]]


def momentum(prices: "pd.DataFrame") -> "pd.DataFrame":
    return prices.shift(21) / prices.shift(252) - 1


def targets(prices: "pd.DataFrame", frequency: Frequency, *, long_short: bool = False) -> "pd.DataFrame":
    selection = Selection(top_fraction=0.25, long_short=long_short)
    return selected_weights(momentum(prices), [], decisions(prices, frequency), selection)


def simulated(
    prices: "pd.DataFrame", weights: "pd.DataFrame", costs: Costs, volumes: "pd.DataFrame | None" = None
) -> NDArray[np.float64]:
    """Return the value on each day of `prices`: plain NumPy, day by day, with costs by repeated substitution."""
    closes = prices.to_numpy()
    days = list(prices.index)
    decided = {days.index(day): row for day, row in zip(weights.index, weights.to_numpy(), strict=True)}
    quantities, cash, values = np.zeros(closes.shape[1]), CAPITAL, []
    for today, price in enumerate(closes):
        if today - 1 in decided:
            target, held = decided[today - 1], quantities * price
            before = cash + held.sum()
            rate, impact = costs.transaction_share, np.zeros(len(price))
            if costs.slippage is Slippage.LINEAR:
                rate += costs.linear_bps / 10_000
            if costs.slippage is Slippage.SQUARE_ROOT:
                past = closes[max(today - 22, 0) : today]  # up to the close of the day of decision
                deviation = np.std(past[1:] / past[:-1] - 1, axis=0, ddof=1)
                depth = costs.depth * before * np.ones(len(price))
                if volumes is not None:
                    depth = (closes * volumes.to_numpy())[max(today - 21, 0) : today].mean(axis=0)
                impact = costs.impact * deviation / np.sqrt(depth)
            after = before
            for _ in range(200):
                traded = np.abs(target * after - held)
                after = before - np.sum(rate * traded + impact * traded * np.sqrt(traded))
            quantities = target * after / price
            cash = after - (quantities * price).sum()
        values.append(cash + (quantities * price).sum())
    return np.array(values)


def charged(**fields: Any) -> Costs:
    """Return costs that are nothing but for these."""
    free: dict[str, Any] = {
        "transaction_share": 0.0,
        "slippage": Slippage.NONE,
        "linear_bps": 5.0,
        "impact": 1.0,
        "depth": 100.0,
    }
    return Costs(**(free | fields))


ALL_COSTS = [
    charged(),
    charged(transaction_share=0.002),
    charged(transaction_share=0.0005, slippage=Slippage.LINEAR, linear_bps=10),
    charged(transaction_share=0.0005, slippage=Slippage.SQUARE_ROOT, depth=20),
    charged(slippage=Slippage.SQUARE_ROOT, impact=3, depth=1),
]


@pytest.mark.parametrize("costs", ALL_COSTS, ids=str)
@pytest.mark.parametrize("frequency", Frequency)
@pytest.mark.parametrize("long_short", [False, True])
def test_equity_is_that_of_a_plain_simulation(costs: Costs, frequency: Frequency, long_short: bool) -> None:
    prices = stocks("2007", "2010")
    weights = targets(prices, frequency, long_short=long_short)

    result = run_backtest(prices, weights, initial_capital=CAPITAL, costs=costs)

    start = prices.index.get_loc(weights.index[0])
    expected = simulated(prices, weights, costs)[start:]
    assert list(result.equity.index) == list(prices.index[start:])
    np.testing.assert_allclose(result.equity.to_numpy(), expected, rtol=1e-9)
    assert result.equity.iloc[0] == CAPITAL


def test_equity_is_that_of_a_plain_simulation_with_volumes() -> None:
    import pandas as pd

    prices = stocks("2007", "2010")
    weights = targets(prices, Frequency.WEEKLY)
    shares = np.random.default_rng(3).uniform(1e4, 1e6, prices.shape)
    volumes = pd.DataFrame(shares, index=prices.index, columns=prices.columns)
    costs = charged(transaction_share=0.0003, slippage=Slippage.SQUARE_ROOT)

    result = run_backtest(prices, weights, initial_capital=CAPITAL, costs=costs, volumes=volumes)

    expected = simulated(prices, weights, costs, volumes)[prices.index.get_loc(weights.index[0]) :]
    np.testing.assert_allclose(result.equity.to_numpy(), expected, rtol=1e-9)


def test_weights_are_reached_at_the_close_after_the_decision() -> None:
    prices = stocks("2007", "2010")
    weights = targets(prices, Frequency.MONTHLY)

    result = run_backtest(prices, weights, initial_capital=CAPITAL, costs=ALL_COSTS[3])

    for day, row in weights.iterrows():
        place = result.equity.index.get_loc(day) + 1
        if place < len(result.equity):
            np.testing.assert_allclose(result.weights.iloc[place], row, atol=1e-12)
    assert (result.weights.iloc[0] == 0).all()


def test_the_trades_account_for_the_equity() -> None:
    prices = stocks("2007", "2010")

    result = run_backtest(prices, targets(prices, Frequency.WEEKLY), initial_capital=CAPITAL, costs=ALL_COSTS[3])

    last = prices.iloc[-1]
    held = result.trades.group_by("entity").agg(pl.col("quantity").sum())
    worth = sum(quantity * last[name] for name, quantity in held.rows())
    cash = CAPITAL - float((result.trades["value"] + result.trades["cost"]).sum())
    assert worth + cash == pytest.approx(result.equity.iloc[-1], rel=1e-9)
    assert (result.trades["cost"] > 0).all()
    assert result.costs.sum() == pytest.approx(result.trades["cost"].sum())


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_after_a_day_changes_nothing_up_to_it(seed: int) -> None:
    prices = stocks("2007", "2010")
    day = prices.index[600 + 40 * seed]
    mixed = shuffled_after(prices, day, seed)
    costs = charged(transaction_share=0.001, slippage=Slippage.SQUARE_ROOT)

    seen, other = (
        run_backtest(given, targets(given, Frequency.WEEKLY), initial_capital=CAPITAL, costs=costs)
        for given in (prices, mixed)
    )

    assert seen.equity[:day].equals(other.equity[:day])
    assert seen.weights[:day].equals(other.weights[:day])
    assert seen.trades.filter(pl.col("date") <= day.date()).equals(other.trades.filter(pl.col("date") <= day.date()))
    assert not seen.equity.equals(other.equity)


@pytest.mark.parametrize("capital", [1.0, 1e10])
def test_capital_scales_equity_and_nothing_else(capital: float) -> None:
    prices = stocks("2007", "2010")
    weights = targets(prices, Frequency.MONTHLY)

    small, large = (
        run_backtest(prices, weights, initial_capital=given, costs=ALL_COSTS[3]) for given in (capital, CAPITAL)
    )

    np.testing.assert_allclose(small.equity / capital, large.equity / CAPITAL, rtol=1e-10)
    assert small.trades.height == large.trades.height


def test_a_missing_price_is_the_last_known() -> None:
    prices = stocks("2007", "2008")
    weights = targets(prices, Frequency.MONTHLY).iloc[:3]
    deleted = weights.columns[(weights.iloc[0] > 0).argmax()]
    after = weights.index[0] + (weights.index[1] - weights.index[0]) / 2
    holed, carried = prices.copy(), prices.copy()
    holed.loc[after:, deleted] = np.nan
    carried.loc[after:, deleted] = prices[deleted].loc[:after].iloc[-1]

    one, other = (run_backtest(given, weights, initial_capital=CAPITAL, costs=charged()) for given in (holed, carried))

    np.testing.assert_allclose(one.equity, other.equity, rtol=1e-12)


def test_decisions_between_trading_days_are_traded_on_the_next() -> None:
    import pandas as pd

    prices = stocks("2007-01", "2007-03")
    weights = pd.DataFrame({"AAPL": [1.0]}, index=[pd.Timestamp("2007-02-03")])  # a Saturday

    result = run_backtest(prices, weights, initial_capital=CAPITAL, costs=charged())

    assert result.equity.index[0] == pd.Timestamp("2007-02-02")
    assert result.trades["date"].to_list() == [dt.date(2007, 2, 5)]


def test_what_can_not_be_followed_is_refused() -> None:
    import pandas as pd

    prices = stocks("2007-01", "2007-03")
    prices.loc[:"2007-02-15", "AMD"] = np.nan
    day = pd.Timestamp("2007-02-05")

    def refused(name: str, when: pd.Timestamp, weight: float = 1.0, costs: Costs | None = None) -> str:
        weights = pd.DataFrame({name: [weight]}, index=[when])
        with pytest.raises(ResearchError) as caught:
            run_backtest(prices, weights, initial_capital=CAPITAL, costs=costs or charged())
        return str(caught.value)

    assert refused("TSLA", day) == "there are weights but no prices for TSLA: add them to the prices"
    assert refused("AMD", day) == "AMD has a weight on 2007-02-05, before its first price: start later"
    assert "no weights to follow within the prices (up to 2007-03-30)" in refused("AAPL", pd.Timestamp("2008-01-01"))
    sudden = charged(slippage=Slippage.SQUARE_ROOT)
    assert "needs two returns of AAPL before 2007-01-04" in refused("AAPL", prices.index[0], costs=sudden)
    assert "had lost all its capital by" in refused("AAPL", day, weight=-40.0)


def test_costs_that_take_all_of_the_capital_are_refused() -> None:
    import pandas as pd

    prices = stocks("2007-01", "2007-03")
    weights = pd.DataFrame({"AAPL": [1.0, 0.0]}, index=prices.index[[5, 10]])

    with pytest.raises(ResearchError, match="trading costs would take all of the capital"):
        run_backtest(prices, weights, initial_capital=CAPITAL, costs=charged(transaction_share=1.0))


def test_the_benchmark_is_bought_with_the_portfolio() -> None:
    prices, closes = stocks("2007", "2008"), index("2007", "2008")
    result = run_backtest(prices, targets(prices, Frequency.MONTHLY), initial_capital=CAPITAL, costs=charged())

    benchmark = benchmark_equity(closes, result.equity)

    assert benchmark.iloc[0] == benchmark.iloc[1] == CAPITAL
    assert result.equity.index[1].date() == result.trades["date"][0]
    assert benchmark.iloc[-1] == pytest.approx(CAPITAL * closes.iloc[-1] / closes[result.equity.index[1]])
    with pytest.raises(ResearchError, match="the benchmark has no price by"):
        benchmark_equity(closes["2008-06":], result.equity)


def test_twelve_years_of_weeks_take_a_moment() -> None:
    prices = stocks("2010", "2022")
    weights = targets(prices, Frequency.WEEKLY)

    began = time.perf_counter()
    result: BacktestResult = run_backtest(prices, weights, initial_capital=CAPITAL, costs=ALL_COSTS[3])

    assert time.perf_counter() - began < 10  # about 0.3 s on an idle machine
    assert len(result.equity) > 3000
