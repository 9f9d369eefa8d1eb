"""Operators of the expression language as definitions, so that a package can bring its own."""

from types import MappingProxyType
from typing import Any

from definitions.contract import Definition, Kind, Resources
from definitions.errors import MissingSecret
from definitions.parameters import NoParameters
from definitions.registry import Registry
from research.operators import OPERATORS, Operator, Operators


def operator_definition(operator: Operator, *, version: int = 1) -> Definition:
    """Return the definition that brings `operator`, under the operator's own name."""

    def factory(parameters: Any, resources: Resources) -> Operator:
        return operator

    return Definition(
        kind=Kind.OPERATOR,
        name=operator.name,
        version=version,
        summary=f"{operator.signature}: {operator.summary}",
        parameters=NoParameters,
        factory=factory,
    )


def definitions() -> tuple[Definition, ...]:
    """Return the built-in operators."""
    return tuple(operator_definition(operator) for operator in OPERATORS.values())


def operator_table(registry: Registry) -> Operators:
    """Return the newest version of each operator that the registry has, by name."""
    nothing = Resources(data_root="", instance="", credentials=_NoCredentials())
    made = (definition.factory(definition.parse({}), nothing) for definition in registry.newest(Kind.OPERATOR))
    return MappingProxyType({operator.name: operator for operator in made})


class _NoCredentials:
    """An operator is a function of frames: it has no business with secrets."""

    def secret(self, block_name: str) -> str:
        raise MissingSecret("Secret", block_name)

    def database_url(self, block_name: str) -> str:
        raise MissingSecret("SqlAlchemyConnector", block_name)
