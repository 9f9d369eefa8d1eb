"""Polars expressions over windows: the n rows of an entity up to each row, null unless all of them are there."""

from collections.abc import Callable, Sequence

import polars as pl

from research.expressions.operators import doubling
from research.expressions.operators.doubling import Array


def std(x: pl.Expr, n: int) -> pl.Expr:
    # A rolling sum of squares leaves rounding noise on constant windows, which a division would blow up.
    return pl.when(_constant(x, n)).then(0.0).otherwise(x.rolling_std(n, ddof=1))


def zscore(x: pl.Expr, n: int) -> pl.Expr:
    return (x - x.rolling_mean(n)) / std(x, n)


def skew(x: pl.Expr, n: int) -> pl.Expr:
    return pl.when(~_constant(x, n)).then(x.rolling_skew(n, bias=False))


def kurtosis(x: pl.Expr, n: int) -> pl.Expr:
    return pl.when(~_constant(x, n)).then(x.rolling_kurtosis(n, bias=False, fisher=True))


def ewma(x: pl.Expr, n: int) -> pl.Expr:
    return pl.when(x.rolling_min(n).is_not_null()).then(x.ewm_mean(span=n, adjust=True))


def quantile(x: pl.Expr, n: int, q: float) -> pl.Expr:
    return x.rolling_quantile(q, interpolation="linear", window_size=n)


def rank(x: pl.Expr, n: int) -> pl.Expr:
    return (x.rolling_rank(n, "average") - 1) / (n - 1)


def rows_since_maximum(x: pl.Expr, n: int) -> pl.Expr:
    return _by_numpy(lambda x: doubling.rows_since_maximum(x, n), x)


def rows_since_minimum(x: pl.Expr, n: int) -> pl.Expr:
    return _by_numpy(lambda x: doubling.rows_since_maximum(-x, n), x)


def linear_decay(x: pl.Expr, n: int) -> pl.Expr:
    # Of equal values the weighted mean is that value, not one that differs in its last digit.
    return pl.when(_constant(x, n)).then(x).otherwise(_by_numpy(lambda x: doubling.linear_decay(x, n), x))


def covariance(x: pl.Expr, y: pl.Expr, n: int) -> pl.Expr:
    return _by_numpy(lambda x, y: doubling.covariance(x, y, n), x, y)


def correlation(x: pl.Expr, y: pl.Expr, n: int) -> pl.Expr:
    deviations = covariance(x, x, n).sqrt() * covariance(y, y, n).sqrt()
    return (covariance(x, y, n) / deviations).clip(-1.0, 1.0)


def beta(y: pl.Expr, x: pl.Expr, n: int) -> pl.Expr:
    return covariance(x, y, n) / covariance(x, x, n)


def _constant(x: pl.Expr, n: int) -> pl.Expr:
    return x.rolling_max(n) == x.rolling_min(n)


def _by_numpy(function: Callable[..., Array], *series: pl.Expr) -> pl.Expr:
    """Apply a function of arrays, one for each series, with NaN for null."""

    def apply(columns: Sequence[pl.Series]) -> pl.Series:
        return pl.Series(function(*(column.to_numpy() for column in columns)))

    return pl.map_batches(series, apply, return_dtype=pl.Float64)
