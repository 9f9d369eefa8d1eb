"""Macros of the expression language as definitions, and those that come with this project."""

from functools import lru_cache
from typing import Any

from definitions.contract import Definition, Kind, Resources
from definitions.operators.operator_definitions import made, operator_table, saying
from definitions.registry import Registry
from research.expressions.macros import Macro, Macros, macros_by_name

MACROS = (
    Macro(
        "RETURN",
        ("x", "n"),
        "x / REF(x, n) - 1",
        "The return over n rows.",
    ),
    Macro(
        "MOMENTUM",
        ("x", "n", "skip"),
        "REF(x, skip) / REF(x, n) - 1",
        "The return from n rows ago to skip rows ago.",
    ),
    Macro(
        "VOLATILITY",
        ("x", "n"),
        "STD(LOG(x / REF(x, 1)), n) * 252 ** 0.5",
        "The standard deviation of n daily logarithmic returns, per year of 252 days.",
    ),
    Macro(
        "DRAWDOWN",
        ("x", "n"),
        "x / MAX(x, n) - 1",
        "How far x lies below the greatest of n rows: 0 at the top, negative below.",
    ),
    Macro(
        "RSI",
        ("x", "n"),
        "100 * SUM(IF(DELTA(x, 1) > 0, DELTA(x, 1), 0), n) / SUM(ABS(DELTA(x, 1)), n)",
        "The share of rises in all n changes, from 0 to 100 (relative strength index with plain sums, Cutler's); "
        "null where x does not change.",
    ),
)


def macro_definition(macro: Macro, *, version: int = 1) -> Definition:
    """Return the definition that brings `macro`, under the macro's own name."""

    def factory(parameters: Any, resources: Resources) -> Macro:
        return macro

    content = f"{macro.signature} = {macro.line}"
    return Definition(
        kind=Kind.MACRO,
        name=macro.name,
        version=version,
        summary=f"{content}. {macro.summary}".strip(),
        parameters=saying(content),
        factory=factory,
    )


def definitions() -> tuple[Definition, ...]:
    """Return the built-in macros."""
    return tuple(macro_definition(macro) for macro in MACROS)


@lru_cache(maxsize=8)  # a registry never changes once made
def macro_table(registry: Registry) -> Macros:
    """Return the newest version of each macro that the registry has, by name.

    Raises `MacroError` for one with the name of an operator.
    """
    return macros_by_name(made(registry, Kind.MACRO), operator_table(registry))
