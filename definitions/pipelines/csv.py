"""The `csv` pipeline: reads a file of comma-separated values."""

import csv

import polars as pl
from pydantic import Field

from definitions.contract import Definition, ExtractRequest, FlowKind, Kind, Resources
from definitions.errors import SourceError
from definitions.frames import long_form
from definitions.pipelines.columns import ColumnParameters, known_columns, parsed_dates
from definitions.pipelines.files import check_readable, located, translated
from research.frames.panels import KEYS


class CsvParameters(ColumnParameters):
    path: str = Field(description="The file, or its URL (s3://, https://).")
    separator: str = Field(default=",", min_length=1, max_length=1, description="What stands between two cells.")
    decimal_comma: bool = Field(default=False, description="Whether numbers are written like 1,5 instead of 1.5.")
    date_format: str | None = Field(
        default=None, description="How dates are written, like %d.%m.%Y; none: like 2024-01-31."
    )
    null_values: tuple[str, ...] = Field(
        default=("", "NA", "N/A", "NaN", "nan", "null"), description="Cells that mean a missing value."
    )
    text: tuple[str, ...] = Field(default=(), description="Value columns that hold text; all others hold numbers.")


class CsvPipeline:
    """Reads the whole file on every refresh, so that corrected old rows are found too."""

    def __init__(self, parameters: CsvParameters) -> None:
        self.parameters = parameters
        self.source = located(parameters.path)

    def check(self) -> None:
        check_readable(self.source)

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        texts, lines = self._texts()
        renaming = self.parameters.renaming(texts.columns, self.source)
        for name in self.parameters.text:
            if name not in renaming:
                raise SourceError(
                    f"{self.source}: the text column {name!r} is not among the columns read: {', '.join(renaming)}"
                )
        reader = _Cells(self.parameters, self.source, lines)
        columns = [reader.typed(texts[name], target).alias(target) for name, target in renaming.items()]
        return long_form(pl.DataFrame(columns), source=self.source)

    def _texts(self) -> tuple[pl.DataFrame, pl.Series]:
        """Return all cells as text, with nulls, and the line of each row; empty lines are left out."""
        parameters = self.parameters
        with translated(self.source):
            try:
                rows = pl.scan_csv(
                    self.source,
                    separator=parameters.separator,
                    infer_schema=False,
                    null_values=list(parameters.null_values),
                ).collect()
            except pl.exceptions.ComputeError as error:
                if (line := _overlong_line(self.source, parameters.separator)) is None:
                    raise
                raise SourceError(
                    f"{self.source}, line {line}: more cells than the header has. Correct the file."
                ) from error
        rows = rows.with_columns(pl.all().str.strip_chars())
        lines = pl.int_range(2, rows.height + 2, eager=True)
        filled = ~rows.select(pl.all_horizontal(pl.all().is_null())).to_series()
        return rows.filter(filled), lines.filter(filled)


def _overlong_line(source: str, separator: str) -> int | None:
    """Return the first line with more cells than the header, which Polars refuses without saying where."""
    if "://" in source:
        return None
    with open(source, newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.reader(file, delimiter=separator)
        width = len(next(lines, []))
        return next((lines.line_num for cells in lines if len(cells) > width), None)


class _Cells:
    """Turns the texts of a column into what they mean, and says the line of the first that means nothing."""

    def __init__(self, parameters: CsvParameters, source: str, lines: pl.Series) -> None:
        self.parameters = parameters
        self.source = source
        self.lines = lines

    def typed(self, texts: pl.Series, target: str) -> pl.Series:
        if target in KEYS:
            self._refuse_empty(texts)
        if target in ("date", "knowledge_date"):
            return parsed_dates(texts, self.parameters.date_format, self._place, has_format=True)
        if target == "entity" or texts.name in self.parameters.text:
            return texts
        return self._numbers(texts)

    def _numbers(self, texts: pl.Series) -> pl.Series:
        written = texts.str.replace(",", ".", literal=True) if self.parameters.decimal_comma else texts
        numbers = written.cast(pl.Float64, strict=False)
        bad = (numbers.is_null() & texts.is_not_null()).arg_true()
        if bad.len():
            row = int(bad[0])
            raise SourceError(
                f"{self._place(row)}, column {texts.name!r}: {texts[row]!r} is not a number. "
                "Correct the file, or list the column under 'text' in the config."
            )
        return numbers

    def _refuse_empty(self, texts: pl.Series) -> None:
        empty = texts.is_null().arg_true()
        if empty.len():
            raise SourceError(
                f"{self._place(int(empty[0]))}, column {texts.name!r}: the cell is empty. Correct the file."
            )

    def _place(self, row: int) -> str:
        return f"{self.source}, line {self.lines[row]}"


def _pipeline(parameters: CsvParameters, resources: Resources) -> CsvPipeline:
    return CsvPipeline(parameters)


CSV = Definition(
    kind=Kind.PIPELINE,
    name="csv",
    version=1,
    summary="Reads a file of comma-separated values.",
    parameters=CsvParameters,
    factory=_pipeline,
    columns=known_columns,
    flows=(FlowKind.REFRESH,),
)
