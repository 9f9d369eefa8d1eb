"""Modules as definitions: what all of them have in common."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from definitions.contract import Definition, FlowKind, Kind, Module, Resources, Role
from definitions.status_aggregation import DEFAULT_CONTRACT

P = TypeVar("P", bound=BaseModel)

FLOWS = (FlowKind.TRAIN, FlowKind.INFER, FlowKind.MONITOR)
ROLES = (Role("features", required=True, many=True), Role("prices", required=True))


def module_definition(
    *,
    name: str,
    version: int,
    summary: str,
    parameters: type[P],
    factory: Callable[[P], Module],
    packages: tuple[str, ...] = (),
    status_aggregation_contract: Mapping[str, Any] = DEFAULT_CONTRACT,
) -> Definition:
    """Return the definition of a module; `factory` makes it of its parameters, so the module's class will do.

    `packages`: what its models need wherever they are loaded, beside scikit-learn and NumPy. The contract says how the
    status of a model follows from those of its flows. Raises `InvalidContract`.
    """

    def made(given: Any, resources: Resources) -> Module:
        return factory(given)

    return Definition(
        kind=Kind.ML_MODULE,
        name=name,
        version=version,
        summary=summary,
        parameters=parameters,
        factory=made,
        flows=FLOWS,
        roles=ROLES,
        packages=packages,
        status_aggregation_contract=status_aggregation_contract,
    )
