"""The `sp500-index-sample` pipeline: the real S&P 500 index that ships with the package skfolio, read offline."""

import polars as pl

from definitions.contract import Definition, ExtractRequest, FlowKind, Kind, Resources
from definitions.frames import long_form
from definitions.pipelines.samples import SampleParameters, read_sample, sample_file

SOURCE = "skfolio's S&P 500 index"
FILE = "sp500_index"
ENTITY = "SPX"


class Sp500IndexSampleParameters(SampleParameters):
    pass


class Sp500IndexSamplePipeline:
    """Reads `date`, `entity` ("SPX") and `close` of the price index, 1990-01-02 to 2022-12-28.

    The index leaves dividends out, while the stocks of `sp500-sample` have adjusted closes, which hold them.
    """

    def __init__(self, parameters: Sp500IndexSampleParameters) -> None:
        self.parameters = parameters

    def check(self) -> None:
        sample_file(FILE, source=SOURCE)

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        index = read_sample(FILE, source=SOURCE)
        rows = index.select("date", pl.lit(ENTITY).alias("entity"), pl.col(index.columns[1]).alias("close"))
        return long_form(rows.filter(*self.parameters.wanted(request)), source=SOURCE)


def _pipeline(parameters: Sp500IndexSampleParameters, resources: Resources) -> Sp500IndexSamplePipeline:
    return Sp500IndexSamplePipeline(parameters)


SP500_INDEX_SAMPLE = Definition(
    kind=Kind.PIPELINE,
    name="sp500-index-sample",
    version=1,
    summary="Daily closes of the S&P 500 price index, 1990 to 2022, offline: a benchmark.",
    parameters=Sp500IndexSampleParameters,
    factory=_pipeline,
    columns=lambda parameters: ("date", "entity", "close"),
    entities=lambda parameters: (ENTITY,),
    flows=(FlowKind.REFRESH,),
)
