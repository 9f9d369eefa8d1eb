"""Numbers with a unit: what is written in the unit of another one is refused, and says the right one."""

from typing import Any

import pytest
from pydantic import ValidationError

from definitions.work.portfolios.portfolio_settings import BacktestConfig, OptimizationSettings


def test_costs_are_a_share_or_two() -> None:
    def costs(value: Any) -> tuple[float, float]:
        config = BacktestConfig(transaction_costs=value)
        return config.transaction_costs, config.slippage_bps

    assert (BacktestConfig().transaction_costs, BacktestConfig().slippage_bps) == (0.0005, 5)
    assert costs(0.001) == (0.001, 5)
    assert costs({"commission": 0.001, "slippage": 0.0007}) == (0.001, 7)
    assert costs({"slippage": 0.0001}) == (0.0005, 1)
    assert costs({"commission": 0.002}) == (0.002, 5)
    assert costs({"slippage": 0}) == (0.0005, 0)


def test_slippage_comes_only_where_it_is_said() -> None:
    def rate(**config: Any) -> float:
        return BacktestConfig.model_validate(config).costs.rate

    assert rate(transaction_costs=0.001) == 0.001
    assert rate(transaction_costs=0.001, slippage_bps=5) == pytest.approx(0.0015, rel=1e-15)
    assert rate(transaction_costs=0.001, slippage_model="linear") == pytest.approx(0.0015, rel=1e-15)
    assert rate(transaction_costs=0.001, slippage_model="none", slippage_bps=5) == 0.001


def test_costs_are_what_they_say() -> None:
    config = BacktestConfig(transaction_costs={"commission": 0.001, "slippage": 0.0005})
    assert config.costs.rate == pytest.approx(0.0015, rel=1e-15)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"transaction_costs": 5}, "this is a share of the traded value: 0.001 is 10 basis points; 5 is too much"),
        ({"transaction_costs": 0.1}, "this is a share of the traded value: 0.001 is 10 basis points"),
        ({"transaction_costs": {"commission": 5}}, "this is a share of the traded value: 0.001 is 10 basis points"),
        ({"transaction_costs": {"slippage": 5}}, "transaction_costs.slippage is a share of the traded value, from 0"),
        ({"transaction_costs": {"slippage": "x"}}, "transaction_costs.slippage is a share of the traded value, from 0"),
        ({"transaction_costs": {"comission": 0.001}}, "transaction_costs has no 'comission'; .*'commission'?"),
        (
            {"transaction_costs": {"slippage": 0.001}, "slippage_bps": 5},
            "transaction_costs.slippage and slippage_bps are the same: leave one of them out",
        ),
        (
            {"transaction_costs": {"slippage": 0.001}, "slippage_model": "none"},
            "transaction_costs.slippage is that of the slippage_model linear, not of none",
        ),
        ({"slippage_bps": 0.0005}, "this is in basis points: 5 is a share of 0.0005; 0.0005 is too little"),
    ],
)
def test_a_cost_in_another_unit_is_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        BacktestConfig.model_validate(config)


def test_trading_days_are_a_number_of_days() -> None:
    assert OptimizationSettings.model_validate({"lookback": "63d"}).lookback == 63
    for wrong in ("3m", "1y", "2 weeks"):
        with pytest.raises(ValidationError, match=f"'{wrong}' is not in trading days: a month has about 21 of them"):
            OptimizationSettings.model_validate({"lookback": wrong})
