"""The expression language: text, checked, to a syntax tree.

An expression has numbers, column names, parentheses, `+ - * / **`, comparisons, and operators and macros by
their upper-case names, like `RANK(REF(close, 21) / REF(close, 252) - 1)`. The rules of precedence are Python's,
whose parser reads the text; nothing of it is ever run as Python.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import assert_never

from research.errors import did_you_mean
from research.expressions.arguments import Argument, finite
from research.expressions.macros import NO_MACROS, Macro, Macros, macros_by_name
from research.expressions.nodes import Binary, Call, Column, Expression, Labels, Negation, Node, Number
from research.expressions.operators import Axis, Form, Group, Literal, Operator, Operators, Series, Window
from research.expressions.syntax import ExpressionError, one_line, read
from research.expressions.terms import Scope, Term
from research.frames.panels import KEYS

__all__ = ["Expression", "ExpressionError", "check_macro", "parse"]

MAX_DEPTH = 200
MAX_STEPS = 10_000

ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
FOREIGN = (
    "this is not of the expression language, which has numbers, column names, parentheses, "
    "+ - * / **, comparisons and operators"
)
REMEDIES: dict[type[ast.AST], str] = {
    ast.Attribute: "a dot has no meaning here: write the name of a column alone",
    ast.Subscript: "square brackets have no meaning here: write REF(x, n) for the value n rows earlier",
    ast.BoolOp: "'and' and 'or' have no meaning here: multiply conditions, like (a > 0) * (b > 0)",
    ast.Not: "'not' has no meaning here: turn the comparison round",
    ast.IfExp: "'if' and 'else' have no meaning here: write IF(condition, a, b)",
    ast.FloorDiv: "// has no meaning here: use /",
    ast.Lambda: "a lambda has no place here: use the operators",
    ast.Starred: "a star has no meaning here: write the arguments one by one",
}


def parse(text: str, operators: Operators, macros: Macros = NO_MACROS) -> Expression:
    """Return the checked expression, with each call bound to its operator and each macro written out.

    Raises `ExpressionError` for anything that is not of the language, with the place and the remedy, and
    `MacroError` for a macro with the name of an operator.
    """
    line = one_line(text)
    return _Parser(operators, macros).expression(Term(read(line), Scope(line)))


def check_macro(macro: Macro, operators: Operators, macros: Macros = NO_MACROS) -> None:
    """Raise `ExpressionError` where the macro's expression is not of the language, whatever its arguments are.

    `macros` are those that it may call. A macro that calls itself, also through others, is such an error.
    """
    scope = Scope(macro.line, macro, dict.fromkeys(macro.parameters))
    _Parser(operators, macros).node(Term(macro.tree, scope), 0)


class _Parser:
    """Goes once over Python's syntax tree and keeps what is of the language."""

    def __init__(self, operators: Operators, macros: Macros) -> None:
        self.operators = operators
        self.macros = macros_by_name(macros.values(), operators)
        self.columns: list[Column | Labels] = []
        self.operators_called: set[str] = set()
        self.macros_called: set[str] = set()
        self.steps = 0

    def expression(self, term: Term) -> Expression:
        root = self.node(term, 0)
        if not self.columns:
            raise term.error("it reads no column, so it is the same everywhere: name a column")
        return Expression(
            term.scope.text, root, tuple(self.columns), frozenset(self.operators_called), frozenset(self.macros_called)
        )

    def node(self, given: Term, depth: int) -> Node:
        term = given.meant()
        self.steps += 1
        if depth > MAX_DEPTH:
            raise term.error(f"it is nested deeper than {MAX_DEPTH} steps: split it into several datasets")
        if self.steps > MAX_STEPS:
            raise term.error(f"here it has more than {MAX_STEPS:,} steps: split it into several datasets")
        match term.tree:
            case ast.Constant():
                return self.number(term, term.tree)
            case ast.Name(id=name):
                return self.column(term, name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Negation(self.node(term.part(operand), depth + 1))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.node(term.part(operand), depth + 1)
            case ast.BinOp(op=op, left=left, right=right) if type(op) in ARITHMETIC:
                first = self.node(term.part(left), depth + 1)
                return Binary(ARITHMETIC[type(op)], first, self.node(term.part(right), depth + 1))
            case ast.Compare() if all(type(op) in COMPARISONS for op in term.tree.ops):
                return self.comparison(term, term.tree, depth)
            case ast.Call():
                return self.call(term, term.tree, depth)
            case _:
                raise _foreign(term)

    def number(self, term: Term, tree: ast.Constant) -> Number:
        if isinstance(tree.value, str | bytes):
            raise term.error("text has no place here: write the name of a column without quotes")
        if isinstance(tree.value, bool) or not isinstance(tree.value, int | float):
            raise _foreign(term)
        return Number(finite(term, tree.value), term.place)

    def column(self, term: Term, name: str) -> Column:
        self.check_column(term, name)
        column = Column(name, term.place)
        self.columns.append(column)
        return column

    def check_column(self, term: Term, name: str) -> None:
        if name in self.operators:
            raise term.error(f"{name} is an operator: call it, as {self.operators[name].signature}")
        if name in self.macros:
            raise term.error(f"{name} is a macro: call it, as {self.macros[name].signature}")
        if name in KEYS and not term.is_open:
            raise term.error(f"{name!r} is a key of the rows, not a value: name a value column")

    def comparison(self, term: Term, tree: ast.Compare, depth: int) -> Binary:
        if len(tree.ops) > 1:
            raise term.error("comparisons can't be chained: multiply them, like (0 < x) * (x < 1)")
        left = self.node(term.part(tree.left), depth + 1)
        return Binary(COMPARISONS[type(tree.ops[0])], left, self.node(term.part(tree.comparators[0]), depth + 1))

    def call(self, term: Term, tree: ast.Call, depth: int) -> Node:
        if not isinstance(tree.func, ast.Name):
            raise _foreign(term.part(tree.func)) if type(tree.func) in REMEDIES else term.error("this can't be called")
        name = tree.func.id
        known = self.operators.get(name) or self.macros.get(name)
        if known is None:
            raise term.part(tree.func).error(self.unknown(name))
        if tree.keywords:
            raise term.error(f"arguments go by position, without names: write {known.signature}")
        if isinstance(known, Macro):
            self.macros_called.add(name)
            return self.node(_body(term, known, tree.args), depth + 1)
        self.operators_called.add(name)
        form = _form(term, known, tree.args)
        return Call(known, form, tuple(self.arguments(term, known, form, tree.args, depth)))

    def unknown(self, name: str) -> str:
        hint = did_you_mean(name.upper(), (*self.operators, *self.macros))
        macros = f" The macros are: {', '.join(sorted(self.macros))}." if self.macros else ""
        return f"there is no operator {name!r}.{hint} The operators are: {', '.join(sorted(self.operators))}.{macros}"

    def arguments(
        self, call: Term, operator: Operator, form: Form, trees: Sequence[ast.expr], depth: int
    ) -> Iterator[Node | int | float | Labels]:
        literals: dict[str, float] = {}
        for parameter, tree in zip(form.parameters, trees, strict=True):
            given = Argument.of(call, tree, parameter, operator)
            match parameter:
                case Series():
                    yield self.series(given, form, depth)
                case Window():
                    yield given.window(parameter)
                case Literal():
                    literals[parameter.name] = given.literal(parameter, literals)
                    yield literals[parameter.name]
                case Group():
                    yield self.labels(given)
                case _:
                    assert_never(parameter)

    def series(self, given: Argument, form: Form, depth: int) -> Node:
        before = len(self.columns)
        node = self.node(given.term, depth + 1)
        if form.axis is not Axis.ROW and len(self.columns) == before:
            problem = f"{given.label} reads no column, so it is the same everywhere: name a column"
            raise given.term.error(problem)
        return node

    def labels(self, given: Argument) -> Labels:
        term = given.term
        if not isinstance(term.tree, ast.Name):
            raise term.error(f"{given.label} is the name of a column: write one, like sector")
        self.check_column(term, term.tree.id)
        labels = Labels(term.tree.id, term.place)
        self.columns.append(labels)
        return labels


def _form(call: Term, operator: Operator, arguments: Sequence[ast.expr]) -> Form:
    for form in operator.forms:
        if len(form.parameters) == len(arguments):
            return form
    raise call.error(f"{operator.name} does not take {_counted(arguments)}: write {operator.signature}")


def _body(call: Term, macro: Macro, arguments: Sequence[ast.expr]) -> Term:
    """Return the macro's expression, with its parameters standing for the arguments of the call."""
    if len(macro.parameters) != len(arguments):
        raise call.error(f"{macro.name} does not take {_counted(arguments)}: write {macro.signature}")
    chain = call.scope.chain
    if macro.name in chain:
        way = " -> ".join((*chain[chain.index(macro.name) :], macro.name))
        raise call.error(f"macro {macro.name} calls itself ({way}), so it never ends: write out what it stands for")
    bound = dict(zip(macro.parameters, map(call.part, arguments), strict=True))
    return Term(macro.tree, Scope(macro.line, macro, bound, call))


def _counted(arguments: Sequence[ast.expr]) -> str:
    return f"{len(arguments)} argument{'' if len(arguments) == 1 else 's'}"


def _foreign(term: Term) -> ExpressionError:
    part = term.tree.op if isinstance(term.tree, ast.BinOp | ast.UnaryOp) else term.tree
    return term.error(REMEDIES.get(type(part), FOREIGN))
