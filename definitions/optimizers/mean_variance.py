"""The `mean-variance` optimizer: Markowitz's, with one of three objectives."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from definitions.contract import Allocation, AllocationRequest
from definitions.optimizers.constraints import Groups, Leverage, Turnover
from definitions.optimizers.estimates import Estimation, estimate
from definitions.optimizers.limits import Limit
from definitions.optimizers.solving import Problem, constrained, optimizer_definitions

NAME = "mean-variance"


class Objective(StrEnum):
    """What the weights make greatest or least."""

    MINIMUM_VARIANCE = "minimum-variance"
    MAXIMUM_UTILITY = "maximum-utility"
    MAXIMUM_RATIO = "maximum-ratio"


class MeanVarianceParameters(Estimation, Turnover, Groups, Leverage):
    objective: Objective = Field(
        default=Objective.MAXIMUM_UTILITY,
        description="minimum-variance; maximum-utility: expected return - risk_aversion * variance; "
        "maximum-ratio: expected return / volatility.",
    )
    risk_aversion: float | None = Field(
        default=None, gt=0, description="Of maximum-utility: what a unit of variance costs in expected return; none: 1."
    )

    @model_validator(mode="after")
    def _fits_the_objective(self) -> Self:
        if self.risk_aversion is not None and self.objective is not Objective.MAXIMUM_UTILITY:
            raise ValueError(f"risk_aversion has no part in {self.objective}: leave it out, or choose maximum-utility")
        if self.objective is Objective.MAXIMUM_RATIO and self.net_leverage <= 0:
            raise ValueError(
                f"maximum-ratio needs a net_leverage above 0, got {self.net_leverage:g}: raise it, or choose "
                "maximum-utility"
            )
        return self


class MeanVariance:
    """Solves with skfolio's `MeanRisk`; H. Markowitz, "Portfolio Selection" (1952)."""

    def __init__(self, parameters: MeanVarianceParameters) -> None:
        self.parameters = parameters

    def allocate(self, request: AllocationRequest) -> Allocation:
        estimated = estimate(request, self.parameters.covariance_estimator)
        problem = Problem(NAME, self.parameters, request, estimated)

        def build(limits: Sequence[Limit]) -> Any:
            from skfolio import RiskMeasure
            from skfolio.optimization import MeanRisk, ObjectiveFunction

            from definitions.optimizers.given import GivenPrior

            objectives = {
                Objective.MINIMUM_VARIANCE: ObjectiveFunction.MINIMIZE_RISK,
                Objective.MAXIMUM_UTILITY: ObjectiveFunction.MAXIMIZE_UTILITY,
                Objective.MAXIMUM_RATIO: ObjectiveFunction.MAXIMIZE_RATIO,
            }
            scaled = self.parameters.objective is Objective.MAXIMUM_RATIO
            return MeanRisk(
                objective_function=objectives[self.parameters.objective],
                risk_measure=RiskMeasure.VARIANCE,
                risk_aversion=self.parameters.risk_aversion or 1.0,
                prior_estimator=GivenPrior(estimated.mean, estimated.covariance),
                min_weights=self.parameters.min_weight,
                max_weights=self.parameters.max_weight,
                budget=self.parameters.net_leverage,
                add_constraints=constrained(limits, self.parameters, scaled=scaled),
                save_problem=True,
            )

        return problem.solve(build)


MEAN_VARIANCE = optimizer_definitions(
    name=NAME,
    versions=(1, 2),
    summary="Weights that balance expected return against variance.",
    parameters=MeanVarianceParameters,
    factory=MeanVariance,
    signal_required=True,
)
