"""A module `ic-weighted`: each feature counts as much as it ranked the returns of the past."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from definitions.contract import Definition
from definitions.modules.module import module_definition

if TYPE_CHECKING:  # pandas takes a second to import, which only a training should pay
    import numpy as np
    import pandas as pd


class IcWeightedParameters(BaseModel):
    """The parameters of the module; their schema is what a config is checked against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least_ic: float = Field(
        default=0.01, ge=0, le=1, description="The least information coefficient, of either sign, that counts."
    )


@dataclass(frozen=True)
class IcWeighted:
    """The fitted model: a plain class will do, if it can be pickled and has `predict`."""

    mean: "pd.Series[float]"
    std: "pd.Series[float]"
    weights: "pd.Series[float]"
    level: float
    slope: float

    def scores(self, features: "pd.DataFrame") -> "pd.Series[float]":
        """Return the weighted sum of the standardised features; a missing one is its mean."""
        return ((features - self.mean) / self.std).fillna(0.0) @ self.weights

    def predict(self, features: "pd.DataFrame") -> "np.ndarray":
        """Return one number for each row, in the target's unit."""
        return (self.level + self.slope * self.scores(features)).to_numpy()


class IcWeightedModule:
    """Weights each feature by its information coefficient: its rank correlation with the target."""

    def __init__(self, parameters: IcWeightedParameters) -> None:
        self.parameters = parameters

    def fit(self, features: "pd.DataFrame", target: "pd.Series[float]") -> IcWeighted:
        """Return the model that fits; rows are in the order of their dates, features may be missing (NaN)."""
        ic = features.rank().corrwith(target.rank()).fillna(0.0)
        spread = features.std().replace(0.0, float("nan"))
        shape = IcWeighted(features.mean(), spread, ic.where(ic.abs() >= self.parameters.least_ic, 0.0), 0.0, 1.0)
        scores = shape.scores(features)
        slope = float(scores.cov(target) / scores.var()) if scores.var() > 0 else 0.0
        level = float(target.mean() - slope * scores.mean())
        return IcWeighted(shape.mean, shape.std, shape.weights, level, slope)


IC_WEIGHTED = module_definition(
    name="ic-weighted",
    version=1,
    summary="Each feature counts as much as it ranked the returns of the past.",
    parameters=IcWeightedParameters,
    factory=IcWeightedModule,
)


def definitions() -> tuple[Definition, ...]:
    """Return what this package brings."""
    return (IC_WEIGHTED,)
