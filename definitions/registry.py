"""The registry: the definitions that the installed packages bring."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from definitions.contract import Definition, FlowKind, Kind
from definitions.errors import BrokenPackage, DefinitionConflict, DefinitionError, UnknownDefinition, UnknownVersion

GROUP = "optaic.definitions"


class Registry:
    """Definitions by kind, name and version; never changes once made."""

    def __init__(self, definitions: Iterable[Definition], broken: Iterable[BrokenPackage] = ()) -> None:
        """Raises `DefinitionConflict` when two different contents claim one version.

        `broken` says which installed packages bring nothing, for they can't be loaded.
        """
        self.broken = tuple(broken)
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
            known = (other for of_kind, other in self._by_name if of_kind is kind)
            raise UnknownDefinition(kind, name, known, map(str, self.broken))
        if version is None:
            return versions[max(versions)]
        if version not in versions:
            raise UnknownVersion(kind, name, version, versions)
        return versions[version]

    def all(self) -> tuple[Definition, ...]:
        """Return all definitions in all their versions, sorted by kind, name and version."""
        found = (definition for versions in self._by_name.values() for definition in versions.values())
        return tuple(sorted(found, key=lambda one: (one.kind, one.name, one.version)))

    @property
    def brought_flows(self) -> tuple[FlowKind, ...]:
        """The kinds of flows that some definition brings of its own, sorted."""
        return tuple(sorted({each.flow_kind for definition in self.all() for each in definition.flow_specs}))

    def newest(self, kind: Kind) -> tuple[Definition, ...]:
        """Return the newest version of each definition of that kind, sorted by name."""
        names = sorted(name for of_kind, name in self._by_name if of_kind is kind)
        return tuple(self.get(kind, name) for name in names)


@cache
def default_registry() -> Registry:
    """Return the definitions of all installed packages, through the entry points of `optaic.definitions`.

    A package that can't be loaded is `broken`, and stops no other. Raises `DefinitionConflict` as `Registry` does.
    """
    definitions: list[Definition] = []
    broken: list[BrokenPackage] = []
    for entry_point in sorted(entry_points(group=GROUP)):
        try:
            definitions += _load(entry_point)
        except BrokenPackage as error:
            broken.append(error)
    return Registry(definitions, broken)


def _load(entry_point: EntryPoint) -> tuple[Definition, ...]:
    package = entry_point.dist.name if entry_point.dist else "an unnamed package"
    try:
        definitions = tuple(entry_point.load()())
    except DefinitionError as error:  # a definition refuses what it is made of, in words for people
        raise BrokenPackage(package, entry_point.name, entry_point.value, str(error)) from error
    except Exception as error:  # it is code of others: whatever it raises, the user must learn whose it is
        raise BrokenPackage(package, entry_point.name, entry_point.value, repr(error)) from error
    for definition in definitions:
        if not isinstance(definition, Definition):
            problem = f"it gives {definition!r}, which is not a Definition"
            raise BrokenPackage(package, entry_point.name, entry_point.value, problem)
        try:
            _ = definition.content_hash  # kept: of code of others it may be what fails
        except Exception as error:
            problem = f"the schema of {definition.ref} can't be made: {error!r}"
            raise BrokenPackage(package, entry_point.name, entry_point.value, problem) from error
    return definitions
