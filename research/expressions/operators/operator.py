"""Operator: a function of the expression language, and how one is described."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import polars as pl

from research.expressions.operators.operator_parameters import Group, Literal, Parameter


class Axis(StrEnum):
    """Which rows an operator looks at for the value of one row."""

    ROW = "row"  # that row alone
    ENTITY = "entity"  # the rows of the same entity, in the order of their dates
    DATE = "date"  # the rows of the same date


@dataclass(frozen=True)
class Form:
    """One way to call an operator: its parameters, the rows it looks at, and its Polars expression.

    `build` gets a Float64 expression for each series, without NaN or infinite values, an int for each window
    and a float for each literal; it returns an expression, which is evaluated within one entity or one date
    according to `axis`, and within one group where there is a group parameter (`build` does not get it), with
    the rows of an entity in the order of their dates. What it gives as NaN or infinite becomes null.
    """

    parameters: tuple[Parameter, ...]
    axis: Axis
    build: Callable[..., pl.Expr]

    def __post_init__(self) -> None:
        literals: set[str] = set()
        for parameter in self.parameters:
            if isinstance(parameter, Group) and self.axis is Axis.ROW:
                raise ValueError(f"group {parameter.name} narrows nothing: a form along {self.axis} looks at one row")
            if isinstance(parameter, Literal):
                if parameter.not_below not in (None, *literals):
                    raise ValueError(f"{parameter.name} can't be compared: no literal {parameter.not_below} before it")
                literals.add(parameter.name)


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


def operators_by_name(operators: Iterable[Operator]) -> Operators:
    """Return the operators as a table that nobody can change."""
    return MappingProxyType({operator.name: operator for operator in operators})
