"""The operators of the expression language. To add one, add one entry to `OPERATORS`."""

from collections.abc import Callable

import polars as pl

from research.expressions.operators import sections, windows
from research.expressions.operators.operator import Axis, Form, Operator, Operators, operators_by_name
from research.expressions.operators.operator_parameters import Group, Literal, Parameter, Series, Window

X = Series("x")
Y = Series("y")
N = Window("n")
N2 = Window("n", least=2)


def _along(
    axis: Axis, name: str, parameters: tuple[Parameter, ...], build: Callable[..., pl.Expr], summary: str
) -> Operator:
    return Operator(name, summary, (Form(parameters, axis, build),))


def _if(condition: pl.Expr, a: pl.Expr, b: pl.Expr) -> pl.Expr:
    return pl.when(condition != 0).then(a).when(condition == 0).then(b)


ENTITY, DATE, ROW = Axis.ENTITY, Axis.DATE, Axis.ROW

# Windows count rows of the entity, the current one included; the value is null unless all n of them are there.
OPERATORS: Operators = operators_by_name(
    (
        _along(ENTITY, "REF", (X, N), lambda x, n: x.shift(n), "The value n rows earlier."),
        _along(ENTITY, "DELTA", (X, N), lambda x, n: x - x.shift(n), "The value less the value n rows earlier."),
        _along(ENTITY, "MEAN", (X, N), lambda x, n: x.rolling_mean(n), "The mean of n rows."),
        _along(
            ENTITY,
            "STD",
            (X, N2),
            windows.std,
            "The standard deviation of n rows, with n - 1 degrees of freedom.",
        ),
        _along(ENTITY, "SUM", (X, N), lambda x, n: x.rolling_sum(n), "The sum of n rows."),
        _along(ENTITY, "MIN", (X, N), lambda x, n: x.rolling_min(n), "The least value of n rows."),
        _along(ENTITY, "MAX", (X, N), lambda x, n: x.rolling_max(n), "The greatest value of n rows."),
        _along(
            ENTITY,
            "EWMA",
            (X, N),
            windows.ewma,
            "The exponentially weighted mean of all rows so far, with the weights (1 - 2 / (n + 1)) ** age over "
            "their sum (a span of n rows, adjusted); null unless the last n rows are there.",
        ),
        _along(
            ENTITY,
            "DECAY_LINEAR",
            (X, N),
            windows.linear_decay,
            "The mean of n rows with weights that fall linearly, from n for the current row to 1 for the oldest.",
        ),
        _along(
            ENTITY,
            "QUANTILE",
            (X, N, Literal("q", 0, 1)),
            windows.quantile,
            "The quantile q of n rows, from 0 (least) to 1 (greatest), interpolated linearly.",
        ),
        _along(
            ENTITY,
            "SKEW",
            (X, Window("n", least=3)),
            windows.skew,
            "The skewness of n rows, corrected for bias (adjusted Fisher-Pearson); null where all values are equal.",
        ),
        _along(
            ENTITY,
            "KURT",
            (X, Window("n", least=4)),
            windows.kurtosis,
            "The excess kurtosis of n rows, corrected for bias (0 for a normal distribution); null where all "
            "values are equal.",
        ),
        _along(
            ENTITY,
            "COV",
            (X, Y, N2),
            windows.covariance,
            "The covariance of x and y over n rows, with n - 1 degrees of freedom.",
        ),
        _along(
            ENTITY,
            "CORR",
            (X, Y, N2),
            windows.correlation,
            "The correlation of x and y over n rows (Pearson); null where all values of one are equal.",
        ),
        _along(
            ENTITY,
            "BETA",
            (Y, X, N2),
            windows.beta,
            "The slope of y on x over n rows: COV(x, y, n) over the variance of x; null where all x are equal.",
        ),
        _along(
            ENTITY,
            "TS_RANK",
            (X, N2),
            windows.rank,
            "The rank of the value among n rows, from 0 (least) to 1 (greatest), with the mean rank for ties.",
        ),
        _along(
            ENTITY,
            "TS_ARGMAX",
            (X, N),
            windows.rows_since_maximum,
            "How many rows ago the greatest of n rows was, the latest of equals: 0 for the current row, up to n - 1.",
        ),
        _along(
            ENTITY,
            "TS_ARGMIN",
            (X, N),
            windows.rows_since_minimum,
            "How many rows ago the least of n rows was, the latest of equals: 0 for the current row, up to n - 1.",
        ),
        Operator(
            "ZSCORE",
            "The value less the mean, in standard deviations (n - 1 degrees of freedom): over n rows of the entity, "
            "or over all entities of the date; null where all values are equal.",
            (Form((X, N2), ENTITY, windows.zscore), Form((X,), DATE, sections.zscore)),
        ),
        _along(
            DATE,
            "RANK",
            (X,),
            sections.rank,
            "The rank among the entities of the date, from 0 (least) to 1 (greatest): (rank - 1) / (count - 1), "
            "with the mean rank for ties; 0.5 for an entity that is alone; nulls neither have a rank nor count.",
        ),
        _along(
            DATE,
            "SCALE",
            (X,),
            sections.scale,
            "The value over the sum of the date's absolute values, so that these sum to 1; null where all are 0.",
        ),
        _along(
            DATE,
            "WINSORIZE",
            (X, Literal("q", 0, 0.5)),
            sections.winsorize,
            "The value, kept between the quantiles q and 1 - q of the date's entities (interpolated linearly).",
        ),
        _along(
            DATE,
            "NEUTRALIZE",
            (X, Group("group")),
            sections.neutralize,
            "The value less the mean of its group on the date; null for a row without a group.",
        ),
        _along(
            ROW,
            "CLIP",
            (X, Literal("lo"), Literal("hi", not_below="lo")),
            lambda x, lo, hi: x.clip(lo, hi),
            "The value, kept between lo and hi.",
        ),
        _along(
            ROW,
            "IF",
            (Series("condition"), Series("a"), Series("b")),
            _if,
            "a where the condition holds (is not 0), else b; null where the condition is null or the chosen one is.",
        ),
        _along(ROW, "LOG", (X,), lambda x: x.log(), "The natural logarithm; null at 0 and below."),
        _along(ROW, "ABS", (X,), lambda x: x.abs(), "The absolute value."),
    )
)
