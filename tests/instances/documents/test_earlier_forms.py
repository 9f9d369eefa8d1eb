"""Documents that were saved under an earlier form: they mean what they meant."""

from typing import Any

import pytest

from instances.documents.earlier_forms import as_todays_form_says

EARLIER = {"definitions": {"BacktestConfig": {"properties": {"transaction_costs": {"maximum": 1000, "minimum": 0}}}}}
TODAY = {"definitions": {"BacktestConfig": {"properties": {"transaction_costs": {"exclusiveMaximum": 0.1}}}}}


@pytest.mark.parametrize(("before", "today"), [(5.0, 0.0005), (0.05, 0.000005), (7, 0.0007), (0, 0.0)])
def test_costs_of_before_are_read_as_shares(before: float, today: float) -> None:
    data = {"assets": {"instance": "prices"}, "config": {"transaction_costs": before, "long_short": True}}

    found = as_todays_form_says("backtest", data, EARLIER)

    assert found.data == {**data, "config": {"transaction_costs": today, "long_short": True}}
    assert found.note == (
        f"config.transaction_costs {before:g} was saved in basis points, and is read as the share {today:g}"
    )


@pytest.mark.parametrize("config", [{"long_short": True}, {}, None])
def test_slippage_that_nothing_was_said_of_is_that_of_then(config: dict[str, Any] | None) -> None:
    then = {"definitions": {"BacktestConfig": {"properties": {"slippage_model": {"default": "linear"}}}}}
    found = as_todays_form_says("backtest", {"config": config}, then)
    assert found.data == {"config": {**(config or {}), "slippage_model": "linear"}}
    assert found.note == "config.slippage_model was linear where nothing was said when it was saved, and is read so"
    said = {"config": {"slippage_model": "none"}}
    assert as_todays_form_says("backtest", said, then).data == said


@pytest.mark.parametrize(
    ("type_", "data", "form"),
    [
        ("backtest", {"config": {"transaction_costs": 0.001}}, TODAY),
        ("backtest", {"config": {"transaction_costs": 0.001}}, {}),
        ("backtest", {"config": {"transaction_costs": "5"}}, EARLIER),
        ("backtest", {"config": {"transaction_costs": True}}, EARLIER),
        ("backtest", {"config": {}}, EARLIER),
        ("backtest", {"config": 5}, EARLIER),
        ("backtest", None, EARLIER),
        ("dataset", {"config": {"transaction_costs": 5}}, EARLIER),
    ],
)
def test_all_else_is_as_it_is(type_: str, data: Any, form: dict[str, Any]) -> None:
    found = as_todays_form_says(type_, data, form)
    assert (found.data, found.note) == (data, None)
