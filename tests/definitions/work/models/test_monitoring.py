"""The rows that monitoring compares."""

import datetime as dt

import polars as pl

from definitions.work.models.monitoring import monitored_rows, rows_before
from research.models.labels import TargetSpec
from tests.definitions.work.models.training_samples import features_of, prices_input, real_prices


def test_the_newest_days_are_compared_with_those_before_them() -> None:
    prices = real_prices(dt.date(2021, 1, 1))
    features = features_of(prices)
    predicted = features[0].frame.select("date", "entity", prediction=pl.lit(0.01))
    current = monitored_rows(
        features,
        prices_input(predicted),
        prices_input(prices),
        target=TargetSpec(horizon=5, column="close"),
        window_days=20,
    )
    days = current["date"].unique().sort().to_list()
    assert (len(days), days[-1]) == (20, prices["date"].max())
    assert current.columns == [
        "date",
        "entity",
        *(f"{f.instance.replace('-', '_')}_value" for f in features),
        "prediction",
        "target",
    ]
    assert current.filter(pl.col("target").is_null())["date"].unique().len() == 5
    before = rows_before(predicted, current)
    assert before["date"].max() < days[0]
    assert before.height == predicted.height - current.height
    assert rows_before(before.tail(10), current).height == 10  # all there are, where there are few
