"""Status aggregation: the contract by which the statuses of an instance's flows become one."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from definitions.errors import DefinitionError
from research.errors import did_you_mean, shown

DEFAULT_PRIORITY = (
    "ERROR",
    "UNKNOWN",
    "NOT_INITIALIZED",
    "STALE",
    "STALE_SOURCE_DELAYED",
    "RUNNING",
    "READY",
)
METHOD = "min_severity"
_KEYS = ("aggregation_method", "status_priority")
DEFAULT_CONTRACT: Mapping[str, Any] = MappingProxyType(
    {"aggregation_method": METHOD, "status_priority": list(DEFAULT_PRIORITY)}
)


class InvalidContract(DefinitionError):
    """A `status_aggregation_contract` that no status can follow from."""

    def __init__(self, definition: str, problem: str) -> None:
        super().__init__(f"status_aggregation_contract of {definition}: {problem}")


@dataclass(frozen=True)
class Aggregation:
    """How an instance's status follows from those of its flows, the most severe status first."""

    aggregation_method: str = METHOD
    status_priority: tuple[str, ...] = DEFAULT_PRIORITY

    def __str__(self) -> str:
        return f"{self.aggregation_method}: {', '.join(self.status_priority)}"


def aggregation_of(contract: object, definition: str) -> Aggregation:
    """Return what a contract says, `{aggregation_method, status_priority}`; what it leaves out is the default.

    Raises `InvalidContract`, which names `definition`.
    """
    if not isinstance(contract, Mapping):
        raise InvalidContract(definition, f"must be a mapping of {' and '.join(_KEYS)}, not {shown(contract)}")
    for key in contract:
        if key not in _KEYS:
            raise InvalidContract(definition, f"{shown(key)} is no key of it; there are: {', '.join(_KEYS)}")
    method = contract.get("aggregation_method", METHOD)
    if method != METHOD:
        remedy = f"use {METHOD!r}, and say by status_priority which status is the most severe"
        raise InvalidContract(definition, f"there is no aggregation_method {shown(method)}: {remedy}")
    return Aggregation(METHOD, _priority(contract.get("status_priority", DEFAULT_PRIORITY), definition))


def _priority(given: object, definition: str) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not given:
        raise InvalidContract(definition, f"status_priority must be a list of statuses, not {shown(given)}")
    for status in given:
        if status not in DEFAULT_PRIORITY:
            hint = did_you_mean(str(status).upper(), DEFAULT_PRIORITY)
            known = ", ".join(DEFAULT_PRIORITY)
            raise InvalidContract(definition, f"{shown(status)} is no status.{hint} There are: {known}")
        if given.count(status) > 1:
            raise InvalidContract(definition, f"status_priority has {status} twice: keep one of them")
    return tuple(given)
