"""Backtests of a universe by date, of a day to decide on, and of what is looked at by week or month."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from definitions.contract import Input
from definitions.stores.delta import DeltaStore
from definitions.work.outcome import Outcome
from definitions.work.portfolios.backtest import backtest
from definitions.work.portfolios.portfolio_settings import BacktestConfig, BacktestDates
from research.errors import ResearchError

DAYS = [dt.date(2024, 1, day) for day in (1, 2, 3, 4, 5)]
CLOSES = {"A": [10, 10, 20, 30, 30], "B": [10, 10, 10, 10, 20], "C": [10, 10, 10, 10, 10]}
FREE = {"transaction_costs": 0, "slippage_model": "none"}
DAILY = BacktestConfig.model_validate({"rebalance_frequency": "daily", "top_fraction": 0.5, **FREE})


def long(wide: dict[str, list[float]], column: str, days: list[dt.date]) -> pl.DataFrame:
    frame = pl.DataFrame({"date": days, **wide}, strict=False)
    return frame.unpivot(index="date", variable_name="entity", value_name=column).cast({column: pl.Float64})


def inputs(scores: dict[str, list[float]]) -> dict[str, Input]:
    return {
        "prices": Input("prices", "assets", long(CLOSES, "close", DAYS)),  # type: ignore[arg-type]
        "primary": Input("scores", "primary", long(scores, "value", DAYS)),
    }


SCORES = {"A": [3.0] * 5, "B": [2.0] * 5, "C": [1.0] * 5}


def universe(entries: list[tuple[int, str]]) -> Input:
    frame = pl.DataFrame({"date": [DAYS[day - 1] for day, _ in entries], "entity": [name for _, name in entries]})
    return Input("constituents", "universe", frame)


@pytest.fixture
def stores(tmp_path: Path) -> tuple[DeltaStore, DeltaStore]:
    return DeltaStore(str(tmp_path / "equity")), DeltaStore(str(tmp_path / "trades"))


def rows(store: DeltaStore) -> pl.DataFrame:
    head = store.head()
    assert head is not None
    return store.scan(head.version).collect().sort("date", "entity")


def trades(store: DeltaStore) -> list[tuple[int, str, float]]:
    return [(row["date"].day, row["entity"], round(row["quantity"], 6)) for row in rows(store).iter_rows(named=True)]


def test_only_members_are_held_and_who_leaves_is_sold(stores: tuple[DeltaStore, DeltaStore]) -> None:
    """By hand: A, B are members on day 1, B, C from day 3. The best half, one of two, gets all the capital.

    Decided on day 1: A, bought on day 2 at 10: 100,000 pieces. On day 3 A is no member: the best one is B, traded on
    day 4: A sold at 30, 3 million in B at 10. B ends at 20: 6 million.
    """
    members = universe([(1, "A"), (1, "B"), (3, "B"), (3, "C")])

    outcome = backtest(*stores, **inputs(SCORES), config=DAILY, universe=members)  # type: ignore[arg-type]

    assert trades(stores[1]) == [(2, "A", 100_000), (4, "A", -100_000), (4, "B", 300_000)]
    assert rows(stores[0])["equity"].to_list() == pytest.approx([1e6, 1e6, 2e6, 3e6, 6e6], rel=1e-12)
    assert "The universe, constituents, had 2 to 2 members on the days of decision, 3 in all." in outcome.summary


def test_the_weights_of_others_are_zero_and_those_of_members_are_not_scaled(
    stores: tuple[DeltaStore, DeltaStore],
) -> None:
    """By hand: half in A, half in B; A leaves on day 3, and its half stays in cash."""
    weights = Input("w", "weights", long({"A": [0.5], "B": [0.5]}, "weight", DAYS[:1]))
    members = universe([(1, "A"), (1, "B"), (3, "B"), (3, "C")])
    prices = inputs(SCORES)["prices"]

    backtest(*stores, prices=prices, weights=weights, config=DAILY, universe=members)

    # Day 2: 50,000 of each at 10. Day 3: worth 1.5 million, half in each: A 37,500 at 20, B 75,000 at 10.
    # Day 4: A at 30 is sold; worth 1.875 million, of which half, 93,750, is in B at 10. B doubles.
    assert trades(stores[1])[-3:] == [(4, "A", -37_500), (4, "B", 18_750), (5, "B", -23_437.5)]
    equity = rows(stores[0])["equity"].to_list()
    assert equity == pytest.approx([1e6, 1e6, 1.5e6, 1.875e6, 2.8125e6], rel=1e-12)


def test_days_before_the_universe_are_not_decided(stores: tuple[DeltaStore, DeltaStore]) -> None:
    backtest(*stores, **inputs(SCORES), config=DAILY, universe=universe([(3, "C")]))  # type: ignore[arg-type]
    assert trades(stores[1]) == [(4, "C", 100_000)]


def test_members_without_prices_are_told_of(stores: tuple[DeltaStore, DeltaStore]) -> None:
    members = universe([(1, "A"), (1, "GONE")])
    outcome = backtest(*stores, **inputs(SCORES), config=DAILY, universe=members)  # type: ignore[arg-type]
    assert "**1 of them have no prices**, and could not be held: GONE." in outcome.summary


def test_a_universe_that_is_called_otherwise_is_refused(stores: tuple[DeltaStore, DeltaStore]) -> None:
    with pytest.raises(ResearchError) as caught:
        backtest(*stores, **inputs(SCORES), config=DAILY, universe=universe([(1, "AAA")]))  # type: ignore[arg-type]
    assert str(caught.value) == (
        "no member of the universe, like AAA, has a score of scores and a price on a day of decision; there are scores "
        "of A, B, C: see that entities are called the same in both"
    )
    assert stores[0].head() is None


def test_lists_that_can_come_in_parts_are_refused(stores: tuple[DeltaStore, DeltaStore]) -> None:
    lists = replace(universe([(1, "A"), (3, "B")]), revised=True)
    with pytest.raises(ResearchError, match="constituents can be revised, and have no column 'member': of a list"):
        backtest(*stores, **inputs(SCORES), config=DAILY, universe=lists)  # type: ignore[arg-type]
    changes = replace(lists, frame=lists.frame.with_columns(member=pl.lit(1)))
    backtest(*stores, **inputs(SCORES), config=DAILY, universe=changes)  # type: ignore[arg-type]
    assert rows(stores[1]).height > 0


@pytest.mark.parametrize("changed", [3, 4, 5])
def test_no_later_member_changes_anything_up_to_a_day(stores: tuple[DeltaStore, DeltaStore], changed: int) -> None:
    def left(entries: list[tuple[int, str]]) -> tuple[pl.DataFrame, pl.DataFrame]:
        backtest(*stores, **inputs(SCORES), config=DAILY, universe=universe(entries))  # type: ignore[arg-type]
        known = pl.col("date") <= DAYS[changed - 1]
        return rows(stores[0]).filter(known), rows(stores[1]).filter(known)

    before = left([(1, "A"), (1, "B")])
    after = left([(1, "A"), (1, "B"), (changed, "C")])

    assert all(one.equals(other) for one, other in zip(before, after, strict=True))


# The day to decide on


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"rebalance_frequency": "daily", "rebalance_day": "friday"},
            "rebalance_day friday does not go with rebalance_frequency daily: weekly takes a weekday, like friday, "
            "monthly a day from 1 to 31; leave it out for the last trading day of each period",
        ),
        ({"rebalance_frequency": "weekly", "rebalance_day": 5}, "rebalance_day 5 does not go with"),
        ({"rebalance_day": "friday"}, "rebalance_day friday does not go with rebalance_frequency monthly"),
        ({"rebalance_frequency": "quarterly", "rebalance_day": 5}, "rebalance_day 5 does not go with"),
        ({"rebalance_day": 32}, "less than or equal to 31"),
        ({"rebalance_frequency": "weekly", "rebalance_day": "fryday"}, "'monday', 'tuesday'"),
    ],
)
def test_a_day_that_can_not_be_meant_is_refused(config: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match="rebalance") as caught:
        BacktestConfig.model_validate(config)
    assert told in str(caught.value)


def test_weights_are_decided_on_the_day_of_the_week(stores: tuple[DeltaStore, DeltaStore]) -> None:
    config = DAILY.model_validate({**DAILY.model_dump(), "rebalance_frequency": "weekly", "rebalance_day": "wednesday"})
    backtest(*stores, **inputs(SCORES), config=config)  # type: ignore[arg-type]
    assert {day for day, *_ in trades(stores[1])} == {4}  # decided on Wednesday 3 January


# How often it is looked at


def looked_at(stores: tuple[DeltaStore, DeltaStore], frequency: str) -> Outcome:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(200)]
    days = [day for day in days if day.weekday() < 5]
    closes = [100.0]
    for number in range(1, len(days)):
        closes.append(closes[-1] * (1.02 if number % 3 else 0.97))
    prices = Input("prices", "assets", pl.DataFrame({"date": days, "entity": "A", "close": closes}))
    weights = pl.DataFrame({"date": [days[2]], "entity": ["A"], "weight": [1.0]})
    return backtest(
        *stores,
        prices=prices,
        weights=Input("w", "weights", weights),
        config=BacktestConfig.model_validate({"rebalance_frequency": "daily", **FREE}),
        date_range=BacktestDates.model_validate({"frequency": frequency}),
    )


@pytest.mark.parametrize(("frequency", "periods"), [("weekly", 52), ("monthly", 12), ("quarterly", 4)])
def test_ratios_are_of_whole_periods_and_by_their_number_in_a_year(
    stores: tuple[DeltaStore, DeltaStore], frequency: str, periods: int
) -> None:
    daily = looked_at(stores, "daily")
    curve = rows(stores[0]).select("date", "equity")
    outcome = looked_at(stores, frequency)
    seen = rows(stores[0])

    every = {"weekly": "1w", "monthly": "1mo", "quarterly": "1q"}[frequency]
    ends = curve.group_by(pl.col("date").dt.truncate(every)).agg(pl.col("date").max().alias("end"))["end"].sort()
    whole = ends.to_list()[:-1] if frequency != "weekly" else ends.to_list()  # it ends on a Thursday of July
    last = curve["date"].max()
    if whole[-1] == last:
        whole = whole[:-1]
    returns = curve.filter(pl.col("date").is_in(whole))["equity"].pct_change().drop_nulls()
    if len(returns) > 1:
        assert outcome.metrics["volatility"] == pytest.approx(returns.std() * periods**0.5, rel=1e-9)
        sharpe = returns.mean() / returns.std() * periods**0.5  # type: ignore[operator]
        assert outcome.metrics["sharpe"] == pytest.approx(sharpe, rel=1e-9)
    else:
        assert "volatility" not in outcome.metrics
    assert seen["date"].to_list() == sorted({curve["date"][0], *whole, last})
    assert seen["equity"][-1] == pytest.approx(curve["equity"][-1], rel=1e-12)
    for name in ("total_return", "annual_return", "max_drawdown", "max_drawdown_days", "turnover"):
        assert outcome.metrics[name] == pytest.approx(daily.metrics[name], rel=1e-12)
    assert f"| VaR 95 %, {frequency} |" in outcome.summary
