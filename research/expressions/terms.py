"""Terms: pieces of syntax, each with the text in which it stands.

The expansion of macros happens here: within the body of a macro, the name of a parameter means a term of the
text in which the macro is called, and keeps meaning what it means there. So no name is ever captured.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from research.expressions.macros import Macro
from research.expressions.syntax import ExpressionError, Place, place_in


@dataclass(frozen=True)
class Scope:
    """A text that is read: the expression, or the body of a macro that is called in another text.

    `arguments` say what the parameters of `macro` mean; None is for any argument, in a macro that is checked
    on its own. `caller` is the call of the macro.
    """

    text: str
    macro: Macro | None = None
    arguments: Mapping[str, "Term | None"] = field(default_factory=dict)
    caller: "Term | None" = None

    @property
    def outermost(self) -> "Scope":
        """The text with which reading began."""
        return self.caller.scope.outermost if self.caller else self

    @property
    def chain(self) -> tuple[str, ...]:
        """The names of the macros through which this text was reached, this one's last."""
        before = self.caller.scope.chain if self.caller else ()
        return (*before, self.macro.name) if self.macro else before


@dataclass(frozen=True)
class Term:
    """A piece of Python's syntax tree of the text of `scope`."""

    tree: ast.expr
    scope: Scope

    def part(self, tree: ast.expr) -> "Term":
        """Return a piece of this piece."""
        return Term(tree, self.scope)

    def meant(self) -> "Term":
        """Return what the term means: itself, or the argument where it is the name of a macro's parameter."""
        term = self
        while isinstance(term.tree, ast.Name) and (argument := term.scope.arguments.get(term.tree.id)) is not None:
            term = argument
        return term

    @property
    def is_open(self) -> bool:
        """Whether it is a parameter for which any argument may come."""
        return isinstance(self.tree, ast.Name) and self.scope.arguments.get(self.tree.id, self) is None

    @property
    def place(self) -> Place:
        """Where in the outermost text it stands, or the call of the macro to which it belongs."""
        return self.scope.caller.place if self.scope.caller else place_in(self.scope.text, self.tree)

    def error(self, problem: str) -> ExpressionError:
        """Return an error that shows the term in its own text."""
        scope, place = self.scope, place_in(self.scope.text, self.tree)
        if scope.macro is None:
            return ExpressionError(scope.text, place, problem)
        if scope.caller is not None:
            whole = scope.outermost.macro
            where = f"the macro {whole.signature}" if whole else "the expression"
            problem += f"\nThe macro is called in {where}, at column {self.place.start + 1}."
        return ExpressionError(scope.text, place, problem, within=f"the macro {scope.macro.signature}")
