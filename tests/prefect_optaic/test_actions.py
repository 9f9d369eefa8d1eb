"""Actions: what is refused before anything is asked of Prefect."""

from uuid import uuid4

import pytest

from definitions.contract import FlowKind
from instances.specification.applied import FlowRecord
from instances.specification.fields import FlowSettings
from instances.world.facts import FlowId
from prefect_optaic.actions import UnknownParameter, check_parameters


def record(kind: FlowKind) -> FlowRecord:
    return FlowRecord(FlowId(uuid4()), "returns", "model", kind, uuid4(), "hash", FlowSettings(), ())


def test_a_parameter_that_a_flow_does_not_take_is_refused() -> None:
    check_parameters(record(FlowKind.REFRESH), dict.fromkeys(["everything", "force", "on_stale"]))
    check_parameters(record(FlowKind.TRAIN), dict.fromkeys(["force", "on_stale"]))
    with pytest.raises(UnknownParameter) as caught:
        check_parameters(record(FlowKind.TRAIN), dict.fromkeys(["force", "everything"]))
    assert str(caught.value) == (
        "returns.train takes no parameter 'everything'; it takes: force, on_stale. "
        "Leave 'everything' out; nothing was started."
    )
