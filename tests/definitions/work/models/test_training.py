import datetime as dt
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest

from definitions.contract import Input, Kind, Regressor
from definitions.errors import ModuleError
from definitions.work.models.prediction import predict
from definitions.work.models.training import TrainingResult, train
from definitions.work.models.training_outcome import training_metrics
from definitions.work.models.training_table import TrainingTable, training_table
from research.models.labels import TargetSpec
from research.models.model_metrics import model_metrics
from research.models.walk_forward import Validation
from tests.definitions.resources import make
from tests.definitions.work.models.training_samples import Constant, Witness, features_of, prices_input, real_prices

HORIZON = 5
TARGET = TargetSpec(horizon=HORIZON, column="close")
VALIDATION = Validation(train_days=504, test_days=126, embargo_days=3, expanding=True)
CUT = dt.date(2020, 6, 30)
CHEAP = {"ridge": {}, "hist-gradient-boosting": {"max_iter": 10}}


def table_of(prices: pl.DataFrame) -> TrainingTable:
    return training_table(features_of(prices), prices_input(prices), target=TARGET)


@cache
def trained(name: str) -> TrainingResult:
    return train(make(Kind.ML_MODULE, name, CHEAP[name]), table_of(real_prices()), VALIDATION)


def altered(prices: pl.DataFrame) -> pl.DataFrame:
    """Return the prices with others after the cut: each entity's shuffled, and multiplied by noise."""
    random = np.random.default_rng(0)
    noise = pl.Series(np.exp(random.normal(0, 0.3, size=prices.height)))
    later = prices.with_columns(pl.col("close").shuffle(seed=1).over("entity") * noise).filter(pl.col("date") > CUT)
    return pl.concat([prices.filter(pl.col("date") <= CUT), later])


def simple_table(days: int, entities: int = 4, horizon: int = 2) -> TrainingTable:
    """Return a table whose feature is a number of its own for each row; E0 trades on every third day only."""
    rows = [
        (dt.date(2024, 1, 1) + dt.timedelta(n), f"E{entity}", 100.0 + n + entity)
        for n in range(days)
        for entity in range(entities)
        if entity or n % 3 == 0
    ]
    prices = pl.DataFrame(rows, schema={"date": pl.Date, "entity": pl.String, "close": pl.Float64}, orient="row")
    number = prices.select("date", "entity", number=pl.int_range(pl.len()).cast(pl.Float64))
    return training_table(
        [Input("number", "features", number)], prices_input(prices), target=TargetSpec(horizon=horizon, column="close")
    )


# No look-ahead


@pytest.mark.parametrize("change", ["altered", "gone"])
def test_later_prices_change_no_row_whose_label_ends_before(change: str) -> None:
    prices = real_prices()
    later = altered(prices) if change == "altered" else prices.filter(pl.col("date") <= CUT)
    ended = pl.col("label_end") <= CUT

    before, after = table_of(prices).frame.filter(ended), table_of(later).frame.filter(ended)

    assert before.height > 20_000
    assert before.equals(after)
    assert not table_of(prices).frame.equals(table_of(later).frame)


@pytest.mark.parametrize("name", CHEAP)
@pytest.mark.parametrize("change", ["altered", "gone"])
def test_later_prices_change_nothing_that_was_predicted_before(name: str, change: str) -> None:
    prices = real_prices()
    later = altered(prices) if change == "altered" else prices.filter(pl.col("date") <= CUT)
    module = make(Kind.ML_MODULE, name, CHEAP[name])

    before, after = trained(name), train(module, table_of(later), VALIDATION)

    told = pl.col("date") <= CUT
    known = after.reference.filter(told).select("date", "entity")
    assert known.height > 10_000
    ours = before.reference.filter(told).join(known, on=["date", "entity"], how="semi")
    assert ours["prediction"].to_list() == pytest.approx(after.reference.filter(told)["prediction"].to_list())
    asked = [predict(before.model, features_of(frame), before.feature_names).filter(told) for frame in (prices, later)]
    assert asked[0].equals(asked[1])


def test_later_prices_change_no_metrics_of_folds_before() -> None:
    prices = real_prices()
    before, after = trained("ridge"), train(make(Kind.ML_MODULE, "ridge", {}), table_of(altered(prices)), VALIDATION)

    # Labels of the days before the cut may end after it.
    over = [fold.split.test_last + dt.timedelta(14) <= CUT for fold in before.folds]
    assert over.count(True) >= 4
    assert over.count(False) >= 4
    for is_over, ours, theirs in zip(over, before.folds, after.folds, strict=True):
        assert ours.split == theirs.split
        assert (dict(ours.metrics) == pytest.approx(dict(theirs.metrics))) == is_over


@pytest.mark.parametrize("expanding", [True, False])
def test_no_label_that_is_learned_from_reaches_into_the_test_window(expanding: bool) -> None:
    table, witness = simple_table(60), Witness()
    validation = Validation(train_days=20, test_days=7, embargo_days=2, expanding=expanding)

    result = train(witness, table, validation)

    assert len(witness.seen) == len(result.folds) + 1
    purged = 0
    for (features, _), fold in zip(witness.seen[:-1], result.folds, strict=True):
        learned = table.labelled.filter(pl.col("number").is_in(features["number"].to_list()))
        last = learned["label_end"].max()
        window = pl.col("date").is_between(fold.split.train_first, fold.split.train_last)
        assert learned.height == fold.training_rows
        assert isinstance(last, dt.date)
        assert last < fold.split.test_first - dt.timedelta(2)
        purged += table.labelled.filter(window).height - learned.height
    assert purged > 0  # E0's labels end later than those of the others


# What it gives


def test_what_a_training_gives() -> None:
    result, table = trained("ridge"), table_of(real_prices())

    assert result.feature_names == ("momentum_value", "reversal_value", "low_risk_value")
    assert result.training_rows == table.labelled.height == table.frame.height - 20 * HORIZON
    assert result.reference.columns == ["date", "entity", *result.feature_names, "prediction", "target"]
    assert result.reference.equals(result.reference.sort("date", "entity"))
    assert result.metrics == model_metrics(result.reference)
    rows = table.labelled
    features = pd.DataFrame(rows.select(result.feature_names).to_numpy(), columns=list(result.feature_names))
    values = result.model.predict(features)
    assert result.in_sample == pytest.approx(model_metrics(rows.with_columns(prediction=pl.Series(values))))
    recorded = training_metrics(result)
    assert (recorded["num_features"], recorded["train_rmse"]) == (3, result.in_sample["rmse"])
    assert recorded["train_ic"] == result.in_sample["ic_mean"]
    assert [picture.title for picture in result.pictures] == ["Information coefficient", "Predicted and realised"]
    assert result.fold_table.height == len(result.folds) == 12
    assert result.fold_table["rows"].sum() == result.reference.drop_nulls("target").height
    assert result.reference["date"].max() == table.frame["date"].max()
    assert result.fold_table["ic_mean"].to_list() == [fold.metrics["ic_mean"] for fold in result.folds]


def test_a_model_finds_what_is_there() -> None:
    prices = real_prices()
    target = training_table(features_of(prices), prices_input(prices), target=TARGET).frame
    random = np.random.default_rng(0)
    told = target.drop_nulls("target").select("date", "entity", hint=pl.col("target") + random.normal(0, 0.02))
    table = training_table([Input("oracle", "features", told)], prices_input(prices), target=TARGET)

    assert train(make(Kind.ML_MODULE, "ridge", {}), table, VALIDATION).metrics["ic_mean"] > 0.8


def test_the_final_model_learns_from_every_label() -> None:
    table, witness = simple_table(60), Witness()
    train(witness, table, Validation(train_days=20, test_days=7, embargo_days=0, expanding=True))

    features, target = witness.seen[-1]
    assert list(features.columns) == ["number"]
    assert features["number"].to_list() == table.labelled["number"].to_list()
    assert target.to_list() == table.labelled["target"].to_list()


def test_training_rows_are_counted_over_the_prices() -> None:
    table = simple_table(6, entities=2)

    assert table.frame.filter(entity="E0")["label_end"].to_list() == [None, None]
    assert table.frame.filter(entity="E1")["label_end"].drop_nulls().dt.day().to_list() == [3, 4, 5, 6]


def test_a_report_counts_on_the_days_after_it() -> None:
    prices = real_prices().filter(pl.col("entity") == "AAPL", pl.col("date") >= dt.date(2022, 10, 1))
    saturday = pl.DataFrame({"date": [dt.date(2022, 10, 29)], "entity": ["AAPL"], "eps": [1.29]})
    frame = training_table([Input("reports", "features", saturday)], prices_input(prices), target=TARGET).frame

    assert frame["date"].min() == dt.date(2022, 10, 31)
    assert frame["eps"].unique().to_list() == [1.29]
    assert frame["date"].max() == prices["date"].max()


# Errors


def test_no_label_is_an_error() -> None:
    with pytest.raises(ModuleError) as caught:
        train(Witness(), simple_table(2), Validation(train_days=756, test_days=252, embargo_days=0, expanding=True))

    assert str(caught.value) == (
        "no row has both a feature and a label of 2 rows ahead: bring prices that reach further past the "
        "features, or lower the target's horizon"
    )


def test_too_few_dates_are_an_error() -> None:
    with pytest.raises(ModuleError) as caught:
        train(Witness(), simple_table(20), Validation(train_days=30, test_days=5, embargo_days=0, expanding=True))

    assert str(caught.value) == (
        "the labelled rows don't reach for one split: 18 dates are too few to train on 30, wait for 2 (horizon 2, "
        "embargo_days 0) and test on one: it takes 33. Lower train_days, embargo_days or the horizon, or bring "
        "more history."
    )


def test_labels_that_all_end_too_late_are_an_error() -> None:
    whole = simple_table(30, entities=1)
    late = TrainingTable(
        whole.frame.with_columns(label_end=pl.lit(dt.date(2025, 1, 1))), whole.feature_names, whole.target
    )
    with pytest.raises(ModuleError, match=r"the entities trade on too few of these days\. Raise train_days"):
        train(Witness(), late, Validation(train_days=2, test_days=2, embargo_days=0, expanding=True))


@dataclass
class Broken:
    model: Regressor

    def fit(self, features: object, target: object) -> Regressor:
        return self.model


def test_predictions_must_be_finite_numbers() -> None:
    with pytest.raises(ModuleError, match="50 of 50 predictions are not finite, the first of E0 on 2024-01-13"):
        train(
            Broken(Constant(float("nan"))),
            simple_table(30),
            Validation(train_days=10, test_days=15, embargo_days=0, expanding=True),
        )


def test_names_and_values_of_features() -> None:
    prices = prices_input(real_prices())
    keys = real_prices().select("date", "entity")

    def feature(**columns: pl.Expr) -> Input:
        return Input("mine", "features", keys.with_columns(**columns))

    with pytest.raises(ModuleError, match="a feature can't have the name 'target', which the training needs"):
        training_table([feature(target=pl.lit(1.0))], prices, target=TARGET)
    with pytest.raises(ModuleError, match="the feature 'b' has no value on any row of 'prices': see that both have"):
        training_table([feature(a=pl.lit(1.0), b=pl.lit(None, pl.Float64))], prices, target=TARGET)


def test_the_table_is_made_without_heavy_libraries() -> None:
    code = """
import sys
import definitions.work.models.training, definitions.work.models.prediction
print(sorted({"pandas", "sklearn", "matplotlib", "lightgbm", "threadpoolctl"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
