import datetime as dt
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from definitions.contract import Allocation, AllocationRequest, Input, Kind, Optimizer
from definitions.errors import Infeasible, UnknownEntities
from definitions.stores.delta import DeltaStore
from definitions.work.outcome import Outcome
from definitions.work.portfolios.optimization import optimize
from definitions.work.portfolios.portfolio_settings import DateRange, OptimizationSettings
from research.errors import ResearchError
from research.frames.panels import panel_rows
from research.portfolios.rebalancing import Frequency
from tests.definitions.resources import make
from tests.research.market import shuffled_after, stocks

NAMES = ["mean-variance", "minimum-cvar", "risk-budgeting", "hierarchical-risk-parity"]


class Recorder:
    """An optimizer that holds all alike, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[AllocationRequest] = []

    def allocate(self, request: AllocationRequest) -> Allocation:
        self.asked.append(request)
        names = request.returns.columns
        return Allocation(pd.Series(1 / len(names), index=names), 0.1, 0.2, float(len(names)), "closed form")


def prices_of(wide: pd.DataFrame) -> Input:
    return Input("prices", "prices", panel_rows(wide, "close"))


def signal_of(wide: pd.DataFrame) -> Input:
    return Input("momentum", "signal", panel_rows(wide, "value"))


def momentum(wide: pd.DataFrame) -> Input:
    return signal_of(wide.shift(21) / wide.shift(252) - 1)


def built(name: str, config: dict[str, Any] | None = None) -> Optimizer:
    optimizer: Optimizer = make(Kind.PORTFOLIO_OPTIMIZER, name, config or {})
    return optimizer


def settings(**given: Any) -> OptimizationSettings:
    return OptimizationSettings.model_validate(given)


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    return DeltaStore(str(tmp_path / "weights"))


def rows(store: DeltaStore) -> pl.DataFrame:
    head = store.head()
    assert head is not None
    return store.scan(head.version).collect().sort("date", "entity")


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_kept_by_date(name: str, store: DeltaStore) -> None:
    wide = stocks("2009", "2011")

    outcome = optimize(
        built(name, {"max_weight": 0.2}), store, prices=prices_of(wide), signals=[momentum(wide)], settings=settings()
    )

    kept = rows(store)
    assert kept.columns == ["date", "entity", "weight"]
    # 252 returns, and the first scores, are there from 2010-01-04 on.
    assert kept["date"].unique().to_list()[0] == dt.date(2010, 1, 29)
    assert kept["date"].n_unique() == 24
    assert (outcome.row_count, outcome.watermark) == (24 * 20, dt.date(2011, 12, 30))
    sums = kept.group_by("date").agg(pl.col("weight").sum(), pl.col("weight").max().alias("greatest"))
    np.testing.assert_allclose(sums["weight"], 1, atol=1e-6)
    assert (sums["greatest"].to_numpy() <= 0.2 + 1e-6).all()
    assert outcome.metrics.keys() - {"iterations"} == {
        *("expected_return", "volatility", "effective_bets", "dates", "mean_turnover"),
        *("expected_sharpe", "diversification_ratio", "effective_n", "concentration"),
        *("gross_exposure", "net_exposure", "long_weight", "short_weight"),
    }
    last = kept.filter(pl.col("date") == pl.col("date").max())["weight"]
    assert outcome.metrics["effective_n"] == pytest.approx(1 / (last**2).sum(), rel=1e-9)
    sharpe = outcome.metrics["expected_return"] / outcome.metrics["volatility"]
    assert outcome.metrics["expected_sharpe"] == pytest.approx(sharpe, rel=1e-9)
    assert outcome.metrics["dates"] == 24
    status = "closed form" if name.startswith("hier") else "optimal"
    assert outcome.summary.startswith("Weights on 24 dates, 2010-01-29 to 2011-12-30; mean turnover ")
    assert f"The solver said: {status}." in outcome.summary
    assert outcome.facts == {"solver_status": status}
    assert outcome.pictures[0].png.startswith(b"\x89PNG")


@pytest.mark.parametrize("last", ["2010", pytest.param("2011", marks=pytest.mark.torture)])
@pytest.mark.parametrize("name", NAMES)
def test_what_comes_after_a_day_changes_no_weight_up_to_it(name: str, last: str, tmp_path: Path) -> None:
    wide = stocks("2009", last)
    day = pd.Timestamp("2010-11-17")
    config = {"max_weight": 0.3} | ({} if name.startswith("hier") else {"max_turnover": 0.3})
    seen: list[pl.DataFrame] = []
    for place, given in enumerate((wide, shuffled_after(wide, day))):
        store = DeltaStore(str(tmp_path / str(place)))
        asked = settings(rebalance_frequency="weekly", lookback=100, date_range={"start": "2010-06-01"})
        optimize(built(name, config), store, prices=prices_of(given), signals=[momentum(given)], settings=asked)
        seen.append(rows(store))

    before = [frame.filter(pl.col("date") <= day.date()) for frame in seen]
    assert before[0].equals(before[1])
    assert before[0]["date"].n_unique() > 20
    assert not seen[0].equals(seen[1])


def test_later_prices_only_add_dates(tmp_path: Path) -> None:
    wide = stocks("2010", "2011")
    kept: list[pl.DataFrame] = []
    for last in ("2011-03-30", "2011-03-31", "2011-04-01", "2011-12-31"):
        store = DeltaStore(str(tmp_path / last))
        given = prices_of(wide.loc[:last])
        optimize(built("risk-budgeting"), store, prices=given, settings=settings(lookback=200))
        kept.append(rows(store))

    assert [frame["date"].max() for frame in kept[:3]] == [dt.date(2011, 2, 28), *[dt.date(2011, 3, 31)] * 2]
    for early in kept:
        assert kept[-1].filter(pl.col("date") <= early["date"].max()).equals(early)


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [
        (Frequency.DAILY, ["2011-01-03", "2011-01-04", "2011-01-05"]),
        (Frequency.WEEKLY, ["2011-01-07", "2011-01-14", "2011-01-21"]),
        (Frequency.QUARTERLY, ["2011-03-31", "2011-06-30", "2011-09-30"]),
    ],
)
def test_dates_follow_the_frequency(frequency: Frequency, expected: Sequence[str], store: DeltaStore) -> None:
    span = DateRange(start=dt.date(2011, 1, 1))
    asked = OptimizationSettings(rebalance_frequency=frequency, lookback=60, date_range=span)

    optimize(Recorder(), store, prices=prices_of(stocks("2010-06", "2011")), settings=asked)

    assert [str(date) for date in rows(store)["date"].unique().sort()[:3]] == expected


def test_the_optimizer_sees_the_lookback_and_what_it_holds(store: DeltaStore) -> None:
    wide, recorder = stocks("2010", "2010"), Recorder()

    outcome = optimize(recorder, store, prices=prices_of(wide), settings=settings(lookback=21))

    first, second = recorder.asked[:2]
    assert first.previous is None
    assert first.returns.index[-1] == pd.Timestamp("2010-02-26")
    expected = wide.pct_change().loc[:"2010-02-26"].iloc[-21:]
    np.testing.assert_allclose(first.returns, expected, rtol=1e-12)
    grown = wide.loc["2010-03-31"] / wide.loc["2010-02-26"] / 20
    assert second.previous is not None
    np.testing.assert_allclose(second.previous, grown / grown.sum(), rtol=1e-12)
    turnovers = [abs(1 / 20 - one.previous).sum() / 2 for one in recorder.asked[1:] if one.previous is not None]
    assert outcome.metrics["mean_turnover"] == pytest.approx(np.mean(turnovers))


def test_cash_does_not_drift(store: DeltaStore) -> None:
    wide = stocks("2010", "2010")

    class Half(Recorder):
        def allocate(self, request: AllocationRequest) -> Allocation:
            self.asked.append(request)
            return Allocation(pd.Series({"AAPL": 0.5}), 0.1, 0.2, 1.0, "closed form")

    half = Half()
    optimize(half, store, prices=prices_of(wide[["AAPL"]]), settings=settings(lookback=21))

    grown = 0.5 * wide.loc["2010-03-31", "AAPL"] / wide.loc["2010-02-26", "AAPL"]
    assert half.asked[1].previous is not None
    assert half.asked[1].previous["AAPL"] == pytest.approx(grown / (0.5 + grown))


def test_a_signal_becomes_expected_returns_by_the_rule_of_grinold(store: DeltaStore) -> None:
    wide, recorder = stocks("2010", "2010"), Recorder()
    scores = pd.DataFrame(np.tile(np.arange(20.0), (len(wide), 1)), index=wide.index, columns=wide.columns)
    asked = settings(lookback=100, information_coefficient=0.04, signal_horizon=16)

    optimize(recorder, store, prices=prices_of(wide), signals=[signal_of(scores)], settings=asked)

    request = recorder.asked[0]
    standard = (np.arange(20) - 9.5) / np.sqrt(np.mean((np.arange(20) - 9.5) ** 2))
    assert request.expected_returns is not None
    np.testing.assert_allclose(request.expected_returns, 0.04 * request.returns.std() * standard / 4, rtol=1e-12)


def test_several_signals_are_combined_by_their_weights(store: DeltaStore) -> None:
    wide = stocks("2010", "2010")
    one = pd.DataFrame(np.tile(np.arange(20.0), (len(wide), 1)), index=wide.index, columns=wide.columns)
    other = (one - 5) ** 2
    other["JPM"] = np.nan  # without a score of each it is not chosen from
    given = [Input("one", "signal", signal_of(one).frame), Input("other", "signal", signal_of(other).frame)]

    def expected(**weights: float) -> tuple[list[str], "np.ndarray[Any, Any]"]:
        recorder = Recorder()
        asked = settings(lookback=100, information_coefficient=0.04, signal_horizon=16, signal_weights=weights)
        optimize(recorder, store, prices=prices_of(wide), signals=given, settings=asked)
        request = recorder.asked[0]
        assert request.expected_returns is not None
        return list(request.returns.columns), (request.expected_returns / request.returns.std()).to_numpy()

    def standard(values: "np.ndarray[Any, Any]") -> Any:
        return (values - np.nanmean(values)) / np.nanstd(values)

    alone = [standard(frame.iloc[0].to_numpy()) for frame in (one, other)]
    kept = wide.columns != "JPM"
    for weights in ({}, {"other": 3.0}):
        names, found = expected(**weights)
        combined = (alone[0] + weights.get("other", 1.0) * alone[1])[kept]
        assert names == list(wide.columns[kept])
        np.testing.assert_allclose(found, 0.04 * standard(combined) / 4, rtol=1e-9)
    with pytest.raises(ResearchError, match="signal_weights names third, which is no signal of this optimizer"):
        expected(third=1.0)


def test_only_entities_with_prices_and_a_score_are_to_choose_from(store: DeltaStore) -> None:
    wide, recorder = stocks("2010", "2010"), Recorder()
    scores = wide * 1.0
    scores.loc["2010-09-30", "JPM"] = np.nan  # has no score that day
    scores.loc["2010-10-29"] = np.nan  # nobody has
    wide.loc["2010-07-05":"2010-07-12", "AMD"] = np.nan  # a gap of 5 days is carried over
    wide.loc["2010-07-05":"2010-07-14", "BAC"] = np.nan  # one of 7 is not
    wide["XOM"] = 50.0  # does not move

    optimize(recorder, store, prices=prices_of(wide), signals=[signal_of(scores)], settings=settings(lookback=100))

    asked = {str(one.returns.index[-1].date()): set(one.returns.columns) for one in recorder.asked}
    everyone = set(wide.columns)
    assert asked["2010-08-31"] == everyone - {"XOM", "BAC"}
    assert asked["2010-09-30"] == everyone - {"XOM", "BAC", "JPM"}
    assert "2010-10-29" not in asked
    assert asked["2010-12-31"] == everyone - {"XOM"}


def test_the_newest_covariance_is_given(store: DeltaStore) -> None:
    wide, recorder = stocks("2010", "2010")[["AAPL", "JPM", "XOM"]], Recorder()
    frames = [
        pl.DataFrame({"date": day, "entity": ["AAPL", "JPM"], "AAPL": [size, 0.0], "JPM": [0.0, size]})
        for day, size in [(dt.date(2010, 1, 4), 1.0), (dt.date(2010, 6, 15), 2.0), (dt.date(2010, 7, 1), 3.0)]
    ]
    covariance = Input("risk", "covariance", pl.concat(frames))

    optimize(recorder, store, prices=prices_of(wide), covariance=covariance, settings=settings(lookback=60))

    given = {str(one.returns.index[-1].date()): one for one in recorder.asked}
    for day, size in [("2010-04-30", 1.0), ("2010-06-30", 2.0), ("2010-07-30", 3.0)]:
        assert given[day].covariance is not None
        np.testing.assert_array_equal(given[day].covariance, np.eye(2) * size)
        assert list(given[day].returns.columns) == ["AAPL", "JPM"]
    late = Input("risk", "covariance", pl.concat(frames[1:]))
    with pytest.raises(ResearchError, match="no covariance at or before 2010-03-31: start later"):
        optimize(Recorder(), store, prices=prices_of(wide), covariance=late, settings=settings(lookback=60))


def test_what_is_infeasible_on_one_date_writes_nothing(store: DeltaStore) -> None:
    wide = stocks("2010", "2010")
    narrow = built("minimum-cvar", {"max_weight": 0.04})

    with pytest.raises(Infeasible) as caught:
        optimize(narrow, store, prices=prices_of(wide), settings=settings(lookback=100))

    assert "max_weight 0.04, net_leverage 1: on 2010-05-28, no weights of these 20 entities" in str(caught.value)
    assert store.head() is None


def test_no_date_at_all_is_refused(store: DeltaStore) -> None:
    with pytest.raises(ResearchError, match="it takes 252 returns of some entity, up to the end of a period"):
        optimize(Recorder(), store, prices=prices_of(stocks("2010", "2010")), settings=settings())


def test_the_same_again_commits_nothing(store: DeltaStore) -> None:
    def run() -> Outcome:
        given = prices_of(stocks("2010", "2010"))
        return optimize(built("minimum-cvar"), store, prices=given, settings=settings(lookback=100))

    first, second = run(), run()

    assert (first.found_new, second.found_new, second.version) == (True, False, first.version)


@pytest.mark.parametrize("last", ["2011", pytest.param("2022", marks=pytest.mark.torture)])
@pytest.mark.parametrize("name", NAMES)
def test_many_years_of_months_take_seconds(name: str, last: str, store: DeltaStore) -> None:
    wide = stocks("2010", last)

    began = time.perf_counter()
    optimize(built(name), store, prices=prices_of(wide), signals=[momentum(wide)], settings=settings())
    took = time.perf_counter() - began

    print(f"{name}: {took:.1f} s")  # noqa: T201
    assert took < 30  # 2 to 5 s for twelve years on an idle machine


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("mean-variance", {"groups": {"AAPL": "tech", "MSFTT": "tech"}, "group_limits": {"tech": {"max": 0.4}}}),
        ("risk-budgeting", {"risk_budgets": {"MSFTT": 50}}),
    ],
)
def test_an_entity_that_there_are_no_prices_of_can_not_be_constrained(name: str, config: dict[str, Any]) -> None:
    prices, store = prices_of(stocks("2021-01-01", "2022-12-28")[["AAPL", "MSFT", "KO"]]), DeltaStore("unused")
    with pytest.raises(UnknownEntities, match=rf"{name} names MSFTT, which there are no prices of; there are: AAPL, "):
        optimize(built(name, config), store, prices=prices, settings=settings())
