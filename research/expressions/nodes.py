"""The checked syntax tree of an expression."""

from dataclasses import dataclass, field

from research.errors import did_you_mean
from research.expressions.operators import Form, Operator
from research.expressions.syntax import ExpressionError, Place


@dataclass(frozen=True)
class Number:
    value: float
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Column:
    """A column of numbers."""

    name: str
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Labels:
    """A column that says which group each row belongs to."""

    name: str
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Negation:
    operand: "Node"


@dataclass(frozen=True)
class Binary:
    symbol: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True)
class Call:
    """A call of an operator; `arguments` are as its form's parameters: a node, an int, a float, or labels."""

    operator: Operator
    form: Form
    arguments: tuple["Node | int | float | Labels", ...]


Node = Number | Column | Negation | Binary | Call


@dataclass(frozen=True)
class Expression:
    """A checked expression; two are equal when they compute the same in the same steps.

    `columns` are those it reads, in the order in which they appear; `operators` and `macros` are the names of
    those that it calls, also through other macros.
    """

    text: str = field(compare=False)
    root: Node
    columns: tuple[Column | Labels, ...]
    operators: frozenset[str]
    macros: frozenset[str] = field(compare=False)

    def require(self, available: tuple[str, ...]) -> None:
        """Raise `ExpressionError` at the first column that is not among the `available` ones."""
        for column in self.columns:
            if column.name not in available:
                names = ", ".join(available) or "none"
                hint = did_you_mean(column.name, available)
                problem = f"there is no column {column.name!r}.{hint} The columns are: {names}."
                raise ExpressionError(self.text, column.place, problem)
