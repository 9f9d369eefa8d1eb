"""The `parquet` pipeline: reads Parquet files."""

import polars as pl
from pydantic import Field

from definitions.contract import Definition, ExtractRequest, FlowKind, Kind, Resources
from definitions.pipelines.columns import ColumnParameters, known_columns, typed_rows
from definitions.pipelines.files import check_readable, located, translated


class ParquetParameters(ColumnParameters):
    path: str = Field(description="The file, a folder or pattern of files, or a URL (s3://, https://).")


class ParquetPipeline:
    """Reads the whole of the files on every refresh, so that corrected old rows are found too."""

    def __init__(self, parameters: ParquetParameters) -> None:
        self.parameters = parameters
        self.source = located(parameters.path)

    def check(self) -> None:
        check_readable(self.source)

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        source = self.source
        with translated(source):
            rows = pl.scan_parquet(source)
            names = rows.collect_schema().names()
        wanted = list(self.parameters.renaming(names, source))
        with translated(source):
            frame = rows.select(wanted).collect()
        return typed_rows(frame, self.parameters, source)


def _pipeline(parameters: ParquetParameters, resources: Resources) -> ParquetPipeline:
    return ParquetPipeline(parameters)


PARQUET = Definition(
    kind=Kind.PIPELINE,
    name="parquet",
    version=1,
    summary="Reads Parquet files.",
    parameters=ParquetParameters,
    factory=_pipeline,
    columns=known_columns,
    flows=(FlowKind.REFRESH,),
)
