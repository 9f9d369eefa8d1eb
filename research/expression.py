"""The expression language: text, checked, to a syntax tree.

An expression has numbers, column names, parentheses, `+ - * / **`, comparisons and operators by their
upper-case names, like `RANK(REF(close, 21) / REF(close, 252) - 1)`. The rules of precedence are Python's,
whose parser reads the text; nothing of it is ever run as Python.
"""

import ast
from dataclasses import dataclass, field
from difflib import get_close_matches

from research.errors import ResearchError
from research.operators import Axis, Form, Operator, Operators, Series, Window

KEYS = ("date", "entity", "knowledge_date")
MAX_DEPTH = 200

ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
REMEDIES: dict[type[ast.AST], str] = {
    ast.Attribute: "a dot has no meaning here: write the name of a column alone",
    ast.Subscript: "square brackets have no meaning here: write REF(x, n) for the value n rows earlier",
    ast.BoolOp: "'and' and 'or' have no meaning here: multiply conditions, like (a > 0) * (b > 0)",
    ast.Not: "'not' has no meaning here: turn the comparison round",
    ast.FloorDiv: "// has no meaning here: use /",
    ast.Lambda: "a lambda has no place here: use the operators",
    ast.Starred: "a star has no meaning here: write the arguments one by one",
}


@dataclass(frozen=True)
class Place:
    """Where in the text something stands: its first column, from 0, and its length in characters."""

    start: int
    length: int = 1


class ExpressionError(ResearchError):
    """An expression that can't be read or evaluated; shows the place."""

    def __init__(self, text: str, place: Place, problem: str) -> None:
        marks = "^" * max(1, place.length)
        super().__init__(
            f"in the expression, at column {place.start + 1}:\n  {text}\n  {' ' * place.start}{marks}\n{problem}"
        )


@dataclass(frozen=True)
class Number:
    value: float
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Column:
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
    operator: Operator
    form: Form
    series: tuple["Node", ...]
    arguments: tuple["Node | int", ...]


Node = Number | Column | Negation | Binary | Call


@dataclass(frozen=True)
class Expression:
    """A checked expression; `columns` are those it reads, in the order in which they appear."""

    text: str
    root: Node
    columns: tuple[Column, ...]

    def require(self, available: tuple[str, ...]) -> None:
        """Raise `ExpressionError` at the first column that is not among the `available` ones."""
        for column in self.columns:
            if column.name not in available:
                names = ", ".join(available) or "none"
                hint = _did_you_mean(column.name, available)
                problem = f"there is no column {column.name!r}.{hint} The columns are: {names}."
                raise ExpressionError(self.text, column.place, problem)


def parse(text: str, operators: Operators) -> Expression:
    """Return the checked expression, with each call bound to its operator.

    Raises `ExpressionError` for anything that is not of the language, with the place and the remedy.
    """
    line = "".join(" " if char.isspace() else char for char in text).strip()
    if not line:
        raise ExpressionError(line, Place(0), "it is empty: write one, like REF(close, 1)")
    if (comment := line.find("#")) >= 0:
        raise ExpressionError(line, Place(comment), "a comment has no place here: leave it out")
    try:
        tree = ast.parse(line, mode="eval")
    except SyntaxError as error:
        if not error.offset and error.msg == "invalid syntax":
            raise ExpressionError(line, Place(len(line)), "it ends too early: something is missing here") from error
        raise ExpressionError(line, Place(max(error.offset or 0, 1) - 1), f"it can't be read: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(line, Place(0), "it can't be read: write it more simply") from error
    return _Parser(line, operators).expression(tree.body)


class _Parser:
    """Goes once over Python's syntax tree and keeps what is of the language."""

    def __init__(self, text: str, operators: Operators) -> None:
        self.text = text
        self.operators = operators
        self.columns: list[Column] = []

    def expression(self, tree: ast.expr) -> Expression:
        root = self.node(tree, 0)
        if not self.columns:
            raise self.error(tree, "it reads no column, so it is the same everywhere: name a column")
        return Expression(self.text, root, tuple(self.columns))

    def node(self, tree: ast.expr, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.error(tree, f"it is nested deeper than {MAX_DEPTH} steps: split it into several datasets")
        match tree:
            case ast.Constant():
                return self.number(tree)
            case ast.Name():
                return self.column(tree)
            case ast.UnaryOp(op=ast.USub()):
                return Negation(self.node(tree.operand, depth + 1))
            case ast.UnaryOp(op=ast.UAdd()):
                return self.node(tree.operand, depth + 1)
            case ast.BinOp() if type(tree.op) in ARITHMETIC:
                left = self.node(tree.left, depth + 1)
                return Binary(ARITHMETIC[type(tree.op)], left, self.node(tree.right, depth + 1))
            case ast.Compare() if all(type(op) in COMPARISONS for op in tree.ops):
                return self.comparison(tree, depth)
            case ast.Call():
                return self.call(tree, depth)
            case _:
                raise self.foreign(tree)

    def number(self, tree: ast.Constant) -> Number:
        if isinstance(tree.value, str | bytes):
            raise self.error(tree, "text has no place here: write the name of a column without quotes")
        if isinstance(tree.value, bool) or not isinstance(tree.value, int | float):
            raise self.foreign(tree)
        try:
            value = float(tree.value)
        except OverflowError:
            value = float("inf")
        if value == float("inf"):
            raise self.error(tree, "this number is too large for a 64-bit float: write a smaller one")
        return Number(value, self.place(tree))

    def column(self, tree: ast.Name) -> Column:
        if tree.id in self.operators:
            raise self.error(tree, f"{tree.id} is an operator: call it, as {self.operators[tree.id].signature}")
        if tree.id in KEYS:
            raise self.error(tree, f"{tree.id!r} is a key of the rows, not a value: name a value column")
        column = Column(tree.id, self.place(tree))
        self.columns.append(column)
        return column

    def comparison(self, tree: ast.Compare, depth: int) -> Binary:
        if len(tree.ops) > 1:
            raise self.error(tree, "comparisons can't be chained: multiply them, like (0 < x) * (x < 1)")
        left = self.node(tree.left, depth + 1)
        return Binary(COMPARISONS[type(tree.ops[0])], left, self.node(tree.comparators[0], depth + 1))

    def call(self, tree: ast.Call, depth: int) -> Call:
        operator, form = self.form(tree)
        arguments = tuple(
            self.window(given, parameter, operator)
            if isinstance(parameter, Window)
            else self.series(given, parameter, operator, form, depth)
            for parameter, given in zip(form.parameters, tree.args, strict=True)
        )
        series = tuple(argument for argument in arguments if not isinstance(argument, int))
        return Call(operator, form, series, arguments)

    def form(self, tree: ast.Call) -> tuple[Operator, Form]:
        if not isinstance(tree.func, ast.Name):
            raise self.foreign(tree.func) if type(tree.func) in REMEDIES else self.error(tree, "this can't be called")
        name = tree.func.id
        operator = self.operators.get(name)
        if operator is None:
            known = ", ".join(sorted(self.operators))
            hint = _did_you_mean(name.upper(), self.operators)
            raise self.error(tree.func, f"there is no operator {name!r}.{hint} The operators are: {known}.")
        if tree.keywords:
            raise self.error(tree, f"arguments go by position, without names: write {operator.signature}")
        for form in operator.forms:
            if len(form.parameters) == len(tree.args):
                return operator, form
        count = f"{len(tree.args)} argument{'' if len(tree.args) == 1 else 's'}"
        raise self.error(tree, f"{name} does not take {count}: write {operator.signature}")

    def series(self, tree: ast.expr, parameter: Series, operator: Operator, form: Form, depth: int) -> Node:
        before = len(self.columns)
        node = self.node(tree, depth + 1)
        if form.axis is not Axis.ROW and len(self.columns) == before:
            name = f"{parameter.name} of {operator.signature}"
            raise self.error(tree, f"{name} reads no column, so it is the same everywhere: name a column")
        return node

    def window(self, tree: ast.expr, parameter: Window, operator: Operator) -> int:
        name = f"{parameter.name} of {operator.signature}"
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
            raise self.error(tree, f"{name} is negative: that would look ahead, at what was not known yet")
        if not isinstance(tree, ast.Constant) or type(tree.value) is not int:
            raise self.error(tree, f"{name} is a number of rows: write a whole number, like 20")
        if tree.value < parameter.least:
            raise self.error(tree, f"{name} is {tree.value}: it must be at least {parameter.least}")
        if tree.value >= 2**31:
            raise self.error(tree, f"{name} is larger than any table: write a smaller number of rows")
        return tree.value

    def place(self, tree: ast.expr) -> Place:
        raw = self.text.encode()  # Python counts in bytes of UTF-8
        start = len(raw[: tree.col_offset].decode())
        return Place(start, len(raw[: tree.end_col_offset].decode()) - start)

    def error(self, tree: ast.expr, problem: str) -> ExpressionError:
        return ExpressionError(self.text, self.place(tree), problem)

    def foreign(self, tree: ast.expr) -> ExpressionError:
        part = tree.op if isinstance(tree, ast.BinOp | ast.UnaryOp) else tree
        general = (
            "this is not of the expression language, which has numbers, column names, parentheses, "
            "+ - * / **, comparisons and operators"
        )
        return self.error(tree, REMEDIES.get(type(part), general))


def _did_you_mean(name: str, known: "Operators | tuple[str, ...]") -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
