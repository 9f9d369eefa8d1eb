"""Flows that a definition brings: what can't be one."""

from typing import Any

import pytest
from pydantic import BaseModel

from definitions.contract import Definition, FlowKind, Kind
from definitions.errors import InvalidConfig, InvalidFlowSpec
from definitions.parameters import NoParameters
from definitions.work.flow_spec import FlowRequest, FlowSpec
from definitions.work.outcome import Outcome


class Needed(BaseModel):
    window: int


def work(request: FlowRequest) -> Outcome:
    return Outcome(version=None)


@pytest.mark.parametrize("kind", ["refresh", "bootstrap", "sweep", "packaged"])
def test_a_flow_that_there_is_cannot_be_brought(kind: str) -> None:
    with pytest.raises(InvalidFlowSpec, match=rf"^there is a flow '{kind}' already: choose another kind$"):
        FlowSpec(kind, work)


@pytest.mark.parametrize("kind", ["", "Report", "a_b", "a-", "9lives", "x" * 41])
def test_a_kind_is_a_word(kind: str) -> None:
    with pytest.raises(InvalidFlowSpec, match=r"^a flow can't be of the kind .*: write it in lower-case letters"):
        FlowSpec(kind, work)


def test_a_definition_says_at_once_what_it_cannot_bring() -> None:
    def bring(kind: Kind, *specs: Any) -> Definition:
        return Definition(kind, "x", 1, "X.", NoParameters, lambda parameters, resources: None, flow_specs=specs)

    assert bring(Kind.PIPELINE, FlowSpec("risk-report", work)).flow_kinds == ("risk-report",)
    for kind, specs, told in (
        (Kind.STORE, [FlowSpec("report", work)], "store x@1 can't bring flows: its instances have none"),
        (
            Kind.PIPELINE,
            [{"flow_kind": "report"}],
            "flow_specs of pipeline x@1: {'flow_kind': 'report'} is not a FlowSpec",
        ),
        (
            Kind.PIPELINE,
            [FlowSpec("report", work)] * 2,
            "flow_specs of pipeline x@1: there are two of the kind 'report'",
        ),
    ):
        with pytest.raises(InvalidFlowSpec) as caught:
            bring(kind, *specs)
        assert str(caught.value).startswith(told)


def test_parameters_have_defaults() -> None:
    with pytest.raises(InvalidFlowSpec, match=r"^the parameter 'window' of the flow 'report' has no default: "):
        FlowSpec("report", work, parameters=Needed)


def test_parameters_that_there_are_not_are_named() -> None:
    told = r"^the parameters do not fit the flow report: parameters\.x: is not a field that there is"
    with pytest.raises(InvalidConfig, match=told):
        FlowSpec("report", work).parse({"x": 1})


def test_a_kind_is_always_the_same() -> None:
    assert FlowKind("report") is FlowSpec("report", work).flow_kind
    assert FlowKind("report") not in list(FlowKind)
    assert (FlowKind("report").built_in, FlowKind.REFRESH.built_in) == (False, True)
