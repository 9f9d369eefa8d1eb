"""The `hierarchical-risk-parity` optimizer: capital is split down a tree of entities that move alike."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field

from definitions.contract import Allocation, AllocationRequest
from definitions.optimizers.constraints import LongOnly
from definitions.optimizers.estimates import Estimation, estimate
from definitions.optimizers.limits import Limit, limits_of
from definitions.optimizers.solving import CLOSED_FORM, Problem, optimizer_definitions

NAME = "hierarchical-risk-parity"
LONG_ONLY = "the method holds long positions that add up to 1"
NO_SOLVER = "the method splits capital down a tree, and knows limits of single weights only"


class Linkage(StrEnum):
    """How the distance between two groups of entities follows from those of their members."""

    WARD = "ward"
    SINGLE = "single"
    COMPLETE = "complete"
    AVERAGE = "average"


class HierarchicalRiskParityParameters(Estimation, LongOnly):
    refused: ClassVar[dict[str, str]] = {
        "net_leverage": LONG_ONLY,
        "gross_leverage": LONG_ONLY,
        "groups": NO_SOLVER,
        "group_limits": NO_SOLVER,
        "max_turnover": NO_SOLVER,
    }

    linkage: Linkage = Field(default=Linkage.WARD, description="How groups of entities are joined in the tree.")


class HierarchicalRiskParity:
    """Solves with skfolio's `HierarchicalRiskParity`, by variance.

    M. Lopez de Prado, "Building Diversified Portfolios that Outperform Out-of-Sample" (2016). The distances of
    the tree are those of the covariance's correlations.
    """

    def __init__(self, parameters: HierarchicalRiskParityParameters) -> None:
        self.parameters = parameters

    def allocate(self, request: AllocationRequest) -> Allocation:
        estimated = estimate(request, self.parameters.covariance_estimator)
        problem = Problem(NAME, self.parameters, request, estimated)

        def build(limits: Sequence[Limit]) -> Any:
            from skfolio import RiskMeasure
            from skfolio.cluster import HierarchicalClustering, LinkageMethod
            from skfolio.distance import CovarianceDistance
            from skfolio.optimization import HierarchicalRiskParity as Estimator

            from definitions.optimizers.given import GivenCovariance, GivenPrior

            return Estimator(
                risk_measure=RiskMeasure.VARIANCE,
                prior_estimator=GivenPrior(estimated.mean, estimated.covariance),
                distance_estimator=CovarianceDistance(GivenCovariance(estimated.covariance)),
                hierarchical_clustering_estimator=HierarchicalClustering(
                    linkage_method=LinkageMethod[self.parameters.linkage.name]
                ),
                min_weights=self.parameters.min_weight,
                max_weights=self.parameters.max_weight,
            )

        if request.returns.shape[1] == 1:
            import numpy as np

            return problem.allocation(np.ones(1), limits_of(self.parameters, request), CLOSED_FORM)  # there is no tree
        return problem.solve(build)


HIERARCHICAL_RISK_PARITY = optimizer_definitions(
    name=NAME,
    versions=(1, 2),
    summary="Long weights by the risk of groups of entities that move alike, down a tree.",
    parameters=HierarchicalRiskParityParameters,
    factory=HierarchicalRiskParity,
)
