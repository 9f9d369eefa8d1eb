"""Evaluation of expressions on frames in long form."""

import polars as pl

from research.expression import Binary, Call, Column, Expression, ExpressionError, Negation, Node, Number
from research.operators import Axis


def evaluate(expression: Expression, frame: pl.DataFrame, *, value_column: str = "value") -> pl.DataFrame:
    """Return `date`, `entity` and the expression's value (Float64), sorted by entity and date.

    `frame` holds `date` (Date), `entity` (String) and numeric columns, one row per (date, entity); the
    result has a row for each of its rows. There is one missing value, null: NaN and infinite values are
    null in what is read and after every step (so 1 / 0, LOG(0) and 0 ** -1 are null), and a step on a
    null gives null. Comparisons give 1.0 or 0.0. Windows count rows of the entity, not days.
    Raises `ExpressionError` for a column that is not there or not numeric.
    """
    return _Evaluation(expression, frame).result(value_column)


def _finite(value: pl.Expr) -> pl.Expr:
    # `when(value.is_finite()).then(value)` names its value twice: nested, that doubles at every level.
    return value.map_batches(_null_where_not_finite, return_dtype=pl.Float64, is_elementwise=True)


def _null_where_not_finite(values: pl.Series) -> pl.Series:
    return values.set(~values.is_finite(), None)


class _Evaluation:
    """Evaluates step by step: an operator's arguments become columns first, since Polars can't nest `over`."""

    def __init__(self, expression: Expression, frame: pl.DataFrame) -> None:
        expression.require(tuple(name for name in frame.columns if name not in ("date", "entity", "knowledge_date")))
        for column in expression.columns:
            dtype = frame.schema[column.name]
            if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
                problem = f"column {column.name!r} holds {dtype}, not numbers: name a numeric column"
                raise ExpressionError(expression.text, column.place, problem)
        self.root = expression.root
        names = dict.fromkeys(column.name for column in expression.columns)
        values = [_finite(pl.col(name).cast(pl.Float64)).alias(f"column {name}") for name in names]
        self.frame = frame.select("date", "entity", *values).sort("entity", "date")
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
        arguments = [part if isinstance(part, int) else self.column(part) for part in node.arguments]
        value = node.form.build(*arguments)
        return _finite(value if node.form.axis is Axis.ROW else value.over(node.form.axis.value))

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
