"""Operators of the expression language as definitions, so that a package can bring its own."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic import create_model

from definitions.contract import Definition, Kind, Resources
from definitions.errors import MissingSecret
from definitions.parameters import NoParameters
from definitions.registry import Registry
from research.expressions.operators import OPERATORS, Operator, Operators
from research.expressions.operators.operator import operators_by_name


def operator_definition(operator: Operator, *, version: int = 1) -> Definition:
    """Return the definition that brings `operator`, under the operator's own name."""

    def factory(parameters: Any, resources: Resources) -> Operator:
        return operator

    return Definition(
        kind=Kind.OPERATOR,
        name=operator.name,
        version=version,
        summary=f"{operator.signature}: {operator.summary}",
        parameters=saying(f"{operator.signature}: {operator.summary}"),
        factory=factory,
    )


def definitions() -> tuple[Definition, ...]:
    """Return the built-in operators."""
    return tuple(operator_definition(operator) for operator in OPERATORS.values())


@lru_cache(maxsize=8)  # a registry never changes once made
def operator_table(registry: Registry) -> Operators:
    """Return the newest version of each operator that the registry has, by name."""
    return operators_by_name(made(registry, Kind.OPERATOR))


def made(registry: Registry, kind: Kind) -> Iterator[Any]:
    """Yield what the newest definitions of a kind that has no parameters make."""
    nothing = Resources(data_root="", instance="", credentials=_NoCredentials())
    for definition in registry.newest(kind):
        yield definition.factory(definition.parse({}), nothing)


def saying(content: str) -> type[NoParameters]:
    """Return a schema without parameters that differs where `content` does.

    So two packages that bring different things under one name and version are found out by the registry.
    """
    return create_model("NoParameters", __base__=NoParameters, __doc__=content)


class _NoCredentials:
    """An operator is a function of frames: it has no business with secrets."""

    def secret(self, block_name: str) -> str:
        raise MissingSecret("Secret", block_name)

    def database_url(self, block_name: str) -> str:
        raise MissingSecret("SqlAlchemyConnector", block_name)
