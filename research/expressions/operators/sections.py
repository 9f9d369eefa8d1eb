"""Polars expressions over cross-sections: the entities of one date; nulls neither count nor get a value."""

import polars as pl


def zscore(x: pl.Expr) -> pl.Expr:
    return pl.when(x.max() > x.min()).then((x - x.mean()) / x.std(ddof=1))


def rank(x: pl.Expr) -> pl.Expr:
    count = x.count().cast(pl.Float64)
    middle = pl.when(x.is_not_null()).then(0.5)
    return pl.when(count > 1).then((x.rank("average") - 1) / (count - 1)).otherwise(middle)


def scale(x: pl.Expr) -> pl.Expr:
    return x / x.abs().sum()


def winsorize(x: pl.Expr, q: float) -> pl.Expr:
    return x.clip(x.quantile(q, "linear"), x.quantile(1 - q, "linear"))


def neutralize(x: pl.Expr) -> pl.Expr:
    # Equal values are exactly 0 from their mean, which the mean of three times 0.1 is not.
    return pl.when(x.max() > x.min()).then(x - x.mean()).otherwise(x * 0.0)
