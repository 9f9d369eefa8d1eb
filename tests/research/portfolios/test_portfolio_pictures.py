import numpy as np
import pandas as pd
import pytest

from research.frames.pictures import over_time
from research.portfolios.portfolio_pictures import (
    _logarithmic,
    drawdown_picture,
    equity_picture,
    weights_picture,
)

DAYS = pd.bdate_range("2024-01-01", periods=900)
SMALL = 200_000  # bytes: pictures lie in artifacts, several in one


@pytest.mark.parametrize("count", [1, 2, 900])
def test_pictures_are_small_however_long_the_range(count: int) -> None:
    generator = np.random.default_rng(0)
    weights = pd.DataFrame(
        generator.normal(0, 0.1, (count, 30)), index=DAYS[:count], columns=[f"e{i}" for i in range(30)]
    )
    equity = pd.Series(np.exp(generator.normal(0, 0.01, count).cumsum()) * 1e6, index=DAYS[:count])

    pictures = [
        equity_picture(equity, equity * 0.5, name="SPX"),
        equity_picture(equity, None, name=None),
        drawdown_picture(equity, equity * 0.5, name="SPX"),
        weights_picture(weights),
        weights_picture(weights * 0),
    ]

    assert all(picture.png.startswith(b"\x89PNG") for picture in pictures)
    assert all(len(picture.png) < SMALL for picture in pictures)
    assert {picture.title for picture in pictures} == {"Equity", "Drawdown", "Weights"}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.9, 11.0, [1, 2, 5, 10]),
        (0.8, 600.0, [1, 2, 5, 10, 20, 50, 100, 200, 500]),
        (0.97, 1.08, [0.98, 1, 1.02, 1.04, 1.06, 1.08]),
        (0.6, 1.05, [0.6, 0.7, 0.8, 0.9, 1]),
    ],
)
def test_the_start_has_a_label_on_the_logarithmic_axis(low: float, high: float, expected: list[float]) -> None:
    _, axes = over_time()
    axes.set_ylim(low, high)
    _logarithmic(axes)

    ticks = [place for place in axes.get_yticks() if low <= place <= high]

    assert ticks == pytest.approx(expected)
