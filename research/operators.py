"""The operators of the expression language, and how one is described.

To add an operator, add one entry to `OPERATORS`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import polars as pl


class Axis(StrEnum):
    """Which rows an operator looks at for the value of one row."""

    ROW = "row"  # that row alone
    ENTITY = "entity"  # the rows of the same entity, in the order of their dates
    DATE = "date"  # the rows of the same date


@dataclass(frozen=True)
class Series:
    """A parameter that takes an expression."""

    name: str


@dataclass(frozen=True)
class Window:
    """A parameter that takes a number of rows, written as an integer of at least `least`."""

    name: str
    least: int = 1


@dataclass(frozen=True)
class Form:
    """One way to call an operator: its parameters, the rows it looks at, and its Polars expression.

    `build` gets a Float64 expression for each series, without NaN or infinite values, and an int for each
    window; it returns an expression, which is evaluated within one entity or one date according to `axis`,
    with the rows of an entity in the order of their dates. What it gives as NaN or infinite becomes null.
    """

    parameters: tuple[Series | Window, ...]
    axis: Axis
    build: Callable[..., pl.Expr]


@dataclass(frozen=True)
class Operator:
    """A function of the expression language; its forms differ in their number of parameters."""

    name: str
    summary: str
    forms: tuple[Form, ...]

    def __post_init__(self) -> None:
        if not (self.name.isidentifier() and self.name.isupper()):
            raise ValueError(f"{self.name!r} can't name an operator: use upper-case letters, digits and underscores")
        if len({len(form.parameters) for form in self.forms}) != len(self.forms):
            raise ValueError(f"two forms of operator {self.name} have the same number of parameters")

    @property
    def signature(self) -> str:
        """How the operator is called, like 'ZSCORE(x, n) or ZSCORE(x)'."""
        return " or ".join(f"{self.name}({', '.join(p.name for p in form.parameters)})" for form in self.forms)


Operators = Mapping[str, Operator]

X = Series("x")
N = Window("n")
N2 = Window("n", least=2)


def _rolling_std(x: pl.Expr, n: int) -> pl.Expr:
    # A rolling sum of squares leaves rounding noise on constant windows, which a division would blow up.
    return pl.when(x.rolling_max(n) == x.rolling_min(n)).then(0.0).otherwise(x.rolling_std(n, ddof=1))


def _rolling_zscore(x: pl.Expr, n: int) -> pl.Expr:
    return (x - x.rolling_mean(n)) / _rolling_std(x, n)


def _zscore(x: pl.Expr) -> pl.Expr:
    return pl.when(x.max() > x.min()).then((x - x.mean()) / x.std(ddof=1))


def _rank(x: pl.Expr) -> pl.Expr:
    count = x.count().cast(pl.Float64)
    middle = pl.when(x.is_not_null()).then(0.5)
    return pl.when(count > 1).then((x.rank("average") - 1) / (count - 1)).otherwise(middle)


def _table(operators: Iterable[Operator]) -> Operators:
    return MappingProxyType({operator.name: operator for operator in operators})


# Windows count rows of the entity, the current one included; the value is null unless all n of them are there.
OPERATORS: Operators = _table(
    (
        Operator("REF", "The value n rows earlier.", (Form((X, N), Axis.ENTITY, lambda x, n: x.shift(n)),)),
        Operator(
            "DELTA",
            "The value less the value n rows earlier.",
            (Form((X, N), Axis.ENTITY, lambda x, n: x - x.shift(n)),),
        ),
        Operator("MEAN", "The mean of n rows.", (Form((X, N), Axis.ENTITY, lambda x, n: x.rolling_mean(n)),)),
        Operator(
            "STD",
            "The standard deviation of n rows, with n - 1 degrees of freedom.",
            (Form((X, N2), Axis.ENTITY, _rolling_std),),
        ),
        Operator("SUM", "The sum of n rows.", (Form((X, N), Axis.ENTITY, lambda x, n: x.rolling_sum(n)),)),
        Operator("MIN", "The least value of n rows.", (Form((X, N), Axis.ENTITY, lambda x, n: x.rolling_min(n)),)),
        Operator("MAX", "The greatest value of n rows.", (Form((X, N), Axis.ENTITY, lambda x, n: x.rolling_max(n)),)),
        Operator(
            "ZSCORE",
            "The value less the mean, in standard deviations (n - 1 degrees of freedom): over n rows of the entity, "
            "or over all entities of the date; null where all values are equal.",
            (Form((X, N2), Axis.ENTITY, _rolling_zscore), Form((X,), Axis.DATE, _zscore)),
        ),
        Operator(
            "RANK",
            "The rank among the entities of the date, from 0 (least) to 1 (greatest): (rank - 1) / (count - 1), "
            "with the mean rank for ties; 0.5 for an entity that is alone; nulls neither have a rank nor count.",
            (Form((X,), Axis.DATE, _rank),),
        ),
        Operator("LOG", "The natural logarithm; null at 0 and below.", (Form((X,), Axis.ROW, lambda x: x.log()),)),
        Operator("ABS", "The absolute value.", (Form((X,), Axis.ROW, lambda x: x.abs()),)),
    )
)
