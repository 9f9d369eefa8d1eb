"""Errors of definitions and their plugins: what, which value, and the remedy."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from research.errors import did_you_mean, shown

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails


class DefinitionError(Exception):
    """Base of every error that a definition or its plugin raises on bad input."""


class InvalidFlowSpec(DefinitionError):
    """A flow of a package's own that can't be one."""


class UnknownDefinition(DefinitionError):
    """No installed package brings a definition of that kind and name."""

    def __init__(self, kind: str, name: str, known: Iterable[str], broken: Iterable[str] = ()) -> None:
        names = sorted(known)
        super().__init__(
            f"there is no {kind} definition named {shown(name)}.{did_you_mean(name, names)} "
            f"Installed: {', '.join(names) or 'none'}. "
            + "".join(f"It may be of a package that is broken: {each} " for each in broken)
            + "Install the package that brings it (entry point group 'optaic.definitions'), or correct the name."
        )


class UnknownVersion(DefinitionError):
    """The definition is there, but not in the pinned version."""

    def __init__(self, kind: str, name: str, version: int, known: Iterable[int]) -> None:
        versions = ", ".join(str(v) for v in sorted(known))
        super().__init__(
            f"{kind} definition {shown(name)} has no version {version}; there are: {versions}. "
            "Pin one of those, or leave definition_version out for the newest."
        )


class DefinitionConflict(DefinitionError):
    """Two different contents claim the same version."""

    def __init__(self, ref: str) -> None:
        super().__init__(
            f"{ref} has changed under the same version: its schema, flows or roles differ from those on record. "
            "Raise its version; a version's content never changes."
        )


class BrokenPackage(DefinitionError):
    """An installed package whose definitions can't be loaded."""

    def __init__(self, package: str, entry_point: str, value: str, problem: str) -> None:
        super().__init__(
            f"package {package!r} does not load its definitions (entry point {entry_point!r} = {value}): {problem}. "
            "Repair it or uninstall it."
        )


class InvalidConfig(DefinitionError):
    """A config that does not fit the parameters schema.

    Bad values are shown, but not those of a model with `hide_input_in_errors`, which may hold secrets.
    """

    def __init__(
        self, ref: str, parameters: "type[BaseModel]", problems: Iterable[str], *, what: str = "config"
    ) -> None:
        fields = ", ".join(parameters.model_fields) or "none"
        told = "; ".join(problems)
        # A problem of several lines shows the value and its place itself.
        tail = "" if "\n" in told else f"{'' if told.endswith('?') else '.'} Its parameters are: {fields}."
        super().__init__(f"the {what} {'do' if what.endswith('s') else 'does'} not fit {ref}: {told}{tail}")


def config_problems(parameters: "type[BaseModel]", error: "ValidationError", *, what: str = "config") -> list[str]:
    """Return a sentence for each problem of a config, without values where they may be secret."""
    hidden = parameters.model_config.get("hide_input_in_errors", False)
    return [_problem(item, parameters, what, hidden=hidden) for item in error.errors(include_url=False)]


def _problem(item: "ErrorDetails", parameters: "type[BaseModel]", what: str, *, hidden: bool) -> str:
    from definitions.known_words import model_at, unknown_word  # with pydantic, which most commands do without

    place = ".".join(str(part) for part in (what, *item["loc"]))
    if item["type"] == "extra_forbidden" and (model := model_at(parameters, item["loc"][:-1])) is not None:
        return f"{place}: {unknown_word(item['loc'][-1], model.model_fields)}"
    message = item["msg"].removeprefix("Value error, ")
    got = "" if hidden or "\n" in message or item["type"] == "missing" else f" (got {shown(item['input'])})"
    # What is wrong with a config as a whole has no place to show.
    return f"{place}: {message}{got}" if item["loc"] else f"{message}{got}"


class SourceError(DefinitionError):
    """A source that cannot be read, or whose rows are not in long form."""


class StoreError(DefinitionError):
    """A store that refuses what it is given, or lacks what it is asked for."""


class StoreConflict(StoreError):
    """Another writer has committed to the store meanwhile; of this write nothing was, and it may be made again."""


class MissingSecret(DefinitionError):
    """A block that should keep a secret is not there."""

    def __init__(self, block_type: str, name: str) -> None:
        super().__init__(
            f"there is no {block_type} block named {name!r}. "
            "Create it in the Prefect UI (Blocks), or correct the name in the config."
        )


class ModuleError(DefinitionError):
    """A model that can't be trained or asked, with what it was given."""


class UnknownEntities(DefinitionError):
    """Parameters that name entities which there are no prices of: a constraint on them would bind nothing."""

    def __init__(self, definition: str, unknown: Iterable[str], known: Iterable[str]) -> None:
        super().__init__(
            f"the config of {definition} names {', '.join(sorted(unknown))}, which there are no prices of; "
            f"there are: {', '.join(sorted(known))}. Correct the names."
        )


class Infeasible(DefinitionError):
    """A portfolio problem that no weights can satisfy."""

    def __init__(self, definition: str, constraints: str, because: str) -> None:
        super().__init__(
            f"{definition} finds no weights that satisfy {constraints}: {because}. "
            "Loosen one of these constraints; nothing was written."
        )
