"""Signal, model, optimizer and backtest in a row: no price after a day changes anything up to that day."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from definitions.contract import Input, Kind
from definitions.stores.delta import DeltaStore
from definitions.work.models.inference import infer
from definitions.work.models.training import train
from definitions.work.models.training_table import training_table
from definitions.work.portfolios.backtest import backtest
from definitions.work.portfolios.optimization import optimize
from definitions.work.portfolios.portfolio_settings import BacktestConfig, OptimizationSettings
from research.models.labels import TargetSpec
from research.models.walk_forward import Validation
from tests.definitions.resources import make, newest
from tests.definitions.work.models.training_samples import features_of, prices_input, real_prices

DAY = dt.date(2021, 6, 16)


@dataclass(frozen=True)
class Chain:
    """What each link has left, by name: rows with a date."""

    left: dict[str, pl.DataFrame]

    def until(self, day: dt.date) -> dict[str, pl.DataFrame]:
        return {name: rows.filter(pl.col("date") <= day).sort("date", "entity") for name, rows in self.left.items()}


def shuffled_after(prices: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    """Return the prices with those of each entity after the day in another order."""
    later = pl.col("date") > day
    mixed = prices.filter(later).with_columns(pl.col("close").shuffle(seed=7).over("entity"))
    return pl.concat([prices.filter(~later), mixed]).sort("entity", "date")


def run_chain(frame: pl.DataFrame, folder: Path) -> Chain:
    prices, features = prices_input(frame), features_of(frame)
    table = training_table(features, prices, target=TargetSpec(horizon=10, column="close"))
    trained = train(
        make(Kind.ML_MODULE, "ridge", {}),
        table,
        Validation(train_days=504, test_days=126, embargo_days=5, expanding=True),
    )
    stores = {name: DeltaStore(str(folder / name)) for name in ("predictions", "weights", "equity", "trades")}
    infer(trained.model, trained.reference, stores["predictions"], features=features)
    constraints = {"max_weight": 0.4, "max_turnover": 0.5}
    optimizer = make(Kind.PORTFOLIO_OPTIMIZER, "mean-variance", constraints)
    optimize(
        optimizer,
        stores["weights"],
        prices=prices,
        signals=[Input("returns", "signal", _rows(stores["predictions"]))],
        settings=OptimizationSettings(lookback=126),
    )
    weights = Input("portfolio", "weights", _rows(stores["weights"]))
    backtest(stores["equity"], stores["trades"], prices=prices, weights=weights, config=BacktestConfig())
    left = {name: _rows(store) for name, store in stores.items()}
    return Chain({each.instance: each.frame for each in features} | left)


def _rows(store: DeltaStore) -> pl.DataFrame:
    return store.scan(newest(store)).collect()


@pytest.mark.parametrize("first_year", [2018, pytest.param(2016, marks=pytest.mark.torture)])
def test_no_later_price_changes_anything_up_to_a_day(first_year: int, tmp_path: Path) -> None:
    prices = real_prices(dt.date(first_year, 1, 1))
    real, mixed = run_chain(prices, tmp_path / "real"), run_chain(shuffled_after(prices, DAY), tmp_path / "mixed")
    assert real.left["equity"].height > 0
    for name, rows in real.until(DAY).items():
        others = mixed.until(DAY)[name]
        assert rows.height > 0, name
        assert rows.select("date", "entity").equals(others.select("date", "entity")), name
        for column in rows.select(pl.selectors.float()).columns:
            ours, theirs = rows[column].fill_null(0.0), others[column].fill_null(0.0)
            assert ours.to_list() == pytest.approx(theirs.to_list(), rel=1e-9), name
            assert rows[column].is_null().equals(others[column].is_null()), name
    for name in ("momentum", "predictions", "weights", "equity"):  # the test can fail: what follows does change
        assert not real.left[name].sort("date", "entity").equals(mixed.left[name].sort("date", "entity")), name
