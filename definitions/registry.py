"""The registry: the definitions that the installed packages bring."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from definitions.contract import Definition, Kind
from definitions.errors import BrokenPackage, DefinitionConflict, UnknownDefinition, UnknownVersion

GROUP = "optaic.definitions"


class Registry:
    """Definitions by kind, name and version; never changes once made."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        """Raises `DefinitionConflict` when two different contents claim one version."""
        self._by_name: dict[tuple[Kind, str], dict[int, Definition]] = {}
        for definition in definitions:
            versions = self._by_name.setdefault((definition.kind, definition.name), {})
            known = versions.setdefault(definition.version, definition)
            if known.content_hash != definition.content_hash:
                raise DefinitionConflict(definition.ref)

    def get(self, kind: Kind, name: str, version: int | None = None) -> Definition:
        """Return that version, the newest when it is None. Raises `UnknownDefinition` or `UnknownVersion`."""
        versions = self._by_name.get((kind, name))
        if versions is None:
            raise UnknownDefinition(kind, name, (other for of_kind, other in self._by_name if of_kind is kind))
        if version is None:
            return versions[max(versions)]
        if version not in versions:
            raise UnknownVersion(kind, name, version, versions)
        return versions[version]

    def all(self) -> tuple[Definition, ...]:
        """Return all definitions in all their versions, sorted by kind, name and version."""
        found = (definition for versions in self._by_name.values() for definition in versions.values())
        return tuple(sorted(found, key=lambda one: (one.kind, one.name, one.version)))

    def newest(self, kind: Kind) -> tuple[Definition, ...]:
        """Return the newest version of each definition of that kind, sorted by name."""
        names = sorted(name for of_kind, name in self._by_name if of_kind is kind)
        return tuple(self.get(kind, name) for name in names)


@cache
def default_registry() -> Registry:
    """Return the definitions of all installed packages, through the entry points of `optaic.definitions`.

    Raises `BrokenPackage` when an entry point can't be loaded, `DefinitionConflict` as `Registry` does.
    """
    return Registry(
        definition for entry_point in sorted(entry_points(group=GROUP)) for definition in _load(entry_point)
    )


def _load(entry_point: EntryPoint) -> tuple[Definition, ...]:
    package = entry_point.dist.name if entry_point.dist else "an unnamed package"
    try:
        definitions = tuple(entry_point.load()())
    except Exception as error:  # it is code of others: whatever it raises, the user must learn whose it is
        raise BrokenPackage(package, entry_point.name, entry_point.value, repr(error)) from error
    for definition in definitions:
        if not isinstance(definition, Definition):
            problem = f"it gives {definition!r}, which is not a Definition"
            raise BrokenPackage(package, entry_point.name, entry_point.value, problem)
    return definitions
