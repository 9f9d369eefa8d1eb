"""Aggregation: an instance's status from those of its flows."""

from collections.abc import Iterable

from definitions.contract import DEFAULT_PRIORITY, Aggregation
from instances.errors import OptaicError
from instances.rules.status import FlowStatus


class UnknownAggregation(OptaicError):
    """A contract that asks for a method that does not exist."""

    def __init__(self, method: str) -> None:
        super().__init__(
            f"there is no aggregation method {method!r}; use 'min_severity', and say by status_priority "
            "which status is the most severe."
        )


def aggregate(statuses: Iterable[FlowStatus], aggregation: Aggregation) -> FlowStatus:
    """Return the most severe status by the definition's contract; READY for an instance without flows.

    A status that the contract does not name is more severe than all it names; among several such the
    default order decides. READY only if all are READY, wherever a contract puts it.
    """
    if aggregation.aggregation_method != "min_severity":
        raise UnknownAggregation(aggregation.aggregation_method)
    named = aggregation.status_priority

    def severity(status: FlowStatus) -> tuple[bool, int]:
        is_named = status in named
        return is_named, named.index(status) if is_named else DEFAULT_PRIORITY.index(status)

    unready = {status for status in statuses if status is not FlowStatus.READY}
    return min(unready, key=severity, default=FlowStatus.READY)
