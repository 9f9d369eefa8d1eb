"""The `minimum-cvar` optimizer: the least loss to expect on the worst days."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from definitions.contract import Allocation, AllocationRequest
from definitions.errors import DefinitionError
from definitions.optimizers.constraints import Groups, Leverage, Turnover
from definitions.optimizers.estimates import CovarianceEstimator, estimate
from definitions.optimizers.limits import Limit
from definitions.optimizers.solving import Problem, constrained, optimizer_definitions

NAME = "minimum-cvar"


class MinimumCvarParameters(Turnover, Groups, Leverage):
    confidence: float = Field(
        default=0.95, ge=0.5, le=0.999, description="The share of days that are not counted among the worst."
    )


class MinimumCvar:
    """Solves with skfolio's `MeanRisk`, over the daily returns seen.

    R. T. Rockafellar and S. Uryasev, "Optimization of Conditional Value-at-Risk" (2000). The worst days are
    those of the returns themselves: a covariance has no part in it, and is refused.
    """

    def __init__(self, parameters: MinimumCvarParameters) -> None:
        self.parameters = parameters

    def allocate(self, request: AllocationRequest) -> Allocation:
        if request.covariance is not None:
            raise DefinitionError(f"{NAME} can't honour a covariance: leave it out, or use another optimizer")
        estimated = estimate(request, CovarianceEstimator.SAMPLE)
        problem = Problem(NAME, self.parameters, request, estimated)

        def build(limits: Sequence[Limit]) -> Any:
            from skfolio import RiskMeasure
            from skfolio.optimization import MeanRisk, ObjectiveFunction

            from definitions.optimizers.given import GivenPrior

            return MeanRisk(
                objective_function=ObjectiveFunction.MINIMIZE_RISK,
                risk_measure=RiskMeasure.CVAR,
                cvar_beta=self.parameters.confidence,
                prior_estimator=GivenPrior(estimated.mean, estimated.covariance),
                min_weights=self.parameters.min_weight,
                max_weights=self.parameters.max_weight,
                budget=self.parameters.net_leverage,
                add_constraints=constrained(limits, self.parameters, scaled=False),
                # skfolio's own scales leave the solver with an inaccurate solution now and then.
                scale_objective=1.0,
                scale_constraints=1.0,
                save_problem=True,
            )

        return problem.solve(build)


MINIMUM_CVAR = optimizer_definitions(
    name=NAME,
    versions=(1, 2),
    summary="Weights with the least expected loss on the worst days.",
    parameters=MinimumCvarParameters,
    factory=MinimumCvar,
    covariance=False,
)
