"""Arguments that are written out: numbers of rows, and numbers within bounds."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass

from research.expressions.operators import Literal, Operator, Parameter, Window
from research.expressions.terms import Term


@dataclass(frozen=True)
class Argument:
    """What a call gives for a parameter; `label` names the parameter, like 'n of REF(x, n)'."""

    term: Term
    label: str

    @classmethod
    def of(cls, call: Term, tree: ast.expr, parameter: Parameter, operator: Operator) -> "Argument":
        """Return the argument `tree` of a call."""
        term = call.part(tree).meant()
        label = f"{parameter.name} of {operator.signature}"
        elsewhere = call.scope.macro if call.scope is not term.scope else None
        return cls(term, f"{label} in the macro {elsewhere.signature}" if elsewhere else label)

    def window(self, parameter: Window) -> int:
        """Return the number of rows; the least one for the parameter of a macro that is checked on its own."""
        term, tree = self.term, self.term.tree
        if term.is_open:
            return parameter.least
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
            raise term.error(f"{self.label} is negative: that would look ahead, at what was not known yet")
        if not isinstance(tree, ast.Constant) or type(tree.value) is not int:
            raise term.error(f"{self.label} is a number of rows: write a whole number, like 20")
        if tree.value < parameter.least:
            raise term.error(f"{self.label} is {tree.value}: it must be at least {parameter.least}")
        if tree.value >= 2**31:
            raise term.error(f"{self.label} is larger than any table: write a smaller number of rows")
        return tree.value

    def literal(self, parameter: Literal, before: Mapping[str, float]) -> float:
        """Return the number; NaN for the parameter of a macro that is checked on its own.

        `before` has the literals that stand before it in the call.
        """
        value = self._number(self.term)
        if value < parameter.least or value > parameter.most:
            raise self.term.error(f"{self.label} is {value:g}: it must be {parameter.bounds}")
        if parameter.not_below and value < (lower := before[parameter.not_below]):
            problem = f"{self.label} is {value:g}: it must be at least {parameter.not_below}, which is {lower:g}"
            raise self.term.error(problem)
        return value

    def _number(self, given: Term) -> float:
        term = given.meant()
        match term.tree:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return finite(term, value)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._number(term.part(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._number(term.part(operand))
        if term.is_open:
            return math.nan
        raise self.term.error(f"{self.label} is a number: write it out, like 0.5")


def finite(term: Term, value: float) -> float:
    """Return the number as a 64-bit float."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if number == math.inf:
        raise term.error("this number is too large for a 64-bit float: write a smaller one")
    return number
