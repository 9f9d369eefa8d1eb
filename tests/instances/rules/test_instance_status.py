from hypothesis import given
from hypothesis import strategies as st

from definitions.status_aggregation import DEFAULT_PRIORITY, Aggregation
from instances.rules.flow_status import FlowStatus, judge
from instances.rules.instance_status import aggregate, statuses_of_instances
from tests.instances.sample_world import NOW, completed, failed, flow, world

DEFAULT = Aggregation()
CONTRACT = Aggregation(status_priority=("ERROR", "STALE", "RUNNING", "READY"))
S = FlowStatus

statuses = st.lists(st.sampled_from(FlowStatus), min_size=1)
contracts = st.lists(st.sampled_from(DEFAULT_PRIORITY), unique=True).map(
    lambda order: Aggregation(status_priority=tuple(order))
)


def test_the_default_order_names_every_status_the_most_severe_first() -> None:
    order = [S.ERROR, S.UNKNOWN, S.NOT_INITIALIZED, S.STALE, S.STALE_SOURCE_DELAYED, S.RUNNING, S.READY]
    assert set(order) == set(FlowStatus)
    for place, status in enumerate(order):
        assert aggregate(order[place:], DEFAULT) is status
        assert aggregate(reversed(order[place:]), DEFAULT) is status


def test_the_contract_decides_the_order() -> None:
    assert aggregate([S.READY, S.RUNNING, S.STALE], CONTRACT) is S.STALE
    running_first = Aggregation(status_priority=("RUNNING", "ERROR", "STALE", "READY"))
    assert aggregate([S.ERROR, S.RUNNING], running_first) is S.RUNNING


def test_a_status_that_the_contract_does_not_name_is_more_severe_than_all_it_names() -> None:
    assert aggregate([S.ERROR, S.UNKNOWN], CONTRACT) is S.UNKNOWN
    assert aggregate([S.ERROR, S.STALE_SOURCE_DELAYED], CONTRACT) is S.STALE_SOURCE_DELAYED
    assert aggregate([S.NOT_INITIALIZED, S.UNKNOWN, S.STALE_SOURCE_DELAYED], CONTRACT) is S.UNKNOWN


def test_an_instance_without_flows_is_ready() -> None:
    assert aggregate([], DEFAULT) is S.READY


@given(statuses, contracts)
def test_ready_only_if_all_are_ready(of_flows: list[FlowStatus], contract: Aggregation) -> None:
    assert (aggregate(of_flows, contract) is S.READY) == (set(of_flows) == {S.READY})


@given(statuses, contracts)
def test_the_status_of_an_instance_is_that_of_one_of_its_flows(
    of_flows: list[FlowStatus], contract: Aggregation
) -> None:
    assert aggregate(of_flows, contract) in of_flows
    assert aggregate(reversed(of_flows), contract) is aggregate(of_flows, contract)


def test_the_status_of_each_instance_in_a_world_is_by_its_own_contract() -> None:
    failing, waiting = flow("returns.train", failed()), flow("returns.infer")
    found = world(failing, waiting, flow("prices", completed()))
    initial_first = Aggregation(status_priority=("NOT_INITIALIZED", "ERROR"))
    judged = {flow_id: judge(facts, found, NOW).status for flow_id, facts in found.items()}
    assert statuses_of_instances(found, judged, lambda instance: DEFAULT) == {"returns": S.ERROR, "prices": S.READY}
    assert statuses_of_instances(found, judged, lambda instance: initial_first)["returns"] is S.NOT_INITIALIZED
