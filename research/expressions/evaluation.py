"""Evaluation of expressions on frames in long form."""

import polars as pl

from research.expressions.nodes import Binary, Call, Column, Expression, Labels, Negation, Node, Number
from research.expressions.operators import Axis
from research.expressions.syntax import ExpressionError

GROUPS = (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null)


def evaluate(expression: Expression, frame: pl.DataFrame, *, value_column: str = "value") -> pl.DataFrame:
    """Return `date`, `entity` and the expression's value (Float64), sorted by entity and date.

    `frame` holds `date` (Date), `entity` (String) and numeric columns, one row per (date, entity), and columns
    of text or whole numbers where the expression groups by them; the result has a row for each of its rows.
    There is one missing value, null: NaN and infinite values are null in what is read and after every step
    (so 1 / 0, LOG(0) and 0 ** -1 are null), and a step on a null gives null. Comparisons give 1.0 or 0.0.
    Windows count rows of the entity, not days.
    Raises `ExpressionError` for a column that is not there, or whose type does not fit its use.
    """
    return _Evaluation(expression, frame).result(value_column)


def _finite(value: pl.Expr) -> pl.Expr:
    # `when(value.is_finite()).then(value)` names its value twice: nested, that doubles at every level.
    return value.map_batches(_null_where_not_finite, return_dtype=pl.Float64, is_elementwise=True)


def _null_where_not_finite(values: pl.Series) -> pl.Series:
    return values.set(~values.is_finite(), None)


def _problem(column: Column | Labels, dtype: pl.DataType) -> str:
    """Say what is wrong with the type of a column; nothing, if it is right."""
    if isinstance(column, Labels):
        fits = dtype.is_integer() or dtype in GROUPS
        remedy = "not groups: name a column of text or whole numbers"
    else:
        fits = dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)
        remedy = "not numbers: name a numeric column"
    return "" if fits else f"column {column.name!r} holds {dtype}, {remedy}"


def _read(column: Column | Labels) -> pl.Expr:
    if isinstance(column, Labels):
        return pl.col(column.name).alias(_label(column))
    return _finite(pl.col(column.name).cast(pl.Float64)).alias(f"column {column.name}")


def _label(labels: Labels) -> str:
    return f"group {labels.name}"


class _Evaluation:
    """Evaluates step by step: an operator's arguments become columns first, since Polars can't nest `over`."""

    def __init__(self, expression: Expression, frame: pl.DataFrame) -> None:
        expression.require(tuple(name for name in frame.columns if name not in ("date", "entity", "knowledge_date")))
        for column in expression.columns:
            if problem := _problem(column, frame.schema[column.name]):
                raise ExpressionError(expression.text, column.place, problem)
        self.root = expression.root
        columns = (_read(column) for column in dict.fromkeys(expression.columns))
        self.frame = frame.select("date", "entity", *columns).sort("entity", "date")
        self.made: dict[Node, str] = {}

    def result(self, value_column: str) -> pl.DataFrame:
        value = self.step(self.root)
        return self.frame.select("date", "entity", value.cast(pl.Float64).alias(value_column))

    def step(self, node: Node) -> pl.Expr:
        match node:
            case Number():
                return pl.lit(node.value)
            case Column():
                return pl.col(f"column {node.name}")
            case Negation():
                return -self.step(node.operand)
            case Binary():
                return _combine(node.symbol, self.step(node.left), self.step(node.right))
            case Call():
                return self.call(node)

    def call(self, node: Call) -> pl.Expr:
        given = [part for part in node.arguments if not isinstance(part, Labels)]
        value = node.form.build(*(part if isinstance(part, int | float) else self.column(part) for part in given))
        if node.form.axis is Axis.ROW:
            return _finite(value)
        groups = [_label(part) for part in node.arguments if isinstance(part, Labels)]
        value = _finite(value.over(node.form.axis.value, *groups))
        return pl.when(pl.all_horizontal(pl.col(groups).is_not_null())).then(value) if groups else value

    def column(self, node: Node) -> pl.Expr:
        """Return the node's value as a column that is there already, or as a number."""
        if isinstance(node, Number | Column):
            return self.step(node)
        if node not in self.made:
            value = self.step(node)
            self.made[node] = f"step {len(self.made)}"
            self.frame = self.frame.with_columns(value.alias(self.made[node]))
        return pl.col(self.made[node])


def _combine(symbol: str, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    match symbol:
        case "+":
            return _finite(left + right)
        case "-":
            return _finite(left - right)
        case "*":
            return _finite(left * right)
        case "/":
            return _finite(left / right)
        case "**":
            return _finite(left**right)
        case "<":
            value = left < right
        case "<=":
            value = left <= right
        case ">":
            value = left > right
        case ">=":
            value = left >= right
        case "==":
            value = left == right
        case "!=":
            value = left != right
        case _:
            raise AssertionError(symbol)
    return value.cast(pl.Float64)
