"""The contract by which an instance's status follows from those of its flows: what it may say, in every helper."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from definitions.contract import Definition, Kind
from definitions.modules.module import module_definition
from definitions.modules.ridge import RidgeParameters
from definitions.optimizers.solving import optimizer_definition
from definitions.status_aggregation import DEFAULT_CONTRACT, DEFAULT_PRIORITY, Aggregation, InvalidContract

CONTRACT = {"aggregation_method": "min_severity", "status_priority": ["ERROR", "STALE", "RUNNING", "READY"]}


def plain(contract: Mapping[str, Any]) -> Definition:
    def factory(given: Any, resources: Any) -> None:
        return None

    return Definition(Kind.PIPELINE, "own", 1, "", RidgeParameters, factory, status_aggregation_contract=contract)


def by_helper(helper: Callable[..., Definition]) -> Callable[[Mapping[str, Any]], Definition]:
    def make(contract: Mapping[str, Any]) -> Definition:
        given = {"name": "own", "version": 1, "summary": "", "parameters": RidgeParameters, "factory": RidgeParameters}
        return helper(**given, status_aggregation_contract=contract)

    return make


WAYS = {"plain": plain, "module": by_helper(module_definition), "optimizer": by_helper(optimizer_definition)}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_a_definition_takes_a_contract_and_refuses_a_wrong_one(way: str) -> None:
    assert WAYS[way](CONTRACT).aggregation == Aggregation(status_priority=("ERROR", "STALE", "RUNNING", "READY"))
    assert WAYS[way]({}).aggregation == WAYS[way](DEFAULT_CONTRACT).aggregation == Aggregation()
    assert WAYS[way](CONTRACT).content_hash != WAYS[way]({}).content_hash
    with pytest.raises(
        InvalidContract, match=r"status_aggregation_contract of .* own@1: there is no aggregation_method"
    ):
        WAYS[way]({"aggregation_method": "majority"})


@pytest.mark.parametrize(
    ("contract", "problem"),
    [
        ("min_severity", "must be a mapping of aggregation_method and status_priority, not 'min_severity'"),
        ({"priority": []}, "'priority' is no key of it; there are: aggregation_method, status_priority"),
        (
            {"aggregation_method": "majority"},
            "there is no aggregation_method 'majority': use 'min_severity', and say by status_priority which status is "
            "the most severe",
        ),
        ({"status_priority": "ERROR"}, "status_priority must be a list of statuses, not 'ERROR'"),
        ({"status_priority": []}, "status_priority must be a list of statuses, not []"),
        (
            {"status_priority": ["EROR"]},
            f"'EROR' is no status. Did you mean 'ERROR'? There are: {', '.join(DEFAULT_PRIORITY)}",
        ),
        (
            {"status_priority": ["stale"]},
            f"'stale' is no status. Did you mean 'STALE'? There are: {', '.join(DEFAULT_PRIORITY)}",
        ),
        ({"status_priority": ["ERROR", "ERROR"]}, "status_priority has ERROR twice: keep one of them"),
    ],
)
def test_a_wrong_contract_says_what_and_the_remedy(contract: Any, problem: str) -> None:
    with pytest.raises(InvalidContract) as caught:
        plain(contract)
    assert str(caught.value) == f"status_aggregation_contract of pipeline own@1: {problem}"
