"""The `risk-budgeting` optimizer: each entity brings its share of the risk."""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field, PositiveFloat

from definitions.contract import Allocation, AllocationRequest
from definitions.optimizers.constraints import Groups, LongOnly, Turnover
from definitions.optimizers.estimates import Estimation, estimate
from definitions.optimizers.limits import Limit
from definitions.optimizers.solving import Problem, constrained, optimizer_definitions

NAME = "risk-budgeting"
LONG_ONLY = "it holds long positions that add up to 1"


class RiskBudgetingParameters(Estimation, Turnover, Groups, LongOnly):
    refused: ClassVar[dict[str, str]] = {"net_leverage": LONG_ONLY, "gross_leverage": LONG_ONLY}

    risk_budgets: dict[str, PositiveFloat] = Field(
        default={},
        description='Shares of the risk by entity, relative to each other, like {"AAPL": 2}; an entity without has 1, '
        "so that none at all gives each the same risk.",
    )

    @property
    def named_entities(self) -> frozenset[str]:
        return super().named_entities | self.risk_budgets.keys()


class RiskBudgeting:
    """Solves with skfolio's `RiskBudgeting`, by volatility.

    T. Roncalli, "Introduction to Risk Parity and Budgeting" (2013). Where a constraint binds, the shares of
    the risk are no longer those of the budgets.
    """

    def __init__(self, parameters: RiskBudgetingParameters) -> None:
        self.parameters = parameters

    def allocate(self, request: AllocationRequest) -> Allocation:
        estimated = estimate(request, self.parameters.covariance_estimator)
        problem = Problem(NAME, self.parameters, request, estimated)

        def build(limits: Sequence[Limit]) -> Any:
            import numpy as np
            from skfolio import RiskMeasure
            from skfolio.optimization import RiskBudgeting as Estimator

            from definitions.optimizers.given import GivenPrior

            budgets = np.array([self.parameters.risk_budgets.get(name, 1.0) for name in request.returns.columns])
            return Estimator(
                # The weights are those by variance too. So asked, and with the solver's own precision instead of
                # skfolio's, it does not end with an inaccurate solution now and then.
                risk_measure=RiskMeasure.STANDARD_DEVIATION,
                solver_params={},
                # Of one scale for any number of entities, so that the solver's precision is too.
                risk_budget=budgets / budgets.sum(),
                prior_estimator=GivenPrior(estimated.mean, estimated.covariance),
                min_weights=self.parameters.min_weight,
                max_weights=self.parameters.max_weight,
                add_constraints=constrained(limits, self.parameters, scaled=True),
                save_problem=True,
            )

        return problem.solve(build)


RISK_BUDGETING = optimizer_definitions(
    name=NAME,
    versions=(1, 2),
    summary="Long weights of which each brings its share of the risk.",
    parameters=RiskBudgetingParameters,
    factory=RiskBudgeting,
)
