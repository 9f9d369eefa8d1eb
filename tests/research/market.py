"""Real prices for tests: 20 stocks and their index, by day."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@cache
def _stocks() -> "pd.DataFrame":
    from skfolio.datasets import load_sp500_dataset

    return load_sp500_dataset()


def stocks(first: str, last: str) -> "pd.DataFrame":
    """Return a panel of the adjusted closes of 20 stocks."""
    return _stocks().loc[first:last].copy()


@cache
def _index() -> "pd.Series[float]":
    from skfolio.datasets import load_sp500_index

    return load_sp500_index()["SP500"]


def index(first: str, last: str) -> "pd.Series[float]":
    """Return the closes of the S&P 500 index."""
    return _index().loc[first:last].copy()


def shuffled_after(prices: "pd.DataFrame", day: "pd.Timestamp", seed: int = 0) -> "pd.DataFrame":
    """Return the prices with the rows after `day` in another order, under the same dates."""
    import numpy as np

    later = np.flatnonzero(prices.index > day)
    order = np.arange(len(prices))
    order[later] = np.random.default_rng(seed).permutation(later)
    mixed: pd.DataFrame = prices.iloc[order].set_axis(prices.index, axis=0)
    return mixed
