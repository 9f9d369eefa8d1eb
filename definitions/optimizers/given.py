"""Estimators of skfolio's whose estimate is given. Imports skfolio: import it where it is needed only."""

from typing import Any

from skfolio.moments import BaseCovariance
from skfolio.prior import BasePrior, ReturnDistribution


class GivenCovariance(BaseCovariance):  # type: ignore[misc]
    """A covariance matrix that is there already."""

    def __init__(self, covariance: Any) -> None:
        super().__init__()
        self.covariance = covariance

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> "GivenCovariance":
        self.covariance_ = self.covariance
        return self


class GivenPrior(BasePrior):  # type: ignore[misc]
    """Expected returns and a covariance matrix that are there already; the scenarios are the returns seen."""

    def __init__(self, mean: Any, covariance: Any) -> None:
        self.mean = mean
        self.covariance = covariance

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> "GivenPrior":
        self.return_distribution_ = ReturnDistribution(
            mu=self.mean, covariance=self.covariance, returns=X.to_numpy(dtype=float)
        )
        return self
