"""The `ridge` module: a linear model whose weights are held small."""

from typing import TYPE_CHECKING

from pydantic import Field

from definitions.contract import Regressor
from definitions.modules.module import module_definition
from definitions.parameters import Parameters

if TYPE_CHECKING:
    import pandas as pd


class RidgeParameters(Parameters):
    alpha: float = Field(default=1.0, ge=0, description="How hard the weights are pulled to 0; 0: least squares.")


class RidgeModule:
    """Fits scikit-learn's `Ridge` on features scaled to mean 0 and variance 1; a missing one is its median."""

    def __init__(self, parameters: RidgeParameters) -> None:
        self.parameters = parameters

    def fit(self, features: "pd.DataFrame", target: "pd.Series[float]") -> Regressor:
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        # A feature may be missing on all rows of an early fold, and must keep its place.
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        model = make_pipeline(imputer, StandardScaler(), Ridge(alpha=self.parameters.alpha))
        fitted: Regressor = model.fit(features, target)
        return fitted


RIDGE = module_definition(
    name="ridge",
    version=1,
    summary="A linear model whose weights are held small.",
    parameters=RidgeParameters,
    factory=RidgeModule,
)
