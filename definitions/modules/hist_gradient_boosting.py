"""The `hist-gradient-boosting` module: scikit-learn's boosted trees on binned features."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from definitions.contract import Regressor
from definitions.modules.module import module_definition
from definitions.parameters import Parameters

if TYPE_CHECKING:
    import pandas as pd


class HistGradientBoostingParameters(Parameters):
    loss: Literal["squared_error", "absolute_error"] = Field(
        default="squared_error", description="What is made small: squared or absolute errors."
    )
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="How much of each tree is taken.")
    max_iter: int = Field(default=100, ge=1, description="How many trees there are.")
    max_leaf_nodes: int = Field(default=15, ge=2, description="How many leaves a tree may have.")
    min_samples_leaf: int = Field(default=100, ge=1, description="How many rows a leaf must have.")
    l2_regularization: float = Field(default=0.0, ge=0, description="How hard the values of leaves are pulled to 0.")
    random_state: int = Field(default=0, ge=0, description="Another one gives another model of the same rows.")
    threads: int = Field(
        default=1, ge=1, description="How many threads train; where other runs need the processors too, one is fastest."
    )


class HistGradientBoostingModule:
    """Fits scikit-learn's `HistGradientBoostingRegressor`, for which a missing feature is a value of its own.

    It never stops early: the rows held out for that would be drawn at random, among labels that overlap.
    """

    def __init__(self, parameters: HistGradientBoostingParameters) -> None:
        self.parameters = parameters

    def fit(self, features: "pd.DataFrame", target: "pd.Series[float]") -> Regressor:
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        # scikit-learn 1.9 fails on a feature without any value; a constant one is never split on.
        empty = features.columns[features.isna().all()]
        known = features.fillna(dict.fromkeys(empty, 0.0))
        settings = self.parameters.model_dump(exclude={"threads"})
        with threadpool_limits(self.parameters.threads, user_api="openmp"):
            fitted: Regressor = HistGradientBoostingRegressor(early_stopping=False, **settings).fit(known, target)
        return fitted


HIST_GRADIENT_BOOSTING = module_definition(
    name="hist-gradient-boosting",
    version=1,
    summary="Boosted trees, with scikit-learn.",
    parameters=HistGradientBoostingParameters,
    factory=HistGradientBoostingModule,
)
