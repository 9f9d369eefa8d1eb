"""What a package brings: a pipeline `random-walk` with a flow `report` of its own, and an operator `MEDIAN`."""

import datetime as dt

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from definitions.contract import Definition, ExtractRequest, FlowKind, Kind, Resources
from definitions.errors import SourceError
from definitions.markdown_table import frame_table
from definitions.operators.operator_definitions import operator_definition
from definitions.work.flow_spec import FlowRequest, FlowSpec
from definitions.work.outcome import Outcome
from research.expressions.operators import Axis, Form, Operator, Series, Window


class RandomWalkParameters(BaseModel):
    """The parameters of a random walk; their schema is what a config is checked against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entities: tuple[str, ...] = Field(min_length=1, description="The names of the walks.")
    start: dt.date = Field(description="The first date.")
    end: dt.date = Field(description="The last date.")
    volatility: float = Field(default=0.01, gt=0, description="Standard deviation of a day's log return.")
    seed: int = Field(default=0, ge=0, description="Another seed gives other walks.")


class RandomWalkPipeline:
    """Makes `date`, `entity` and `close`: a walk from 100 on weekdays; the same seed gives the same rows."""

    def __init__(self, parameters: RandomWalkParameters) -> None:
        self.parameters = parameters

    def check(self) -> None:
        """Is called before anything is saved: the place to refuse what can't work."""
        if self.parameters.end < self.parameters.start:
            raise SourceError(f"end {self.parameters.end} is before start {self.parameters.start}: swap them")

    def extract(self, request: ExtractRequest) -> pl.DataFrame:
        """Return the rows after `request.since`; of all dates when it is None."""
        parameters = self.parameters
        days = pl.date_range(parameters.start, parameters.end, eager=True)
        days = days.filter(days.dt.weekday() <= 5)
        returns = np.random.default_rng(parameters.seed).normal(
            0.0, parameters.volatility, size=(len(parameters.entities), len(days))
        )
        walks = [
            pl.DataFrame({"date": days, "close": 100 * np.exp(returns[number].cumsum())}).select(
                "date", pl.lit(entity).alias("entity"), "close"
            )
            for number, entity in enumerate(parameters.entities)
        ]
        rows = pl.concat(walks)
        return rows if request.since is None else rows.filter(pl.col("date") > request.since.date)


class ReportParameters(BaseModel):
    """What a run of `report` may be given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: int = Field(default=20, ge=2, description="How many of the last days it looks at.")


def report(request: FlowRequest) -> Outcome:
    """Say how much the walks have moved: the standard deviation of their last daily returns, per year of 252 days."""
    assert request.own is not None  # it is refreshed before
    days = request.parameters.days
    returns = request.own.frame.sort("date").with_columns(pl.col("close").pct_change().over("entity").alias("return"))
    last = returns.group_by("entity", maintain_order=True).tail(days)
    moved = last.group_by("entity").agg((pl.col("return").std() * 252**0.5).alias("volatility")).sort("entity")
    return Outcome(
        version=None,
        metrics={f"volatility_{entity}": volatility for entity, volatility in moved.iter_rows()},
        message=f"{moved.height} walks over {days} days",
        summary="\n".join(frame_table(moved)),
    )


def _pipeline(parameters: RandomWalkParameters, resources: Resources) -> RandomWalkPipeline:
    return RandomWalkPipeline(parameters)


RANDOM_WALK = Definition(
    kind=Kind.PIPELINE,
    name="random-walk",
    version=1,
    summary="Random walks on weekdays, for trying things out.",
    parameters=RandomWalkParameters,
    factory=_pipeline,
    flows=(FlowKind.REFRESH,),
    flow_specs=(FlowSpec("report", report, "How much the walks have moved.", ReportParameters),),
)

MEDIAN = Operator(
    "MEDIAN",
    "The median of n rows.",
    (Form((Series("x"), Window("n")), Axis.ENTITY, lambda x, n: x.rolling_median(n)),),
)


def definitions() -> tuple[Definition, ...]:
    """Return what this package brings."""
    return RANDOM_WALK, operator_definition(MEDIAN)
