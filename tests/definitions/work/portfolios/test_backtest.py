import datetime as dt
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from definitions.contract import ExtractRequest, Input, Kind
from definitions.stores.delta import DeltaStore
from definitions.work.outcome import Outcome
from definitions.work.portfolios.backtest import backtest
from definitions.work.portfolios.portfolio_settings import BacktestConfig, BacktestDates, DateRange
from research.errors import ResearchError
from research.portfolios.costs import Slippage
from tests.definitions.resources import make

MOMENTUM = "REF(close, 21) / REF(close, 252) - 1"
START, END = "2005-01-01", "2010-12-31"


def sample(name: str, role: str) -> Input:
    pipeline = make(Kind.PIPELINE, name, {"start": START, "end": END})
    return Input(name, role, pipeline.extract(ExtractRequest()))


@pytest.fixture(scope="module")
def prices() -> Input:
    return sample("sp500-sample", "assets")


@pytest.fixture(scope="module")
def index() -> Input:
    return sample("sp500-index-sample", "benchmark")


def signal(prices: Input, expression: str, role: str = "primary") -> Input:
    pipeline = make(Kind.PIPELINE, "expression", {"expression": expression})
    return Input(role, role, pipeline.extract(ExtractRequest(inputs=(Input("prices", "input", prices.frame),))))


@pytest.fixture
def stores(tmp_path: Path) -> tuple[DeltaStore, DeltaStore]:
    return DeltaStore(str(tmp_path / "equity")), DeltaStore(str(tmp_path / "trades"))


def rows(store: DeltaStore) -> pl.DataFrame:
    head = store.head()
    assert head is not None
    return store.scan(head.version).collect().sort("entity", "date")


def test_a_backtest_leaves_equity_trades_metrics_and_pictures(
    stores: tuple[DeltaStore, DeltaStore], prices: Input, index: Input
) -> None:
    outcome = backtest(
        *stores,
        prices=prices,
        benchmark=index,
        primary=signal(prices, MOMENTUM),
        secondary=[signal(prices, "close / MEAN(close, 200) - 1", role="secondary")],
        config=BacktestConfig(),
    )

    equity, trades = rows(stores[0]), rows(stores[1])
    assert equity.columns == ["date", "entity", "equity", "return_", "drawdown"]
    assert trades.columns == ["date", "entity", "quantity", "price", "value", "cost"]
    assert outcome.version == stores[0].head().version  # type: ignore[union-attr]
    assert outcome.further_versions == {"trades": stores[1].head().version}  # type: ignore[union-attr]
    assert (outcome.row_count, outcome.watermark) == (equity.height, dt.date(2010, 12, 31))
    assert set(equity["entity"]) == {"portfolio", "benchmark"}
    portfolio = equity.filter(entity="portfolio")
    # The first score is that of the 253rd day, 2006-01-03; the first month to end after it is January.
    assert portfolio.row(0) == (dt.date(2006, 1, 31), "portfolio", 1_000_000.0, None, 0.0)
    assert trades["date"].min() == dt.date(2006, 2, 1)
    assert outcome.metrics["total_return"] == pytest.approx(portfolio["equity"][-1] / 1_000_000 - 1)
    assert outcome.metrics["max_drawdown"] == pytest.approx(portfolio["drawdown"].min())
    assert set(outcome.metrics) == {
        *("total_return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "max_drawdown"),
        *("max_drawdown_days", "avg_drawdown", "var_95", "cvar_95", "positive_share", "turnover", "costs"),
        *("num_trades", "closed_positions", "win_rate", "profit_factor", "avg_trade_return", "avg_holding_period"),
        *("alpha", "beta", "tracking_error", "information_ratio"),
    }
    assert [picture.title for picture in outcome.pictures] == ["Equity", "Drawdown", "Weights"]
    assert all(picture.png.startswith(b"\x89PNG") for picture in outcome.pictures)
    lines = outcome.summary.splitlines()
    assert lines[0].startswith("1,000,000 became **")
    assert "from 2006-01-31 to 2010-12-31: 60 decisions, " in lines[0]
    assert lines[2] == "|  | portfolio | SPX |"
    assert any(line.startswith("| Maximum drawdown | -") for line in lines)


def test_a_secondary_signal_counts_from_its_neutral_value(stores: tuple[DeltaStore, DeltaStore], prices: Input) -> None:
    primary, secondary = signal(prices, MOMENTUM), signal(prices, "close / MEAN(close, 200)", role="secondary")

    def held(neutral: float) -> set[str]:
        given = replace(secondary, neutral=neutral)
        backtest(*stores, prices=prices, primary=primary, secondary=[given], config=BacktestConfig())
        return set(rows(stores[1])["entity"])

    assert held(0.0) > held(1.2) > set()


def test_the_same_again_commits_nothing(stores: tuple[DeltaStore, DeltaStore], prices: Input) -> None:
    def run() -> Outcome:
        return backtest(*stores, prices=prices, primary=signal(prices, MOMENTUM), config=BacktestConfig())

    first, second = run(), run()

    assert (first.found_new, second.found_new, second.version) == (True, False, first.version)
    assert "alpha" not in second.metrics


def test_weights_are_followed(stores: tuple[DeltaStore, DeltaStore], prices: Input) -> None:
    decided = [dt.date(2008, 1, 31), dt.date(2008, 6, 30)]
    frame = pl.DataFrame({"date": decided, "entity": ["AAPL", "JPM"], "weight": [1.0, 0.5]})
    config = BacktestConfig(transaction_costs=0, slippage_model=Slippage.NONE)

    backtest(*stores, prices=prices, weights=Input("optimizer", "weights", frame), config=config)

    trades = rows(stores[1]).sort("date", "entity")
    assert trades["date"][0] == dt.date(2008, 2, 1)
    first_july = trades.filter(pl.col("date") == dt.date(2008, 7, 1))
    assert first_july["entity"].to_list() == ["AAPL", "JPM"]
    # All of it is sold; it was the whole portfolio, half of which goes into the other one.
    assert first_july["value"][0] == pytest.approx(-2 * first_july["value"][1])


def test_a_share_of_a_thousandth_is_a_thousandth_of_each_trade(stores: tuple[DeltaStore, DeltaStore]) -> None:
    """By hand: half of a million is put into A at 100, which goes to 110, and is sold at 120."""
    days = [dt.date(2024, 1, day) for day in (2, 3, 4, 5)]
    frame = pl.DataFrame({"date": days, "entity": ["A"] * 4, "close": [90.0, 100.0, 110.0, 120.0]})
    weights = pl.DataFrame({"date": [days[0], days[2]], "entity": ["A", "A"], "weight": [0.5, 0.0]})
    config = BacktestConfig.model_validate(
        {"rebalance_frequency": "daily", "transaction_costs": 0.001, "slippage_model": "none"}
    )
    backtest(
        *stores,
        prices=Input("prices", "assets", frame),
        weights=Input("w", "weights", weights.vstack(weights[:1].with_columns(date=days[1])).sort("date")),
        config=config,
    )

    # Half of what is left after the costs is bought: after = 1,000,000 - 0.001 * after / 2.
    after = 1_000_000 / 1.0005
    bought = after / 2
    # The next day half is A again: of value = bought * 1.1 + after / 2, by a sale x with half of what is left.
    value = bought * 1.1 + after / 2
    left = (value - 0.001 * bought * 1.1) / (1 - 0.001 / 2)  # left = value - 0.001 * (bought * 1.1 - left / 2)
    sold = bought * 1.1 - left / 2
    last = left / 2 * 120 / 110
    trades, equity = rows(stores[1]).sort("date"), rows(stores[0]).sort("date")
    assert trades["value"].to_list() == pytest.approx([bought, -sold, -last], rel=1e-12)
    assert trades["cost"].to_list() == pytest.approx([0.001 * bought, 0.001 * sold, 0.001 * last], rel=1e-12)
    assert trades["cost"].to_list() == pytest.approx((trades["value"].abs() / 1000).to_list(), rel=1e-12)
    assert equity["equity"].to_list() == pytest.approx([1e6, after, left, left / 2 + last * 0.999], rel=1e-12)


def test_linear_slippage_comes_on_top(stores: tuple[DeltaStore, DeltaStore], prices: Input) -> None:
    frame = pl.DataFrame({"date": [dt.date(2008, 1, 31)], "entity": ["AAPL"], "weight": [1.0]})
    config = BacktestConfig.model_validate({"transaction_costs": {"commission": 0.001, "slippage": 0.0007}})

    backtest(*stores, prices=prices, weights=Input("w", "weights", frame), config=config)

    trades = rows(stores[1])
    assert trades["cost"].to_list() == pytest.approx((trades["value"].abs() * 0.0017).to_list(), rel=1e-12)


def test_a_range_of_dates_is_kept(stores: tuple[DeltaStore, DeltaStore], prices: Input) -> None:
    span = BacktestDates(start=dt.date(2008, 1, 1), end=dt.date(2009, 6, 15))

    backtest(*stores, prices=prices, primary=signal(prices, MOMENTUM), config=BacktestConfig(), date_range=span)

    dates = rows(stores[0])["date"]
    assert (dates.min(), dates.max()) == (dt.date(2008, 1, 31), dt.date(2009, 6, 15))


def test_volumes_make_costs_depend_on_capital(stores: tuple[DeltaStore, DeltaStore], prices: Input) -> None:
    traded = Input("prices", "assets", prices.frame.with_columns(volume=pl.lit(1e5)))
    momentum = signal(prices, MOMENTUM)

    def run(capital: float) -> Outcome:
        config = BacktestConfig(slippage_model=Slippage.SQUARE_ROOT, initial_capital=capital)
        return backtest(*stores, prices=traded, primary=momentum, config=config)

    small, large = run(1e4), run(1e7)

    assert large.metrics["costs"] > 2 * small.metrics["costs"]


def test_a_portfolio_that_stays_in_cash_has_no_ratios(stores: tuple[DeltaStore, DeltaStore], prices: Input) -> None:
    never = signal(prices, "close * 0 - 1", role="secondary")

    outcome = backtest(
        *stores, prices=prices, primary=signal(prices, MOMENTUM), secondary=[never], config=BacktestConfig()
    )

    assert outcome.metrics["total_return"] == 0
    assert "sharpe" not in outcome.metrics
    assert "| Sharpe ratio | – |" in outcome.summary
    assert "**Nothing was ever held**" in outcome.summary
    assert "| VaR 95 %, daily | 0.00% |" in outcome.summary
    assert rows(stores[1]).height == 0


def test_what_can_not_be_backtested_is_refused(stores: tuple[DeltaStore, DeltaStore], prices: Input) -> None:
    def refused(primary: Input | None = None, weights: Input | None = None, benchmark: Input | None = None) -> str:
        given = {"primary": primary, "weights": weights, "benchmark": benchmark}
        with pytest.raises(ResearchError) as caught:
            backtest(*stores, prices=prices, config=BacktestConfig(), **given)  # type: ignore[arg-type]
        return str(caught.value)

    momentum = signal(prices, MOMENTUM)
    weights = Input("w", "weights", prices.frame.rename({"close": "weight"}))
    assert "needs weights or a primary signal" in refused()
    assert "weights or signals, not both" in refused(primary=momentum, weights=weights)
    assert "the benchmark (sp500-sample) has 20 entities" in refused(primary=momentum, benchmark=prices)
    assert stores[0].head() is None


def test_what_has_no_weights_is_not_followed(stores: tuple[DeltaStore, DeltaStore], prices: Input) -> None:
    with pytest.raises(ResearchError) as caught:
        backtest(*stores, prices=prices, weights=signal(prices, MOMENTUM, role="weights"), config=BacktestConfig())
    assert str(caught.value) == (
        "weights has no weights to follow, its columns are date, entity, value: name an optimizer there, or an "
        "instance with the column 'weight'; scores are followed as signals"
    )


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (
            dt.date(2015, 1, 1),
            None,
            "there are no prices in the range of dates, from 2015-01-01: those of sp500-sample",
        ),
        (
            None,
            dt.date(2001, 1, 1),
            "there are no prices in the range of dates, up to 2001-01-01: those of sp500-sample",
        ),
        (
            dt.date(2008, 3, 3),
            dt.date(2008, 3, 14),
            "no monthly day of decision lies in the range of dates, from 2008-03-03 up to 2008-03-14: the prices up to "
            "its end go from 2005-01-03 to 2008-03-14; widen date_range, or rebalance more often",
        ),
    ],
)
def test_a_range_without_prices_or_decisions_is_refused(
    stores: tuple[DeltaStore, DeltaStore], prices: Input, start: dt.date | None, end: dt.date | None, said: str
) -> None:
    span = BacktestDates(start=start, end=end)
    with pytest.raises(ResearchError) as caught:
        backtest(*stores, prices=prices, primary=signal(prices, MOMENTUM), config=BacktestConfig(), date_range=span)
    assert str(caught.value).startswith(said)
    if "no prices" in said:
        assert str(caught.value).endswith(" go from 2005-01-03 to 2010-12-31; choose a date_range within them")


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="start, 2020-01-02, lies after end, 2020-01-01: swap them"):
        DateRange(start=dt.date(2020, 1, 2), end=dt.date(2020, 1, 1))
