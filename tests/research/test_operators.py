"""Each operator against an independent computation with NumPy or pandas, on real prices with holes in them."""

import re
import string
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pytest

from definitions.contract import ExtractRequest
from definitions.pipelines.sp500_sample import Sp500SampleParameters, Sp500SamplePipeline
from research.expressions.evaluation import evaluate
from research.expressions.operators import OPERATORS, Axis, Form, Operator, Series, Window
from research.expressions.parser import parse

SECTORS = {letter: letter for letter in string.ascii_uppercase} | {"M": None}  # by a ticker's first letter


@pytest.fixture(scope="module")
def prices() -> pl.DataFrame:
    """Closes of 20 stocks, 2015 to 2022; one in 200 is null, so that windows have holes."""
    rows = Sp500SamplePipeline(Sp500SampleParameters.model_validate({"start": "2015-01-01"})).extract(ExtractRequest())
    close = rows["close"].to_numpy().copy()
    close[np.random.default_rng(7).choice(len(close), len(close) // 200, replace=False)] = np.nan
    holes = pl.Series("close", close, nan_to_null=True)
    sector = pl.col("entity").str.head(1).replace_strict(SECTORS, return_dtype=pl.String)
    return rows.with_columns(holes, sector=sector).sample(fraction=1, shuffle=True, seed=7)


@pytest.fixture(scope="module")
def wide(prices: pl.DataFrame) -> pd.DataFrame:
    """The same closes, one row for each date and one column for each stock."""
    rows = pd.DataFrame(prices.to_dict(as_series=False))
    return rows.pivot(index="date", columns="entity", values="close").sort_index()


def by_window(statistic: Callable[..., object], n: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Apply a NumPy statistic to each window of n rows; NumPy gives NaN where one of them is missing."""

    def apply(wide: pd.DataFrame) -> pd.DataFrame:
        windows = np.lib.stride_tricks.sliding_window_view(wide.to_numpy(), n, axis=0)
        values = np.full(wide.shape, np.nan)
        values[n - 1 :] = statistic(windows, axis=-1)
        return pd.DataFrame(values, index=wide.index, columns=wide.columns)

    return apply


def zscore_windows(windows: np.ndarray, axis: int) -> np.ndarray:
    result = (windows[..., -1] - windows.mean(axis=axis)) / windows.std(axis=axis, ddof=1)
    return np.asarray(result)


def moment(windows: np.ndarray, axis: int, power: int) -> np.ndarray:
    return np.asarray(((windows - windows.mean(axis=axis, keepdims=True)) ** power).mean(axis=axis))


def skew(windows: np.ndarray, axis: int) -> np.ndarray:
    n = windows.shape[axis]
    biased = moment(windows, axis, 3) / moment(windows, axis, 2) ** 1.5
    return np.asarray(biased * (n * (n - 1)) ** 0.5 / (n - 2))


def kurtosis(windows: np.ndarray, axis: int) -> np.ndarray:
    n = windows.shape[axis]
    biased = moment(windows, axis, 4) / moment(windows, axis, 2) ** 2 - 3
    return np.asarray((n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * biased + 6))


def rank(wide: pd.DataFrame) -> pd.DataFrame:
    count = wide.notna().sum(axis=1)
    return wide.rank(axis=1, method="average").sub(1).div(count - 1, axis=0)


def zscore(wide: pd.DataFrame) -> pd.DataFrame:
    return wide.sub(wide.mean(axis=1), axis=0).div(wide.std(axis=1, ddof=1), axis=0)


def mean5(wide: pd.DataFrame) -> pd.DataFrame:
    return by_window(np.mean, 5)(wide)


def each(statistic: Callable[[np.ndarray], float], n: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Apply a statistic to one window after another; pandas gives NaN where a value is missing."""
    return lambda wide: wide.rolling(n).apply(statistic, raw=True)


def each_pair(statistic: Callable[[np.ndarray, np.ndarray], float], n: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Apply a statistic to each window of closes and of the closes one row earlier, in a plain loop."""

    def apply(wide: pd.DataFrame) -> pd.DataFrame:
        x, y = wide.to_numpy(), wide.shift(1).to_numpy()
        values = np.full(wide.shape, np.nan)
        for row in range(n - 1, len(wide)):
            for column in range(wide.shape[1]):
                window = slice(row - n + 1, row + 1)
                values[row, column] = statistic(x[window, column], y[window, column])
        return pd.DataFrame(values, index=wide.index, columns=wide.columns)

    return apply


def cov(x: np.ndarray, y: np.ndarray) -> float:
    return float((x - x.mean()) @ (y - y.mean())) / (len(x) - 1)


def ts_rank(window: np.ndarray) -> float:
    last = window[-1]
    return float((window < last).sum() + ((window == last).sum() - 1) / 2) / (len(window) - 1)


def ewma(wide: pd.DataFrame) -> pd.DataFrame:
    """The definition, written out for each row."""
    x = wide.to_numpy()
    values = np.full(wide.shape, np.nan)
    for row in range(19, len(wide)):
        age = np.arange(row, -1, -1)[:, None]
        weights = np.where(np.isnan(x[: row + 1]), 0.0, (1 - 2 / 21) ** age)
        means = np.nansum(weights * x[: row + 1], axis=0) / weights.sum(axis=0)
        values[row] = np.where(np.isnan(x[row - 19 : row + 1]).any(axis=0), np.nan, means)
    return pd.DataFrame(values, index=wide.index, columns=wide.columns)


def winsorized(wide: pd.DataFrame) -> pd.DataFrame:
    x = wide.to_numpy()
    lower, upper = np.nanquantile(x, [0.1, 0.9], axis=1)
    return pd.DataFrame(np.clip(x, lower[:, None], upper[:, None]), index=wide.index, columns=wide.columns)


def neutral(wide: pd.DataFrame) -> pd.DataFrame:
    values = pd.DataFrame(np.nan, index=wide.index, columns=wide.columns)
    for letter in sorted({ticker[0] for ticker in wide.columns} - {"M"}):
        members = [ticker for ticker in wide.columns if ticker[0] == letter]
        values[members] = wide[members].sub(wide[members].mean(axis=1), axis=0)
    return values


CASES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "REF(close, 21)": lambda wide: wide.shift(21),
    "DELTA(close, 3)": lambda wide: wide - wide.shift(3),
    "MEAN(close, 20)": by_window(np.mean, 20),
    "STD(close, 20)": by_window(lambda windows, axis: windows.std(axis=axis, ddof=1), 20),
    "SUM(close, 7)": by_window(np.sum, 7),
    "MIN(close, 10)": by_window(np.min, 10),
    "MAX(close, 10)": by_window(np.max, 10),
    "MEAN(close, 1)": lambda wide: wide,
    "ZSCORE(close, 60)": by_window(zscore_windows, 60),
    "ZSCORE(close)": lambda wide: zscore(wide),
    "RANK(close)": rank,
    "LOG(close)": lambda wide: np.log(wide),
    "ABS(close - 50)": lambda wide: (wide - 50).abs(),
    "EWMA(close, 20)": ewma,
    "DECAY_LINEAR(close, 10)": each(lambda window: float(np.average(window, weights=range(1, 11))), 10),
    "QUANTILE(close, 21, 0.3)": each(lambda window: float(np.quantile(window, 0.3)), 21),
    "SKEW(close, 20)": by_window(skew, 20),
    "KURT(close, 20)": by_window(kurtosis, 20),
    "COV(close, REF(close, 1), 13)": each_pair(cov, 13),
    "CORR(close, REF(close, 1), 13)": each_pair(lambda x, y: cov(x, y) / (x.std(ddof=1) * y.std(ddof=1)), 13),
    "BETA(close, REF(close, 1), 13)": each_pair(lambda y, x: cov(x, y) / x.var(ddof=1), 13),
    "TS_RANK(close, 20)": each(ts_rank, 20),
    "TS_ARGMAX(close, 20)": each(lambda window: float(np.argmax(window[::-1])), 20),
    "TS_ARGMIN(close, 20)": each(lambda window: float(np.argmin(window[::-1])), 20),
    "SCALE(close - 50)": lambda wide: (wide - 50).div((wide - 50).abs().sum(axis=1), axis=0),
    "WINSORIZE(close, 0.1)": winsorized,
    "NEUTRALIZE(close, sector)": neutral,
    "CLIP(close - 50, -5, 7.5)": lambda wide: (wide - 50).clip(-5, 7.5),
    "IF(close > 50, close, -1)": lambda wide: wide.where((wide > 50) | wide.isna(), -1.0),
    "MEAN(RANK(close), 5)": lambda wide: mean5(rank(wide)),
    "RANK(MEAN(close, 5))": lambda wide: rank(mean5(wide)),
    "REF(close, 21) / REF(close, 252) - 1": lambda wide: wide.shift(21) / wide.shift(252) - 1,
    "RANK(MEAN(ZSCORE(close / REF(close, 1)), 5)) - 0.5": lambda wide: rank(mean5(zscore(wide / wide.shift(1)))) - 0.5,
}


@pytest.mark.parametrize("text", CASES)
def test_operator_equals_an_independent_computation(text: str, prices: pl.DataFrame, wide: pd.DataFrame) -> None:
    computed = evaluate(parse(text, OPERATORS), prices)

    expected = CASES[text](wide)
    found = (
        computed.pivot("entity", index="date", values="value").sort("date").select(list(expected.columns)).to_numpy()
    )
    assert np.isfinite(found).sum() > 1000
    np.testing.assert_allclose(found, expected.to_numpy(), rtol=1e-9, atol=1e-9)


def test_every_operator_is_tested() -> None:
    assert {name for name in OPERATORS if any(re.search(rf"\b{name}\(", text) for text in CASES)} == set(OPERATORS)


def test_an_operator_is_called_in_upper_case() -> None:
    with pytest.raises(
        ValueError, match="'ewma' can't name an operator: use upper-case letters, digits and underscores"
    ):
        Operator("ewma", "", ())


def test_forms_differ_in_their_number_of_parameters() -> None:
    form = Form((Series("x"), Window("n")), Axis.ENTITY, lambda x, n: x)

    with pytest.raises(ValueError, match="two forms of operator TWICE have the same number of parameters"):
        Operator("TWICE", "", (form, form))


def test_a_new_operator_is_one_entry() -> None:
    median = Operator("MEDIAN", "", (Form((Series("x"),), Axis.DATE, lambda x: x.median()),))
    rows = pl.DataFrame({"date": [1, 1, 1], "entity": ["A", "B", "C"], "x": [1.0, 5.0, 2.0]})

    computed = evaluate(parse("x - MEDIAN(x)", {**OPERATORS, "MEDIAN": median}), rows)

    assert computed["value"].to_list() == [-1.0, 3.0, 0.0]
