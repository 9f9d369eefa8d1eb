"""Limits: the constraints of a day's weights, for the solver, for the check of what it found, and for people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from definitions.contract import AllocationRequest
from definitions.optimizers.constraints import Bounds, Groups, Leverage, OptimizerParameters, Turnover

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOLERANCE = 1e-6
DUST = 1e-7


@dataclass(frozen=True)
class Limit:
    """One constraint: `sides(weights, scale)` gives a left side that is at most (or equals) the right one.

    The weights are a NumPy array or a cvxpy expression; solvers have them multiplied by a positive `scale`.
    `native` ones are known to skfolio by the names of its own parameters.
    """

    text: str
    sides: Callable[[Any, Any], tuple[Any, Any]]
    equal: bool = False
    native: bool = False

    def excess(self, weights: "NDArray[np.float64]") -> float:
        """Return by how much the weights exceed the limit; at most 0 where they keep it."""
        left, right = self.sides(weights, 1.0)
        return float((abs(left - right) if self.equal else left - right).max())

    def expression(self, weights: Any, scale: Any) -> Any:
        """Return the limit as a constraint of cvxpy's."""
        left, right = self.sides(weights, scale)
        return left == right if self.equal else left <= right


def limits_of(parameters: OptimizerParameters, request: AllocationRequest) -> tuple[Limit, ...]:
    """Return the limits of the weights of the entities of `request`, in their order."""
    limits = _sums(parameters, len(request.returns.columns))
    if isinstance(parameters, Bounds):
        limits = [*_bounds(parameters), *limits]
    if isinstance(parameters, Groups):
        limits += _groups(parameters, list(request.returns.columns))
    if isinstance(parameters, Turnover) and parameters.max_turnover is not None and request.previous is not None:
        limits.append(_turnover(parameters.max_turnover, request))
    return tuple(limits)


def named(limits: Sequence[Limit]) -> str:
    """Return the limits as a list for people."""
    return ", ".join(limit.text for limit in limits)


def net_leverage(parameters: OptimizerParameters) -> float:
    """Return what the weights add up to."""
    return parameters.net_leverage if isinstance(parameters, Leverage) else 1.0


def _bounds(parameters: Bounds) -> list[Limit]:
    least, greatest = parameters.min_weight, parameters.max_weight
    return [
        Limit(f"min_weight {least:g}", lambda w, scale: (least * scale - w, 0.0), native=True),
        Limit(f"max_weight {greatest:g}", lambda w, scale: (w - greatest * scale, 0.0), native=True),
    ]


def _sums(parameters: OptimizerParameters, count: int) -> list[Limit]:
    import numpy as np

    ones, net = np.ones(count), net_leverage(parameters)
    limits = [Limit(f"net_leverage {net:g}", lambda w, scale: (ones @ w, net * scale), equal=True, native=True)]
    gross = parameters.gross_leverage if isinstance(parameters, Leverage) else None
    if gross is not None:
        limits.append(Limit(f"gross_leverage {gross:g}", lambda w, scale: (ones @ _absolute(w), gross * scale)))
    return limits


def _groups(parameters: Groups, names: list[str]) -> list[Limit]:
    import numpy as np

    limits = []
    for group, limit in parameters.group_limits.items():
        mask = np.array([float(parameters.groups.get(name) == group) for name in names])
        if limit.min is not None:
            limits.append(Limit(f"group {group} at least {limit.min:g}", _at_least(mask, limit.min)))
        if limit.max is not None:
            limits.append(Limit(f"group {group} at most {limit.max:g}", _at_most(mask, limit.max)))
    return limits


def _at_least(mask: "NDArray[np.float64]", least: float) -> Callable[[Any, Any], tuple[Any, Any]]:
    return lambda w, scale: (least * scale, mask @ w)


def _at_most(mask: "NDArray[np.float64]", greatest: float) -> Callable[[Any, Any], tuple[Any, Any]]:
    return lambda w, scale: (mask @ w, greatest * scale)


def _turnover(greatest: float, request: AllocationRequest) -> Limit:
    import numpy as np

    assert request.previous is not None
    names = request.returns.columns
    held = request.previous.reindex(names, fill_value=0.0).to_numpy(dtype=float)
    # What is held of other entities is sold.
    gone = float(request.previous.drop(names, errors="ignore").abs().sum())
    ones = np.ones(len(names))
    return Limit(
        f"max_turnover {greatest:g}",
        lambda w, scale: (ones @ _absolute(w - held * scale), (2 * greatest - gone) * scale),
    )


def _absolute(weights: Any) -> Any:
    import numpy as np

    if isinstance(weights, np.ndarray):
        return abs(weights)
    import cvxpy as cp

    return cp.abs(weights)  # type: ignore[attr-defined]


def cleaned(weights: "NDArray[np.float64]", parameters: OptimizerParameters) -> "NDArray[np.float64]":
    """Return the weights without the solver's noise: within their bounds, exactly adding up to the net leverage.

    Weights below 1e-7 become 0 where the bounds let them; what is then missing from the sum is spread over
    the others by the room that they have. The noise is of the solver's precision, about 1e-9.
    """
    import numpy as np

    if not isinstance(parameters, Bounds):
        return weights
    least, greatest, net = parameters.min_weight, parameters.max_weight, net_leverage(parameters)
    clean = np.clip(weights, least, greatest)
    if least <= 0 <= greatest:
        clean[abs(clean) < DUST] = 0.0
    missing = net - clean.sum()
    room = greatest - clean if missing > 0 else clean - least
    room[clean == 0] = 0.0
    if room.sum() >= abs(missing) > 0:
        clean += missing * room / room.sum()
    return clean


def broken(weights: "NDArray[np.float64]", limits: Sequence[Limit]) -> list[str]:
    """Return the limits that the weights break by more than 1e-6, with the excess of each."""
    excesses = [(limit.text, limit.excess(weights)) for limit in limits]
    return [f"{text} by {excess:.1e}" for text, excess in excesses if not excess <= TOLERANCE]


def diagnosis(limits: Sequence[Limit], count: int) -> str | None:
    """Say why no `count` weights keep all limits, naming those of which one alone need go; None if some do."""
    if _can_be_kept(limits, count):
        return None
    single = [limit for limit in limits if _can_be_kept([other for other in limits if other is not limit], count)]
    without = f", though some would without {' or without '.join(limit.text for limit in single)}" if single else ""
    return f"no weights of these {count} entities keep them all{without}"


def _can_be_kept(limits: Sequence[Limit], count: int) -> bool:
    import cvxpy as cp

    weights = cp.Variable(count)
    problem = cp.Problem(cp.Minimize(0), [limit.expression(weights, 1.0) for limit in limits])
    problem.solve(solver="CLARABEL")  # type: ignore[no-untyped-call]
    return problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
