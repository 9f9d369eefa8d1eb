import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from definitions.contract import Allocation, AllocationRequest, FlowKind, Kind, Role
from definitions.errors import DefinitionError, Infeasible, InvalidConfig
from definitions.registry import default_registry
from tests.definitions.resources import make
from tests.research.market import stocks

EXACT = 1e-6
TECH = {"AAPL": "tech", "AMD": "tech", "MSFT": "tech"}
ENERGY = {"CVX": "energy", "RRC": "energy", "XOM": "energy"}
GROUPS = {"groups": TECH | ENERGY, "group_limits": {"tech": {"max": 0.15}, "energy": {"min": 0.1, "max": 0.3}}}

FREE: list[dict[str, Any]] = [
    {},
    {"max_weight": 0.1},
    {"min_weight": 0.02, "max_weight": 0.08},
    {"max_turnover": 0.05},
    {"max_weight": 0.1, "max_turnover": 0.2, **GROUPS},
    {"min_weight": -0.1, "max_weight": 0.3, "gross_leverage": 1.6},
    {"min_weight": -0.2, "max_weight": 0.2, "net_leverage": 0.5, "gross_leverage": 1.5, "max_turnover": 0.5, **GROUPS},
    {"min_weight": -0.5, "max_weight": 0.5, "net_leverage": 1.3, "gross_leverage": 2, **GROUPS},
]
LONG: list[dict[str, Any]] = [{}, {"max_weight": 0.1}, {"min_weight": 0.03, "max_weight": 0.06}]
SUMS: list[dict[str, Any]] = [{"max_turnover": 0.05}, {"max_weight": 0.1, "max_turnover": 0.2, **GROUPS}]
OBJECTIVES = ("minimum-variance", "maximum-utility", "maximum-ratio")
CASES = [
    *(("mean-variance", {"objective": objective, **limits}) for objective in OBJECTIVES for limits in FREE),
    ("mean-variance", {"net_leverage": 0, "min_weight": -0.2, "max_weight": 0.2, "gross_leverage": 1}),
    *(("minimum-cvar", limits) for limits in FREE),
    *(("risk-budgeting", limits) for limits in [*LONG, *SUMS]),
    *(("hierarchical-risk-parity", limits) for limits in LONG),
]


def returns(first: str = "2012", last: str = "2012") -> pd.DataFrame:
    return stocks(first, last).pct_change().iloc[1:]


def request(first: str = "2012", last: str = "2012", **given: Any) -> AllocationRequest:
    seen = returns(first, last)
    equal = pd.Series(1 / seen.shape[1], index=seen.columns)
    return AllocationRequest(**{"returns": seen, "previous": equal, **given})


def allocate(name: str, config: dict[str, Any], given: AllocationRequest | None = None) -> Allocation:
    allocation: Allocation = make(Kind.PORTFOLIO_OPTIMIZER, name, config).allocate(given or request())
    return allocation


def keeps(weights: "pd.Series[float]", config: dict[str, Any], previous: "pd.Series[float]") -> None:
    """Assert each constraint from its own definition, not with the code that is tested."""
    assert weights.sum() == pytest.approx(config.get("net_leverage", 1.0), abs=EXACT)
    assert weights.min() >= config.get("min_weight", 0.0) - EXACT
    assert weights.max() <= config.get("max_weight", 1.0) + EXACT
    assert weights.abs().sum() <= config.get("gross_leverage", math.inf) + EXACT
    everyone = weights.index.union(previous.index)
    changes = weights.reindex(everyone, fill_value=0) - previous.reindex(everyone, fill_value=0)
    assert changes.abs().sum() / 2 <= config.get("max_turnover", math.inf) + EXACT
    for group, limit in config.get("group_limits", {}).items():
        total = weights[[name for name, its in config["groups"].items() if its == group and name in weights]].sum()
        assert limit.get("min", -math.inf) - EXACT <= total <= limit.get("max", math.inf) + EXACT


@pytest.mark.parametrize("years", [("2012", "2012"), ("2008", "2008"), ("2019", "2021")])
@pytest.mark.parametrize(("name", "config"), CASES, ids=lambda value: str(value)[:60])
def test_weights_keep_every_constraint(name: str, config: dict[str, Any], years: tuple[str, str]) -> None:
    given = request(*years)
    if config.get("objective") == "maximum-ratio" and years[0] == "2008":
        given = request(*years, expected_returns=returns(*years).mean() + 0.002)

    allocation = allocate(name, config, given)

    assert given.previous is not None
    keeps(allocation.weights, config, given.previous)
    assert list(allocation.weights.index) == list(given.returns.columns)
    assert allocation.solver_status == ("closed form" if name.startswith("hier") else "optimal")
    assert 0 < allocation.volatility < 1
    assert 1 <= allocation.effective_bets <= 20


@pytest.mark.parametrize(
    ("name", "config", "constraints", "because"),
    [
        (
            "mean-variance",
            {"objective": "minimum-variance", "max_weight": 0.04},
            "min_weight 0, max_weight 0.04, net_leverage 1",
            "no weights of these 20 entities keep them all, though some would without max_weight 0.04 "
            "or without net_leverage 1",
        ),
        (
            "minimum-cvar",
            {"min_weight": 0.04, "max_turnover": 0.05, **GROUPS, "group_limits": {"tech": {"max": 0.1}}},
            "min_weight 0.04, max_weight 1, net_leverage 1, group tech at most 0.1, max_turnover 0.05",
            "though some would without min_weight 0.04 or without group tech at most 0.1",
        ),
        (
            "risk-budgeting",
            {"max_turnover": 0.01, "groups": TECH, "group_limits": {"tech": {"min": 0.3}}},
            "min_weight 0, max_weight 1, net_leverage 1, group tech at least 0.3, max_turnover 0.01",
            "though some would without group tech at least 0.3 or without max_turnover 0.01",
        ),
        (
            "hierarchical-risk-parity",
            {"max_weight": 0.04},
            "min_weight 0, max_weight 0.04, net_leverage 1",
            "no weights of these 20 entities keep them all",
        ),
        (
            "mean-variance",
            {"min_weight": 0.06, "max_weight": 0.1},
            "min_weight 0.06, max_weight 0.1, net_leverage 1",
            "though some would without min_weight 0.06 or without net_leverage 1",
        ),
    ],
)
def test_what_no_weights_satisfy_is_refused_by_name(
    name: str, config: dict[str, Any], constraints: str, because: str
) -> None:
    with pytest.raises(Infeasible) as caught:
        allocate(name, config)

    assert str(caught.value).startswith(f"{name} finds no weights that satisfy {constraints}: on 2012-12-31, ")
    assert because in str(caught.value)


def test_a_ratio_needs_something_to_expect() -> None:
    falling = request(expected_returns=-returns().std())

    with pytest.raises(Infeasible, match="Maximum Ratio"):
        allocate("mean-variance", {"objective": "maximum-ratio"}, falling)


def test_entities_that_are_gone_count_as_turnover() -> None:
    seen = returns()
    held = pd.Series(1 / 21, index=[*seen.columns, "ENRON"])
    limits = {"objective": "minimum-variance", "max_turnover": 0.1}

    allocation = allocate("mean-variance", limits, AllocationRequest(seen, previous=held))

    keeps(allocation.weights, limits, held)
    half = pd.Series({"ENRON": 0.5} | {str(name): 0.025 for name in seen.columns})
    with pytest.raises(Infeasible, match="without max_turnover"):
        allocate("mean-variance", limits, AllocationRequest(seen, previous=half))


def test_the_first_weights_are_free_of_turnover() -> None:
    free = allocate("minimum-cvar", {}, AllocationRequest(returns()))

    limited = allocate("minimum-cvar", {"max_turnover": 0.01}, AllocationRequest(returns()))

    assert limited.weights.equals(free.weights)


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("hierarchical-risk-parity", {"max_turnover": 0.1}, "max_turnover can't be honoured: the method splits"),
        ("hierarchical-risk-parity", {"groups": TECH}, "groups can't be honoured: the method splits capital"),
        ("hierarchical-risk-parity", {"net_leverage": 1.0}, "net_leverage can't be honoured: the method holds long"),
        (
            "mean-variance",
            {"max_weight": 20},
            "this is a multiple of the capital: 0.2 is 20 %, 1.5 is 150 %; 20 is",
        ),
        ("mean-variance", {"max_weight": 5}, "max_weight is a share of the capital, 0.2 is 20 %, and 5 of it in one"),
        ("minimum-cvar", {"gross_leverage": 150}, "this is a multiple of the capital: 0.2 is 20 %"),
        (
            "hierarchical-risk-parity",
            {"max_weight": 20},
            "max_weight: Input should be less than or equal to 1 (got",
        ),
        ("risk-budgeting", {"gross_leverage": 2}, "gross_leverage can't be honoured: it holds long positions"),
        ("risk-budgeting", {"min_weight": -0.1}, "greater than or equal to 0"),
        ("mean-variance", {"min_weight": 0.3, "max_weight": 0.2}, "min_weight, 0.3, is greater than max_weight, 0.2"),
        ("mean-variance", {"gross_leverage": 0.5}, "gross_leverage, 0.5, is less than net_leverage, 1: raise it"),
        ("mean-variance", {"objective": "maximum-ratio", "net_leverage": 0}, "needs a net_leverage above 0, got 0"),
        ("mean-variance", {"objective": "minimum-variance", "risk_aversion": 2}, "risk_aversion has no part in"),
        ("mean-variance", {"max_weight": math.inf}, "finite number"),
        ("minimum-cvar", {"groups": TECH, "group_limits": {"banks": {"max": 0.1}}}, "it knows: tech"),
        ("minimum-cvar", {"groups": TECH, "group_limits": {"tech": {"min": 0.2, "max": 0.1}}}, "swap them"),
        ("minimum-cvar", {"covariance_estimator": "sample"}, "is not a field that there is"),
    ],
)
def test_what_can_not_be_honoured_is_refused(name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        make(Kind.PORTFOLIO_OPTIMIZER, name, config)

    assert message in str(caught.value)


def test_minimum_variance_equals_its_closed_form() -> None:
    covariance = returns().cov()
    inverse = np.linalg.inv(covariance.to_numpy())
    expected = inverse.sum(axis=1) / inverse.sum()
    config = {
        "objective": "minimum-variance",
        "covariance_estimator": "sample",
        "min_weight": -5,
        "max_weight": 5,
        "gross_leverage": 10,
    }

    found = allocate("mean-variance", config)
    given = allocate("mean-variance", config | {"covariance_estimator": "ledoit-wolf"}, request(covariance=covariance))

    np.testing.assert_allclose(found.weights, expected, atol=1e-4)
    np.testing.assert_allclose(given.weights, found.weights, atol=1e-6)
    assert found.volatility == pytest.approx(math.sqrt(expected @ covariance @ expected * 252), rel=1e-6)


def test_maximum_utility_and_ratio_follow_the_expected_returns() -> None:
    covariance = pd.DataFrame(np.eye(20) * 1e-4, index=returns().columns, columns=returns().columns)
    expected = pd.Series(np.linspace(1, 20, 20) * 1e-5, index=returns().columns)
    given = request(expected_returns=expected, covariance=covariance)
    wide = {"min_weight": -9, "max_weight": 9, "gross_leverage": 10}

    ratio = allocate("mean-variance", {"objective": "maximum-ratio", **wide}, given)
    utility = allocate("mean-variance", {"risk_aversion": 2, **wide}, given)

    # With uncorrelated entities of one variance the ratio is greatest where weights are proportional to what is
    # expected; utility where they are (expected - constant) / (2 * aversion * variance).
    np.testing.assert_allclose(ratio.weights, expected / expected.sum(), atol=1e-5)
    np.testing.assert_allclose(utility.weights, (expected - expected.mean()) / (2 * 2 * 1e-4) + 1 / 20, atol=1e-5)
    assert ratio.expected_return == pytest.approx(float(ratio.weights @ expected) * 252)


def test_risk_budgets_are_the_shares_of_risk() -> None:
    covariance = returns().cov()
    budgets = {"AAPL": 3.0, "XOM": 2.0}

    found = allocate("risk-budgeting", {"risk_budgets": budgets}, request(covariance=covariance))

    shares = found.weights * (covariance @ found.weights) / (found.weights @ covariance @ found.weights)
    expected = pd.Series({str(name): budgets.get(str(name), 1.0) for name in covariance.columns})
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=1e-4)


def test_minimum_cvar_has_no_neighbour_with_less() -> None:
    found, seen = allocate("minimum-cvar", {}).weights.to_numpy(), returns().to_numpy()

    def cvar(weights: np.ndarray[Any, Any]) -> float:
        # Rockafellar and Uryasev: the least over alpha of alpha + mean excess / 0.05, at some day's loss.
        losses = -seen @ weights
        return min(float(alpha + np.maximum(losses - alpha, 0).mean() / 0.05) for alpha in losses)

    least = cvar(found)
    generator = np.random.default_rng(0)
    for _ in range(200):
        other = generator.dirichlet(np.ones(20))
        assert cvar(0.95 * found + 0.05 * other) >= least - 1e-9


def test_hierarchical_risk_parity_holds_one_entity_whole_and_follows_the_covariance() -> None:
    one = AllocationRequest(returns()[["AAPL"]])
    covariance = returns().cov()
    covariance.loc["XOM"] *= 3
    covariance["XOM"] *= 3

    assert allocate("hierarchical-risk-parity", {}, one).weights.to_dict() == {"AAPL": 1.0}
    calm = allocate("hierarchical-risk-parity", {}, request(covariance=returns().cov()))
    wild = allocate("hierarchical-risk-parity", {}, request(covariance=covariance))
    assert wild.weights["XOM"] < calm.weights["XOM"] / 2


def test_effective_bets_count_what_is_uncorrelated() -> None:
    names = returns().columns
    identity = pd.DataFrame(np.eye(20) * 1e-4, index=names, columns=names)
    fixed = {"objective": "minimum-variance", "min_weight": 0.05, "max_weight": 0.05}

    equal = allocate("mean-variance", fixed, request(covariance=identity))
    loud = identity.copy()
    loud.loc["AAPL", "AAPL"] = 1.0
    single = allocate("mean-variance", fixed, request(covariance=loud))

    assert equal.effective_bets == pytest.approx(20)
    assert single.effective_bets == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("minimum-cvar", {"covariance": returns().cov()}, "minimum-cvar can't honour a covariance"),
        ("mean-variance", {"returns": returns().iloc[:1]}, "at least 2 days of returns"),
        ("mean-variance", {"returns": returns().mask(returns() > 0.05)}, "without gaps"),
        ("mean-variance", {"expected_returns": returns().mean().drop("JPM")}, "no expected return of JPM"),
        ("mean-variance", {"covariance": returns().cov().drop("JPM")}, "no values of JPM"),
        ("mean-variance", {"covariance": -returns().cov()}, "not a covariance matrix"),
        ("mean-variance", {"covariance": returns().cov() + np.triu(np.ones((20, 20)), 1)}, "not symmetric"),
    ],
)
def test_what_can_not_be_used_is_refused(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        allocate(name, {}, request(**given))


@pytest.mark.parametrize(("version", "several"), [(1, False), (2, True)])
def test_definitions_say_which_upstreams_they_take(version: int, several: bool) -> None:
    registry = default_registry()
    signal, covariance = Role("signal", required=False, many=several), Role("covariance", required=False)
    roles = {
        "mean-variance": (Role("prices"), Role("signal", many=several), covariance),
        "minimum-cvar": (Role("prices"), signal),
        "risk-budgeting": (Role("prices"), signal, covariance),
        "hierarchical-risk-parity": (Role("prices"), signal, covariance),
    }
    for name, expected in roles.items():
        definition = registry.get(Kind.PORTFOLIO_OPTIMIZER, name, version)
        assert (definition.version, definition.flows, definition.roles) == (version, (FlowKind.OPTIMIZE,), expected)
        assert registry.get(Kind.PORTFOLIO_OPTIMIZER, name).version == 2


def test_the_diversification_ratio_is_the_mean_volatility_over_the_portfolios() -> None:
    allocation = allocate("mean-variance", {"covariance_estimator": "sample", "max_weight": 0.2})
    seen, weights = returns(), allocation.weights
    mean = float((seen.std() * weights).sum())
    assert allocation.diversification_ratio == pytest.approx(mean / float((seen @ weights).std()), rel=1e-6)
    single = allocate("mean-variance", {"max_weight": 1.0}, request(returns=seen[["AAPL"]], previous=None))
    assert single.diversification_ratio == pytest.approx(1)
