"""Macros: saved expressions with parameters, called like operators."""

import ast
import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from research.errors import ResearchError
from research.expressions.operators import Operators
from research.expressions.syntax import one_line, read


class MacroError(ResearchError):
    """A macro that can't be defined so."""


@dataclass(frozen=True)
class Macro:
    """An expression under a name, in which the `parameters` stand for what the call gives.

    That may be an expression, a number, a number of rows or the name of a group column, as the operators
    demand to which the expression hands it. All other names in it are columns, macros and operators.
    Raises `MacroError`, and `ExpressionError` where the expression can't be read.
    """

    name: str
    parameters: tuple[str, ...]
    expression: str
    summary: str = ""

    def __post_init__(self) -> None:
        if not (self.name.isidentifier() and self.name.isupper()):
            raise MacroError(f"{self.name!r} can't name a macro: use upper-case letters, digits and underscores")
        for name in self.parameters:
            if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
                wanted = "use lower-case letters, digits and underscores, and no word of Python's"
                raise MacroError(f"{name!r} can't name a parameter of macro {self.name}: {wanted}")
            if self.parameters.count(name) > 1:
                raise MacroError(f"macro {self.name} has two parameters {name!r}: give each its own name")
        named = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        for name in self.parameters:
            if name not in named:
                raise MacroError(f"the expression of macro {self.signature} has no {name!r}: use it or leave it out")

    @property
    def signature(self) -> str:
        """How the macro is called, like 'MOMENTUM(x, n, skip)'."""
        return f"{self.name}({', '.join(self.parameters)})"

    @cached_property
    def line(self) -> str:
        """The expression, in one line."""
        return one_line(self.expression)

    @cached_property
    def tree(self) -> ast.expr:
        """Python's syntax tree of the line."""
        return read(self.line, within=f"the macro {self.signature}")


Macros = Mapping[str, Macro]
NO_MACROS: Macros = MappingProxyType({})


def macros_by_name(macros: Iterable[Macro], operators: Operators) -> Macros:
    """Return the macros as a table that nobody can change; `MacroError` where a name is taken."""
    table: dict[str, Macro] = {}
    for macro in macros:
        if macro.name in operators:
            raise MacroError(f"macro {macro.name} has the name of an operator: choose another name")
        if macro.name in table:
            raise MacroError(
                f"there are two macros {macro.name}: {table[macro.name].signature} and {macro.signature}; "
                "choose another name for one of them"
            )
        table[macro.name] = macro
    return MappingProxyType(table)
