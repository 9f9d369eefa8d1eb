"""The `lightgbm` module: LightGBM's boosted trees; there with the extra `prefect-optaic[lightgbm]`."""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from definitions.contract import Regressor
from definitions.modules.module import module_definition
from definitions.parameters import Parameters

if TYPE_CHECKING:
    import pandas as pd


class LightgbmParameters(Parameters):
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="How much of each tree is taken.")
    n_estimators: int = Field(default=100, ge=1, description="How many trees there are.")
    num_leaves: int = Field(default=15, ge=2, description="How many leaves a tree may have.")
    min_child_samples: int = Field(default=100, ge=1, description="How many rows a leaf must have.")
    reg_lambda: float = Field(default=0.0, ge=0, description="How hard the values of leaves are pulled to 0.")
    subsample: float = Field(default=1.0, gt=0, le=1, description="The share of rows that each tree sees.")
    colsample_bytree: float = Field(default=1.0, gt=0, le=1, description="The share of features that each tree sees.")
    random_state: int = Field(default=0, ge=0, description="Another one gives another model of the same rows.")
    threads: int = Field(
        default=1, ge=1, description="How many threads work; where other runs need the processors too, one is fastest."
    )


class LightgbmModule:
    """Fits LightGBM's `LGBMRegressor`, for which a missing feature is a value of its own.

    The same rows and parameters give the same model on one machine.
    """

    def __init__(self, parameters: LightgbmParameters) -> None:
        self.parameters = parameters

    def fit(self, features: "pd.DataFrame", target: "pd.Series[float]") -> Regressor:
        from lightgbm import LGBMRegressor

        fixed: dict[str, Any] = {
            "subsample_freq": 1,  # at its default of 0 no rows are drawn, whatever subsample says
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        settings = self.parameters.model_dump(exclude={"threads"})
        return LGBMRegressor(n_jobs=self.parameters.threads, **fixed, **settings).fit(features, target)


LIGHTGBM = module_definition(
    name="lightgbm",
    version=1,
    summary="Boosted trees, with LightGBM.",
    parameters=LightgbmParameters,
    factory=LightgbmModule,
    packages=("lightgbm",),
)
