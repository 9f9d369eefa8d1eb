"""The `sp500-sample` pipeline: real daily prices that ship with the package skfolio, read offline."""

import datetime as dt
import gzip
from importlib.util import find_spec
from pathlib import Path

import polars as pl
from pydantic import Field

from definitions.contract import Definition, ExtractRequest, FlowKind, Kind, Resources
from definitions.errors import SourceError
from definitions.frames import long_form
from definitions.parameters import Parameters

SOURCE = "skfolio's S&P 500 sample"


class Sp500SampleParameters(Parameters):
    tickers: tuple[str, ...] | None = Field(default=None, description="The stocks to read; none: all 20.")
    start: dt.date | None = Field(default=None, description="The first date to read; none: 1990-01-02.")
    end: dt.date | None = Field(
        default=None, description="The last date to read, to play the arrival of new data; none: 2022-12-28."
    )


class Sp500SamplePipeline:
    """Reads `date`, `entity` (ticker) and `close` (adjusted, USD) of 20 stocks, 1990-01-02 to 2022-12-28."""

    def __init__(self, parameters: Sp500SampleParameters) -> None:
        self.parameters = parameters

    def check(self) -> None:
        with gzip.open(_data_file(), "rt") as file:
            self._tickers(file.readline().strip().split(",")[1:])

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        with gzip.open(_data_file()) as file:
            wide = pl.read_csv(file.read(), try_parse_dates=True).rename({"Date": "date"})
        tickers = self._tickers(wide.columns[1:])
        rows = wide.unpivot(tickers, index="date", variable_name="entity", value_name="close").drop_nulls("close")
        return long_form(rows.filter(*self._wanted(request)), source=SOURCE)

    def _wanted(self, request: ExtractRequest) -> list[pl.Expr]:
        date = pl.col("date")
        wanted = [] if request.since is None else [date > request.since.date]
        if self.parameters.start is not None:
            wanted.append(date >= self.parameters.start)
        if self.parameters.end is not None:
            wanted.append(date <= self.parameters.end)
        return wanted

    def _tickers(self, known: list[str]) -> list[str]:
        unknown = [ticker for ticker in self.parameters.tickers or () if ticker not in known]
        if unknown:
            raise SourceError(f"{SOURCE} has no {', '.join(unknown)}; its tickers are: {', '.join(known)}")
        return known if self.parameters.tickers is None else list(dict.fromkeys(self.parameters.tickers))


def _data_file() -> Path:
    # Looked up without importing skfolio, which takes seconds and brings pandas and scikit-learn.
    spec = find_spec("skfolio")
    folders = spec.submodule_search_locations if spec else None
    file = Path(folders[0]) / "datasets" / "data" / "sp500_dataset.csv.gz" if folders else None
    if file is None or not file.is_file():
        raise SourceError(f"{SOURCE} is not installed: install the package skfolio")
    return file


def _pipeline(parameters: Sp500SampleParameters, resources: Resources) -> Sp500SamplePipeline:
    return Sp500SamplePipeline(parameters)


SP500_SAMPLE = Definition(
    kind=Kind.PIPELINE,
    name="sp500-sample",
    version=1,
    summary="Daily closes of 20 S&P 500 stocks, 1990 to 2022, offline.",
    parameters=Sp500SampleParameters,
    factory=_pipeline,
    flows=(FlowKind.REFRESH,),
)
