"""Solving: skfolio's answer to a portfolio problem, checked, or the reason why there is none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from definitions.contract import Allocation, AllocationRequest, Definition, FlowKind, Kind, Optimizer, Resources, Role
from definitions.errors import Infeasible, UnknownEntities
from definitions.optimizers.constraints import OptimizerParameters
from definitions.optimizers.estimates import Estimate
from definitions.optimizers.limits import Limit, broken, cleaned, diagnosis, limits_of, named, net_leverage
from definitions.status_aggregation import DEFAULT_CONTRACT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

P = TypeVar("P", bound=BaseModel)
CLOSED_FORM = "closed form"

Build = Callable[[Sequence[Limit]], Any]


@dataclass(frozen=True)
class Problem:
    """A day's portfolio problem of the optimizer `name`.

    Raises `UnknownEntities` when its parameters name what there are no prices of.
    """

    name: str
    parameters: OptimizerParameters
    request: AllocationRequest
    estimate: Estimate

    def __post_init__(self) -> None:
        known = self.request.entities
        if known is not None and (unknown := self.parameters.named_entities - known):
            raise UnknownEntities(self.name, unknown, known)

    def solve(self, build: Build) -> Allocation:
        """Return the allocation of the estimator of skfolio that `build` makes, given the limits.

        Raises `Infeasible` when it finds no weights, only inaccurate ones, or ones that break a limit.
        """
        limits = limits_of(self.parameters, self.request)
        weights, status, iterations = self._fitted(build, limits)
        return self.allocation(weights, limits, status, iterations)

    def allocation(
        self, weights: "NDArray[np.float64]", limits: Sequence[Limit], status: str, iterations: int | None = None
    ) -> Allocation:
        """Return the weights, without noise, and what to expect of them; `Infeasible` if they break a limit."""
        import pandas as pd

        clean = cleaned(weights, self.parameters)
        if problems := broken(clean, limits):
            raise self.infeasible(limits, f"the weights that were found break {', '.join(problems)}")
        return Allocation(
            weights=pd.Series(clean, index=self.request.returns.columns, name="weight"),
            expected_return=self.estimate.expected_return(clean),
            volatility=self.estimate.volatility(clean),
            effective_bets=self.estimate.effective_bets(clean),
            solver_status=status,
            diversification_ratio=self.estimate.diversification_ratio(clean),
            iterations=iterations,
        )

    def infeasible(self, limits: Sequence[Limit], otherwise: str = "the solver finds none") -> Infeasible:
        """Return the error: which limits can't be kept together or, if they can, `otherwise`."""
        reason = diagnosis(limits, len(self.request.returns.columns)) or otherwise
        return Infeasible(self.name, named(limits), f"on {self.request.returns.index[-1]:%Y-%m-%d}, {reason}")

    def _fitted(self, build: Build, limits: Sequence[Limit]) -> "tuple[NDArray[np.float64], str, int | None]":
        import warnings

        import cvxpy as cp
        import numpy as np

        estimator = build(limits)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an inaccurate solution has its own status, which is an error
            try:
                estimator.fit(self.estimate.returns)
            except (cp.SolverError, ValueError) as error:
                raise self.infeasible(limits, f"the solver finds none ({error})") from error
        problem = getattr(estimator, "problem_", None)
        status = CLOSED_FORM if problem is None else str(problem.status)
        if status not in (CLOSED_FORM, cp.OPTIMAL):
            raise self.infeasible(limits, f"the solver found only some that are {status.replace('_', ' ')}")
        iterations = getattr(getattr(problem, "solver_stats", None), "num_iters", None)
        return np.asarray(estimator.weights_, dtype=float), status, None if iterations is None else int(iterations)


def constrained(limits: Sequence[Limit], parameters: OptimizerParameters, *, scaled: bool) -> Any:
    """Return the limits that skfolio has no parameters for, as a function that it adds to its problem.

    `scaled` problems are solved for weights that are multiplied by a positive variable; so is their sum.
    """
    rest = [limit for limit in limits if not limit.native]
    if not rest:
        return None
    net = net_leverage(parameters)

    def added(weights: Any) -> list[Any]:
        scale = weights.sum() / net if scaled else 1.0
        return [limit.expression(weights, scale) for limit in rest]

    return added


def optimizer_definitions(*, versions: Sequence[int], **described: Any) -> tuple[Definition, ...]:
    """Return the definition of an optimizer in each of its versions: see `optimizer_definition`."""
    return tuple(optimizer_definition(version=version, **described) for version in versions)


def optimizer_definition(
    *,
    name: str,
    version: int,
    summary: str,
    parameters: type[P],
    factory: Callable[[P], Optimizer],
    signal_required: bool = False,
    covariance: bool = True,
    status_aggregation_contract: Mapping[str, Any] = DEFAULT_CONTRACT,
) -> Definition:
    """Return the definition of an optimizer: its flow, and the roles that its upstreams can play.

    `factory` makes it of its parameters, so the optimizer's class will do.
    `prices` are what its weights are of, `signal` says what to expect of them (or only which of them there
    are to choose from), `covariance` how they move together: a dataset with a row for each entity and a
    value column for each entity, per day. Since version 2 there may be several signals.
    Raises `InvalidContract` for a wrong contract.
    """

    def made(given: Any, resources: Resources) -> Optimizer:
        return factory(given)

    roles = [Role("prices"), Role("signal", required=signal_required, many=version > 1)]
    if covariance:
        roles.append(Role("covariance", required=False))
    return Definition(
        kind=Kind.PORTFOLIO_OPTIMIZER,
        name=name,
        version=version,
        summary=summary,
        parameters=parameters,
        factory=made,
        flows=(FlowKind.OPTIMIZE,),
        roles=tuple(roles),
        status_aggregation_contract=status_aggregation_contract,
    )
