"""An operator or a macro as the definition of an experiment: the call of it, as an expression."""

from collections.abc import Mapping
from typing import Any

from research.errors import shown


def is_called(definition: object) -> bool:
    """Say whether a definition is an operator or a macro, all of which are in upper case, and no pipeline."""
    if not isinstance(definition, str) or not (definition.isidentifier() and definition.isupper()):
        return False
    from definitions.contract import Kind
    from definitions.registry import default_registry

    pipelines = {each.name for each in default_registry().newest(Kind.PIPELINE)}
    return definition in _signatures() and definition not in pipelines


def call(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the call of an operator or a macro, which there is, with arguments by the names of its parameters.

    An argument is a number, a column or another expression. Raises `ValueError` with what is wrong, and the remedy.
    """
    signatures = _signatures()
    for parameters in signatures[name]:
        if set(parameters) == arguments.keys():
            return f"{name}({', '.join(_argument(arguments[each], each) for each in parameters)})"
    forms = " or ".join(f"{{{', '.join(parameters)}}}" for parameters in signatures[name])
    raise ValueError(f"{name} takes config: {forms}, not {{{', '.join(arguments)}}}")


def _argument(value: object, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{name} must be a number, a column or an expression, not {shown(value)}")
    return str(value)


def _signatures() -> dict[str, list[tuple[str, ...]]]:
    """Return the names of the parameters of each operator and macro that is installed, form by form."""
    from definitions.operators.macro_definitions import macro_table
    from definitions.operators.operator_definitions import operator_table
    from definitions.registry import default_registry

    registry = default_registry()
    found = {
        name: [tuple(parameter.name for parameter in form.parameters) for form in operator.forms]
        for name, operator in operator_table(registry).items()
    }
    return found | {name: [macro.parameters] for name, macro in macro_table(registry).items()}
