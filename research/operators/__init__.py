"""The operators of the expression language, and how one is described."""

from research.operators.operator import Axis, Form, Operator, Operators
from research.operators.parameters import Group, Literal, Parameter, Series, Window
from research.operators.table import OPERATORS

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
