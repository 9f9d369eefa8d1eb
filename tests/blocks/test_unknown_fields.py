"""A field that a block has not is refused where the block is made: Prefect would save it without a word."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from blocks import BacktestInstance, ExperimentInstance, ModelInstance, PipelineInstance, Platform, StoreInstance
from blocks.base import OurBlock

PRICES = {"assets": {"instance": "prices"}, "optimizer": "o"}


@pytest.mark.parametrize(
    ("block", "fields", "told"),
    [
        (
            PipelineInstance,
            {"definition": "csv", "confg": {}},
            "confg: is not a field that there is; did you",
        ),
        (StoreInstance, {"definition": "delta", "definition_vers": 1}, "did you mean 'definition_version'?"),
        (ExperimentInstance, {"colour": "red"}, "colour: is not a field that there is; there are: auto, "),
        (ModelInstance, {"definition": "ridge", "retrain_on_drif": True}, "did you mean 'retrain_on_drift'?"),
        (BacktestInstance, {**PRICES, "config": {"transaction_cost": 5}}, "config.transaction_cost"),
        (BacktestInstance, {**PRICES, "schedule": {"retry_policy": {"max": 1}}}, "schedule.retry_policy.max"),
        (Platform, {"data_rot": "x"}, "data_rot: is not a field that there is; did you mean 'data_root'?"),
    ],
)
def test_it_is_refused_when_the_block_is_made(block: type[OurBlock], fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(told)):
        block(**fields)
