"""The `expression` pipeline: computes a value from the columns of other instances."""

import ast
from collections.abc import Sequence

import polars as pl
from pydantic import Field, field_validator

from definitions.contract import Definition, ExtractRequest, FlowKind, Input, Kind, Resources, Role
from definitions.errors import SourceError
from definitions.frames import KEYS, long_form
from definitions.operators.table import operator_table
from definitions.parameters import Parameters
from definitions.registry import default_registry
from research.evaluation import evaluate
from research.expression import ExpressionError, parse


class ExpressionParameters(Parameters):
    expression: str = Field(
        description="What to compute, like RANK(REF(close, 21) / REF(close, 252) - 1). With several inputs a "
        "column's name begins with that of its instance: prices_close."
    )
    value_column: str = Field(default="value", min_length=1, description="The name of the computed column.")
    drop_nulls: bool = Field(default=True, description="Whether rows without a value are left out.")

    @field_validator("expression")
    @classmethod
    def _of_the_language(cls, value: str) -> str:
        parse(value, operator_table(default_registry()))
        return value

    @field_validator("value_column")
    @classmethod
    def _not_a_key(cls, value: str) -> str:
        if value in KEYS:
            raise ValueError(f"{value!r} is a key of the rows: choose another name for the value")
        return value


class ExpressionPipeline:
    """Computes `date`, `entity` and the value (Float64) from the inputs; see `research.evaluation`."""

    def __init__(self, parameters: ExpressionParameters) -> None:
        self.parameters = parameters
        self.expression = parse(parameters.expression, operator_table(default_registry()))

    def check(self) -> None:
        """Do nothing: the expression was checked with the config, and the inputs are only there in a run."""

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        if not request.inputs:
            raise SourceError("the expression has no input: name one in upstream_refs")
        name = self.parameters.value_column
        try:
            table = joined(request.inputs, missing=request.missing)
            rows = evaluate(self.expression, self._with_missing(table, request.missing), value_column=name)
        except ExpressionError as error:
            raise SourceError(str(error)) from error
        return rows.drop_nulls(name) if self.parameters.drop_nulls else rows

    def _with_missing(self, table: pl.DataFrame, missing: Sequence[str]) -> pl.DataFrame:
        """Give the columns that the expression reads of an input that left nothing yet no values."""
        prefixes = tuple(f"{_prefix(instance)}_" for instance in missing)
        wanted = {column.name for column in self.expression.columns if column.name.startswith(prefixes)}
        return table.with_columns(
            pl.lit(None, pl.Float64).alias(name) for name in sorted(wanted) if name not in table.columns
        )


def joined(inputs: Sequence[Input], *, missing: Sequence[str] = ()) -> pl.DataFrame:
    """Return the inputs' rows side by side: `date`, `entity` and their value columns.

    The value columns of a single input keep their names. With several inputs, those that are `missing`
    counted in, the name of the instance comes
    first, with underscores for dashes (and before a leading digit), like `prices_us_close`. There is a row
    for each (date, entity) of any input, with nulls for the inputs that lack it; the order of the inputs
    makes no difference. An input's knowledge_date is left out. Raises `SourceError` when two columns would
    have one name, or an input has two rows for one (date, entity).
    """
    frames = [_values(one, alone=len(inputs) + len(missing) == 1) for one in inputs]
    table = frames[0]
    for frame, one in zip(frames[1:], inputs[1:], strict=True):
        if shared := (set(table.columns) & set(frame.columns)) - set(KEYS):
            raise SourceError(
                f"input {one.instance!r} brings the column {min(shared)!r}, which another input has too: "
                "use each instance once, and rename one of the two"
            )
        table = table.join(frame, on=["date", "entity"], how="full", coalesce=True)
    return table


def _values(one: Input, *, alone: bool) -> pl.DataFrame:
    rows = long_form(one.frame.drop("knowledge_date", strict=False), source=f"input {one.instance!r}")
    if alone:
        return rows
    return rows.rename({name: f"{_prefix(one.instance)}_{name}" for name in rows.columns if name not in KEYS})


def _prefix(instance: str) -> str:
    prefix = instance.replace("-", "_")
    return f"_{prefix}" if prefix[:1].isdigit() else prefix


def _operators_used(parameters: ExpressionParameters) -> tuple[str, ...]:
    """Return the references of the operators that the expression calls, in their newest versions."""
    calls = (
        node
        for node in ast.walk(ast.parse(" ".join(parameters.expression.split()), mode="eval"))
        if isinstance(node, ast.Call)
    )
    names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    return tuple(sorted(d.ref for d in default_registry().newest(Kind.OPERATOR) if d.name in names))


def _pipeline(parameters: ExpressionParameters, resources: Resources) -> ExpressionPipeline:
    return ExpressionPipeline(parameters)


EXPRESSION = Definition(
    kind=Kind.PIPELINE,
    name="expression",
    version=1,
    summary="Computes a value from the columns of other instances, with an expression.",
    parameters=ExpressionParameters,
    factory=_pipeline,
    flows=(FlowKind.REFRESH,),
    roles=(Role("input", required=True, many=True),),
    uses=_operators_used,
)
