"""Explanations: which flows are told of as causes, and which of them as root causes."""

from instances.rules.causes import Explanation, explain
from instances.rules.flow_status import FlowStatus
from instances.world.facts import FlowFacts
from tests.instances.sample_world import NOW, completed, failed, flow, hours, strict, tolerant, world

GONE = "the Prefect API did not answer"
PRICES = flow("prices", completed(hours(2), version="7"))


def explained(judged: FlowFacts, *others: FlowFacts) -> Explanation:
    return explain(judged, world(judged, *others), NOW)


def roots(explanation: Explanation) -> list[str]:
    return [cause.label for cause in explanation.causes if cause.root]


def test_a_flow_that_can_not_be_read_is_a_root_cause_itself() -> None:
    source = explained(flow("prices", completed(), unreadable=GONE))
    assert [cause.status for cause in source.causes] == [FlowStatus.UNKNOWN]
    assert roots(source) == ["prices.refresh"]
    reader = flow("signal", completed(), edges=[strict("prices")], unreadable=GONE)
    assert roots(explained(reader, PRICES)) == ["signal.refresh"]
    assert roots(explained(reader, flow("prices", failed()))) == ["signal.refresh", "prices.refresh"]


def test_where_nothing_can_be_read_there_is_a_root_cause_all_the_same() -> None:
    prices = flow("prices", completed(), unreadable=GONE)
    middle = flow("middle", completed(), edges=[strict("prices")], unreadable=GONE)
    found = explained(flow("signal", completed(), edges=[strict("middle")]), middle, prices)
    assert roots(found) == ["prices.refresh"]


def test_what_is_behind_a_flow_is_the_root_cause_and_not_the_flow() -> None:
    middle = flow("middle", completed(hours(1), inputs={"prices": "7"}), edges=[strict("prices")])
    signal = flow("signal", edges=[strict("middle"), tolerant("other")])
    found = explained(signal, middle, flow("prices", failed()), flow("other", completed()))
    assert [(cause.depth, cause.label) for cause in found.causes] == [(0, "signal.refresh"), (1, "prices.refresh")]
    assert roots(found) == ["prices.refresh"]


def test_a_flow_behind_which_nothing_blocks_is_the_root_cause_itself() -> None:
    assert roots(explained(flow("signal", failed(), edges=[strict("prices")]), PRICES)) == ["signal.refresh"]
