"""The operators of the expression language, and how one is described."""

from research.expressions.operators.operator import Axis, Form, Operator, Operators
from research.expressions.operators.operator_parameters import Group, Literal, Parameter, Series, Window
from research.expressions.operators.table import OPERATORS

__all__ = [
    "OPERATORS",
    "Axis",
    "Form",
    "Group",
    "Literal",
    "Operator",
    "Operators",
    "Parameter",
    "Series",
    "Window",
]
