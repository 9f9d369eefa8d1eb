"""The `expression` pipeline: computes a value from the columns of other instances."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import polars as pl
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from definitions.contract import Definition, ExtractRequest, FlowKind, Input, Kind, Resources, Role
from definitions.errors import SourceError
from definitions.joining import joined, prefix
from definitions.operators.macro_definitions import macro_table
from definitions.operators.operator_definitions import operator_table
from definitions.parameters import Parameters
from definitions.registry import default_registry
from research.expressions.evaluation import evaluate
from research.expressions.macros import Macro, Macros, macros_by_name
from research.expressions.operators import Operators
from research.expressions.parser import Expression, ExpressionError, check_macro, parse
from research.frames.panels import KEYS


class ExpressionText(str):
    """An expression as a config has it, with what it was parsed to: once, when the config was checked."""

    parsed: Expression

    @classmethod
    def checked(cls, text: str, own: Mapping[str, "MacroParameters"]) -> "ExpressionText":
        """Return the text of an expression that may call its `own` macros too. Raises `ExpressionError`."""
        found = cls(text)
        found.parsed = parse(text, *_language(own))
        return found


def _not_a_key(value: str) -> str:
    if value in KEYS:
        raise ValueError(f"{value!r} is a key of the rows: choose another name for the value")
    return value


class MacroParameters(Parameters):
    parameters: tuple[str, ...] = Field(description="The names that the expression has for the call's arguments.")
    expression: str = Field(description="What a call stands for, like REF(x, 21) / REF(x, n) - 1.")


class ExpressionParameters(Parameters):
    macros: dict[str, MacroParameters] = Field(
        default={},
        description="Macros that the expression can call, by their names: for each the names of its parameters and "
        "its expression, like {MOM: {parameters: [x, n], expression: 'REF(x, 21) / REF(x, n) - 1'}}.",
    )
    expression: str = Field(
        description="What to compute, like RANK(REF(close, 21) / REF(close, 252) - 1). With several inputs a "
        "column's name begins with that of its instance: prices_close.",
    )
    value_column: Annotated[str, AfterValidator(_not_a_key)] = Field(
        default="value", min_length=1, description="The name of the computed column."
    )
    drop_nulls: bool = Field(default=True, description="Whether rows without a value are left out.")

    @field_validator("macros")
    @classmethod
    def _can_be_called(cls, value: dict[str, MacroParameters]) -> dict[str, MacroParameters]:
        operators, macros = _language(value)
        for name in value:
            check_macro(macros[name], operators, macros)
        return value

    @field_validator("expression")
    @classmethod
    def _of_the_language(cls, value: str, info: ValidationInfo) -> str:
        if "macros" not in info.data:  # their own error is enough
            return value
        return ExpressionText.checked(value, info.data["macros"])


def _language(own: Mapping[str, MacroParameters]) -> tuple[Operators, Macros]:
    """Return the operators and macros of the installed packages, with the macros of a config."""
    registry = default_registry()
    operators = operator_table(registry)
    added = (Macro(name, macro.parameters, macro.expression) for name, macro in own.items())
    return operators, macros_by_name((*macro_table(registry).values(), *added), operators)


def _parsed(parameters: ExpressionParameters) -> Expression:
    assert isinstance(parameters.expression, ExpressionText)  # as its validator makes it
    return parameters.expression.parsed


class ExpressionPipeline:
    """Computes `date`, `entity` and the value (Float64) from the inputs; see `research.expressions.evaluation`."""

    def __init__(self, parameters: ExpressionParameters) -> None:
        self.parameters = parameters
        self.expression = _parsed(parameters)

    def check(self) -> None:
        """Do nothing: the expression was checked with the config, and the inputs are only there in a run."""

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        rows = self.computed(request)
        return rows.drop_nulls(self.parameters.value_column) if self.parameters.drop_nulls else rows

    def computed(self, request: ExtractRequest) -> pl.DataFrame:
        """Return a row for each row of the inputs, those without a value too. Raises `SourceError`."""
        if not request.inputs:
            raise SourceError("the expression has no input: name one in upstream_refs")
        name = self.parameters.value_column
        try:
            table = _with_present_names(joined(request.inputs, missing=request.missing), request.inputs)
            return evaluate(self.expression, self._with_missing(table, request.missing), value_column=name)
        except ExpressionError as error:
            raise SourceError(str(error)) from error

    def _with_missing(self, table: pl.DataFrame, missing: Sequence[str]) -> pl.DataFrame:
        """Give the columns that the expression reads of an input that left nothing yet no values."""
        prefixes = tuple(f"{prefix(instance)}_" for instance in missing)
        wanted = {column.name for column in self.expression.columns if column.name.startswith(prefixes)}
        return table.with_columns(pl.lit(None).alias(name) for name in sorted(wanted) if name not in table.columns)


def _with_present_names(table: pl.DataFrame, inputs: Iterable[Input]) -> pl.DataFrame:
    """Give the columns of inputs that were renamed their present names too: an expression may say either."""
    starts = {f"{prefix(one.known_as)}_": f"{prefix(one.instance)}_" for one in inputs if one.known_as is not None}
    added = {
        f"{now}{name.removeprefix(first)}": name
        for first, now in starts.items()
        for name in table.columns
        if name.startswith(first)
    }
    return table.with_columns(pl.col(name).alias(new) for new, name in added.items() if new not in table.columns)


def _used(parameters: ExpressionParameters) -> tuple[str, ...]:
    """Return the references of all operators and macros that the expression calls, in their newest versions.

    Those behind a macro are among them. A macro comes with its expression, since that is what it computes; the
    macros of the config are no definitions.
    """
    registry, expression = default_registry(), _parsed(parameters)
    operators = (d.ref for d in registry.newest(Kind.OPERATOR) if d.name in expression.operators)
    table = macro_table(registry)
    macros = (
        f"{d.ref}: {table[d.name].signature} = {table[d.name].line}"
        for d in registry.newest(Kind.MACRO)
        if d.name in expression.macros
    )
    return tuple(sorted((*operators, *macros)))


def _pipeline(parameters: ExpressionParameters, resources: Resources) -> ExpressionPipeline:
    return ExpressionPipeline(parameters)


# Under version 1 databases may have a definition of before, without macros of its own.
EXPRESSION = Definition(
    kind=Kind.PIPELINE,
    name="expression",
    version=2,
    summary="Computes a value from the columns of other instances, with an expression.",
    parameters=ExpressionParameters,
    factory=_pipeline,
    columns=lambda parameters: ("date", "entity", parameters.value_column),
    flows=(FlowKind.REFRESH, FlowKind.PREVIEW),
    roles=(Role("input", required=True, many=True),),
    uses=_used,
)
