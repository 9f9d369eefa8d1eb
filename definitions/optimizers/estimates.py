"""Estimates: what an optimizer expects of the entities, given or estimated from their returns."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from definitions.contract import AllocationRequest
from definitions.errors import DefinitionError
from definitions.optimizers.constraints import OptimizerParameters
from research.portfolios.backtest_metrics import DAYS_PER_YEAR

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


class CovarianceEstimator(StrEnum):
    """How a covariance matrix is estimated from returns."""

    SAMPLE = "sample"
    LEDOIT_WOLF = "ledoit-wolf"


class Estimation(OptimizerParameters):
    """How what is not given is estimated."""

    covariance_estimator: CovarianceEstimator = Field(
        default=CovarianceEstimator.LEDOIT_WOLF,
        description="How the covariance is estimated where none is given: from the sample, or shrunk as in O. Ledoit "
        'and M. Wolf, "A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices" (2004).',
    )


@dataclass(frozen=True)
class Estimate:
    """Expected returns and covariance per year of 252 days, in the order of the columns of `returns` (daily)."""

    returns: "pd.DataFrame"
    mean: "NDArray[np.float64]"
    covariance: "NDArray[np.float64]"

    def expected_return(self, weights: "NDArray[np.float64]") -> float:
        return float(self.mean @ weights)

    def volatility(self, weights: "NDArray[np.float64]") -> float:
        return math.sqrt(max(float(weights @ self.covariance @ weights), 0.0))

    def diversification_ratio(self, weights: "NDArray[np.float64]") -> float | None:
        """Return the weighted mean of the volatilities, sum |w| * s, over the portfolio's; None without risk.

        From Y. Choueifaty and Y. Coignard, "Toward Maximum Diversification" (2008); 1 for a single entity.
        """
        import numpy as np

        volatility = self.volatility(weights)
        return float(abs(weights) @ np.sqrt(np.diag(self.covariance))) / volatility if volatility > 0 else None

    def effective_bets(self, weights: "NDArray[np.float64]") -> float:
        """Return exp(entropy of the shares p of variance of uncorrelated bets); 0 for a portfolio without risk.

        The bets are the uncorrelated factors that lie nearest to the entities: with their volatilities s
        and correlations C, u = C ** (1/2) (s * weights), and p = u ** 2 / sum(u ** 2). From A. Meucci,
        A. Santangelo and R. Deguest, "Risk Budgeting and Diversification Based on Optimized Uncorrelated
        Factors" (2015), with the first step of their minimum-torsion bets, which has a closed form.
        """
        import numpy as np

        deviations = np.sqrt(np.diag(self.covariance))
        known = deviations > 0
        if not (known & (weights != 0)).any():
            return 0.0
        correlations = self.covariance[np.ix_(known, known)] / np.outer(deviations[known], deviations[known])
        values, vectors = np.linalg.eigh(correlations)
        root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
        squares = (root @ (deviations[known] * weights[known])) ** 2
        if squares.sum() == 0:
            return 0.0
        shares = squares[squares > 0] / squares.sum()
        return float(np.exp(-(shares * np.log(shares)).sum()))


def estimate(request: AllocationRequest, estimator: CovarianceEstimator) -> Estimate:
    """Return what is given, and an estimate of what is not. Raises `DefinitionError` for what can't be used."""
    import numpy as np

    returns = request.returns
    values = returns.to_numpy(dtype=float)
    if returns.shape[1] == 0 or len(returns) < 2 or not np.isfinite(values).all():
        raise DefinitionError(
            f"an optimizer needs at least 2 days of returns of at least 1 entity, without gaps; got {len(returns)} "
            f"days of {returns.shape[1]}: lengthen the prices, or drop the entities that lack some"
        )
    mean = values.mean(axis=0) if request.expected_returns is None else _given_mean(request)
    covariance = _covariance(values, estimator) if request.covariance is None else _given_covariance(request)
    return Estimate(returns, mean * DAYS_PER_YEAR, covariance * DAYS_PER_YEAR)


def _covariance(values: "NDArray[np.float64]", estimator: CovarianceEstimator) -> "NDArray[np.float64]":
    import numpy as np

    if estimator is CovarianceEstimator.SAMPLE:
        return np.atleast_2d(np.cov(values, rowvar=False))
    from sklearn.covariance import ledoit_wolf

    return np.asarray(ledoit_wolf(values)[0], dtype=float)


def _given_mean(request: AllocationRequest) -> "NDArray[np.float64]":
    import numpy as np

    assert request.expected_returns is not None
    mean = request.expected_returns.reindex(request.returns.columns)
    lacking = [str(name) for name in mean.index if not np.isfinite(mean[name])]
    if lacking:
        raise DefinitionError(f"there is no expected return of {', '.join(lacking)}: give one of each entity")
    return np.asarray(mean, dtype=float)


def _given_covariance(request: AllocationRequest) -> "NDArray[np.float64]":
    import numpy as np

    assert request.covariance is not None
    names = request.returns.columns
    covariance = np.asarray(request.covariance.reindex(index=names, columns=names), dtype=float)
    lacking = [str(name) for name, row in zip(names, covariance, strict=True) if not np.isfinite(row).all()]
    if lacking:
        raise DefinitionError(f"the covariance has no values of {', '.join(lacking)}: give those of each pair")
    scale = float(np.abs(covariance).max())
    if not np.allclose(covariance, covariance.T, rtol=0, atol=1e-8 * scale):
        raise DefinitionError("the covariance is not symmetric: give the same value of a pair both ways")
    if np.diag(covariance).min() <= 0 or np.linalg.eigvalsh(covariance).min() < -1e-8 * scale:
        raise DefinitionError("the covariance has a negative variance in some portfolio: it is not a covariance matrix")
    return np.asarray((covariance + covariance.T) / 2, dtype=float)
