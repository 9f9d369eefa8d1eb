import datetime as dt

import polars as pl
import pytest

from definitions.contract import Input
from definitions.errors import ModuleError
from definitions.work.models.prediction import predict
from tests.definitions.work.models.training_samples import Constant, First

DAY = dt.date(2024, 1, 1)
FRAME = pl.DataFrame(
    {
        "date": [DAY + dt.timedelta(n) for n in range(4)] * 2,
        "entity": ["B"] * 4 + ["A"] * 4,
        "x": [float(n) for n in range(8)],
        "y": [None, *(float(n) for n in range(1, 8))],
    }
)
FEATURES = [Input("mine", "features", FRAME)]


def test_it_predicts_each_row_in_the_order_of_dates() -> None:
    made = predict(First(), FEATURES, ["x"])

    assert made.schema == {"date": pl.Date, "entity": pl.String, "prediction": pl.Float64}
    assert made.rows() == [
        (DAY + dt.timedelta(n), entity, value) for n in range(4) for entity, value in (("A", n + 4.0), ("B", float(n)))
    ]


def test_features_go_in_the_order_of_the_training() -> None:
    assert (
        predict(First(), FEATURES, ["y", "x"], since=DAY)
        .select("prediction")
        .equals(predict(First(), FEATURES, ["x"], since=DAY).select("prediction"))
    )


def test_only_what_is_newer_is_predicted() -> None:
    last = DAY + dt.timedelta(3)
    assert predict(Constant(1.0), FEATURES, ["x"], since=DAY + dt.timedelta(2)).rows() == [
        (last, "A", 1.0),
        (last, "B", 1.0),
    ]
    nothing = predict(Constant(1.0), FEATURES, ["x"], since=last)
    assert nothing.is_empty()
    assert nothing.schema == {"date": pl.Date, "entity": pl.String, "prediction": pl.Float64}


def test_a_missing_feature_is_named() -> None:
    with pytest.raises(ModuleError) as caught:
        predict(First(), FEATURES, ["x", "z"])

    assert str(caught.value) == (
        "the model was trained on 'z', which the features don't have; there are: x, y. "
        "Bring them back, or train on what there is now and make that the champion: `optaic promote MODEL VERSION`."
    )


def test_predictions_must_be_one_finite_number_each() -> None:
    with pytest.raises(ModuleError) as missing:
        predict(First(), FEATURES, ["y"])

    class Short:
        def predict(self, features: object) -> object:
            return [1.0]

    with pytest.raises(ModuleError, match=r"predictions of shape \(1,\) for 8 rows: its module must return one number"):
        predict(Short(), FEATURES, ["x"])  # type: ignore[arg-type]

    assert str(missing.value) == (
        "1 of 8 predictions are not finite, the first of B on 2024-01-01: "
        "see that the module copes with missing features, and bound the features"
    )
