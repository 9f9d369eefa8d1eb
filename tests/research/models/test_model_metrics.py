import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from research.models.model_metrics import HIGHER_IS_BETTER, information_coefficients, model_metrics

START = dt.date(2024, 1, 1)


def table(*days: Sequence[tuple[float | None, float | None]]) -> pl.DataFrame:
    """Return a frame with the pairs of prediction and target of each day."""
    rows = [
        (START + dt.timedelta(number), f"E{entity}", *pair)
        for number, day in enumerate(days)
        for entity, pair in enumerate(day)
    ]
    schema = {"date": pl.Date, "entity": pl.String, "prediction": pl.Float64, "target": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def random_table(seed: int, days: int = 40, entities: int = 12) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    # Rounded, so that there are ties.
    pairs = random.normal(size=(days, entities, 2)).round(1)
    pairs[:, :, 1] += pairs[:, :, 0] / 2
    return table(*[[(float(a), float(b)) for a, b in day] for day in pairs])


@pytest.mark.parametrize("seed", range(3))
def test_equals_scipy_and_sklearn(seed: int) -> None:
    rows = random_table(seed)
    prediction, target = rows["prediction"].to_numpy(), rows["target"].to_numpy()
    ic = [spearmanr(day["prediction"], day["target"]).statistic for _, day in rows.group_by("date")]

    assert model_metrics(rows) == pytest.approx(
        {
            "rows": rows.height,
            "rmse": root_mean_squared_error(target, prediction),
            "mae": mean_absolute_error(target, prediction),
            "r2": r2_score(target, prediction),
            "ic_dates": 40,
            "ic_mean": np.mean(ic),
            "ic_std": np.std(ic, ddof=1),
            "ic_ratio": np.mean(ic) / np.std(ic, ddof=1),
            "ic_positive_share": np.mean(np.array(ic) > 0),
        }
    )


pairs = st.tuples(st.integers(-3, 3).map(float), st.integers(-3, 3).map(float))


@given(days=st.lists(st.lists(pairs, max_size=6), max_size=6))
def test_a_date_of_few_or_equal_values_has_no_coefficient(days: list[list[tuple[float, float]]]) -> None:
    expected = {
        START + dt.timedelta(number): spearmanr(*zip(*day, strict=True)).statistic
        for number, day in enumerate(days)
        if len(day) >= 3 and len({p for p, _ in day}) > 1 and len({t for _, t in day}) > 1
    }

    found = information_coefficients(table(*days))

    assert dict(zip(found["date"], found["ic"], strict=True)) == pytest.approx(expected)
    assert found["date"].is_sorted()
    assert all(np.isfinite(value) for value in model_metrics(table(*days)).values())


def test_rows_without_prediction_or_target_do_not_count() -> None:
    whole = table([(1.0, 2.0), (2.0, 1.0), (3.0, 5.0)])
    holes = table([(1.0, 2.0), (2.0, 1.0), (3.0, 5.0), (None, 9.0), (9.0, None), (float("nan"), 9.0)])

    assert model_metrics(holes) == model_metrics(whole)
    assert model_metrics(whole)["rows"] == 3


def test_what_is_not_defined_is_left_out() -> None:
    assert model_metrics(table()) == {"rows": 0, "ic_dates": 0}
    assert model_metrics(table([(1.0, 2.0), (2.0, 2.0), (4.0, 2.0)])).keys() == {"rows", "rmse", "mae", "ic_dates"}
    assert model_metrics(table([(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)])) == {
        "rows": 3,
        "rmse": 0,
        "mae": 0,
        "r2": 1,
        "ic_dates": 1,
        "ic_mean": pytest.approx(1),
        "ic_positive_share": 1,
    }


def test_every_metric_to_compare_by_is_there() -> None:
    assert HIGHER_IS_BETTER.keys() <= model_metrics(random_table(0)).keys()
