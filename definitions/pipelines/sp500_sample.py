"""The `sp500-sample` pipeline: real daily prices that ship with the package skfolio, read offline."""

import gzip

import polars as pl
from pydantic import Field

from definitions.contract import Definition, ExtractRequest, FlowKind, Kind, Resources
from definitions.errors import SourceError
from definitions.frames import long_form
from definitions.pipelines.samples import SampleParameters, read_sample, sample_file

SOURCE = "skfolio's S&P 500 sample"
FILE = "sp500_dataset"


class Sp500SampleParameters(SampleParameters):
    tickers: tuple[str, ...] | None = Field(default=None, description="The stocks to read; none: all 20.")


class Sp500SamplePipeline:
    """Reads `date`, `entity` (ticker) and `close` (adjusted, USD) of 20 stocks, 1990-01-02 to 2022-12-28."""

    def __init__(self, parameters: Sp500SampleParameters) -> None:
        self.parameters = parameters

    def check(self) -> None:
        self._tickers(_tickers_of_file())

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        wide = read_sample(FILE, source=SOURCE)
        tickers = self._tickers(wide.columns[1:])
        rows = wide.unpivot(tickers, index="date", variable_name="entity", value_name="close").drop_nulls("close")
        return long_form(rows.filter(*self.parameters.wanted(request)), source=SOURCE)

    def _tickers(self, known: list[str]) -> list[str]:
        unknown = [ticker for ticker in self.parameters.tickers or () if ticker not in known]
        if unknown:
            raise SourceError(f"{SOURCE} has no {', '.join(unknown)}; its tickers are: {', '.join(known)}")
        return known if self.parameters.tickers is None else list(dict.fromkeys(self.parameters.tickers))


def _tickers_of_file() -> list[str]:
    with gzip.open(sample_file(FILE, source=SOURCE), "rt") as file:
        return file.readline().strip().split(",")[1:]


def _known_tickers() -> tuple[str, ...] | None:
    try:
        return tuple(_tickers_of_file())
    except SourceError:  # which `check` tells of
        return None


def _pipeline(parameters: Sp500SampleParameters, resources: Resources) -> Sp500SamplePipeline:
    return Sp500SamplePipeline(parameters)


SP500_SAMPLE = Definition(
    kind=Kind.PIPELINE,
    name="sp500-sample",
    version=1,
    summary="Daily closes of 20 S&P 500 stocks, 1990 to 2022, offline.",
    parameters=Sp500SampleParameters,
    factory=_pipeline,
    columns=lambda parameters: ("date", "entity", "close"),
    entities=lambda parameters: parameters.tickers or _known_tickers(),
    flows=(FlowKind.REFRESH,),
)
