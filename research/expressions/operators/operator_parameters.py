"""The kinds of parameters that an operator can have."""

import math
from dataclasses import dataclass


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
class Literal:
    """A parameter that takes a number, written out, from `least` to `most`.

    With `not_below` it is at least as large as the literal parameter of that name, which stands before it.
    """

    name: str
    least: float = -math.inf
    most: float = math.inf
    not_below: str | None = None

    @property
    def bounds(self) -> str:
        """What the number must be, like 'between 0 and 1'; empty where any will do."""
        if math.isfinite(self.least) and math.isfinite(self.most):
            return f"between {self.least:g} and {self.most:g}"
        if math.isfinite(self.least):
            return f"at least {self.least:g}"
        return f"at most {self.most:g}" if math.isfinite(self.most) else ""


@dataclass(frozen=True)
class Group:
    """A parameter that takes the name of a column of text or whole numbers: the group of each row.

    It narrows what the operator looks at: to the rows of the same group. A row without a group has no value.
    """

    name: str


Parameter = Series | Window | Literal | Group
