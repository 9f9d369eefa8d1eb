"""Real daily data that ship with the package skfolio, read offline."""

import datetime as dt
import gzip
from importlib.util import find_spec
from pathlib import Path

import polars as pl
from pydantic import Field

from definitions.contract import ExtractRequest
from definitions.errors import SourceError
from definitions.parameters import Parameters


class SampleParameters(Parameters):
    """The parameters that every sample has."""

    start: dt.date | None = Field(default=None, description="The first date to read; none: 1990-01-02.")
    end: dt.date | None = Field(
        default=None, description="The last date to read, to play the arrival of new data; none: 2022-12-28."
    )

    def wanted(self, request: ExtractRequest) -> list[pl.Expr]:
        """Return what the date of a row to read must meet."""
        date = pl.col("date")
        wanted = [] if request.since is None else [date > request.since.date]
        if self.start is not None:
            wanted.append(date >= self.start)
        if self.end is not None:
            wanted.append(date <= self.end)
        return wanted


def sample_file(name: str, *, source: str) -> Path:
    """Return the path of a compressed CSV file of skfolio's; `SourceError` when it is not there."""
    # Looked up without importing skfolio, which takes seconds and brings pandas and scikit-learn.
    spec = find_spec("skfolio")
    folders = spec.submodule_search_locations if spec else None
    file = Path(folders[0]) / "datasets" / "data" / f"{name}.csv.gz" if folders else None
    if file is None or not file.is_file():
        raise SourceError(f"{source} is not installed: install the package skfolio")
    return file


def read_sample(name: str, *, source: str) -> pl.DataFrame:
    """Return the whole file: `date`, and one Float64 column for each entity. Raises `SourceError`."""
    with gzip.open(sample_file(name, source=source)) as file:
        return pl.read_csv(file.read(), try_parse_dates=True).rename({"Date": "date"})
