"""What the tests of training share: real prices, features made of them, and modules that show what they saw."""

import datetime as dt
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from definitions.contract import ExtractRequest, Input, Kind, Regressor
from tests.definitions.resources import make

if TYPE_CHECKING:
    import pandas as pd

EXPRESSIONS = {
    "momentum": "RANK(REF(close, 21) / REF(close, 252) - 1)",
    "reversal": "-DELTA(close, 5) / REF(close, 5)",
    "low-risk": "RANK(-STD(close / REF(close, 1) - 1, 63))",
}


@cache
def real_prices(start: dt.date = dt.date(2015, 1, 1)) -> pl.DataFrame:
    """Return the closes of 20 stocks up to 2022."""
    rows: pl.DataFrame = make(Kind.PIPELINE, "sp500-sample", {"start": start}).extract(ExtractRequest())
    return rows


def prices_input(frame: pl.DataFrame) -> Input:
    return Input("prices", "prices", frame)


def features_of(prices: pl.DataFrame) -> tuple[Input, ...]:
    """Return three features of prices, each as the signal that computes it would."""
    inputs = (Input("prices", "input", prices),)
    return tuple(
        Input(
            name,
            "features",
            make(Kind.PIPELINE, "expression", {"expression": text}).extract(ExtractRequest(inputs=inputs)),
        )
        for name, text in EXPRESSIONS.items()
    )


@dataclass(frozen=True)
class Constant:
    """Predicts one number."""

    value: float

    def predict(self, features: "pd.DataFrame") -> "np.ndarray[Any, np.dtype[np.float64]]":
        return np.full(len(features), self.value)


@dataclass
class Witness:
    """A module that keeps what it was given, and predicts the first feature."""

    seen: "list[tuple[pd.DataFrame, pd.Series[float]]]" = field(default_factory=list)

    def fit(self, features: "pd.DataFrame", target: "pd.Series[float]") -> Regressor:
        self.seen.append((features, target))
        return First()


class First:
    """Predicts the first feature."""

    def predict(self, features: "pd.DataFrame") -> "np.ndarray[Any, np.dtype[np.float64]]":
        return np.asarray(features.iloc[:, 0], dtype=np.float64)
