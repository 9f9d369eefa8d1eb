"""Exposures of weights, by hand."""

import pandas as pd
import pytest

from research.portfolios.exposures import exposures


def test_long_and_short_weights() -> None:
    assert exposures(pd.Series({"A": 0.6, "B": 0.6, "C": -0.4, "D": 0.0})) == pytest.approx(
        {
            "gross_exposure": 1.6,
            "net_exposure": 0.8,
            "long_weight": 1.2,
            "short_weight": 0.4,
            "concentration": (0.36 + 0.36 + 0.16) / 2.56,
            "effective_n": 2.56 / 0.88,
        }
    )


def test_equal_weights_are_as_many_as_there_are() -> None:
    assert exposures(pd.Series([0.25] * 4))["effective_n"] == pytest.approx(4)
    assert exposures(pd.Series([-0.1] * 4))["effective_n"] == pytest.approx(4)


def test_nothing_held_has_no_concentration() -> None:
    found = exposures(pd.Series([0.0, 0.0]))
    assert found.keys() == {"gross_exposure", "net_exposure", "long_weight", "short_weight"}
    assert set(found.values()) == {0.0}
