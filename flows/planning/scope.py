"""Scope: what a plan is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from instances.errors import OptaicError
from instances.specification.specs import AnySpec
from instances.specification.types import followed


class NothingDescribed(OptaicError):
    """A prune by a manifest that describes no instance, and names no project."""

    def __init__(self) -> None:
        super().__init__(
            "the manifest describes no instance and names no project, so nothing says what to prune. "
            "Name its project at the top, like `project: sp500`; `optaic destroy --all` deletes everything."
        )


@dataclass(frozen=True)
class Scope:
    """What a plan is asked for.

    `manifest` are the specs of a file; without one, which is None, blocks alone describe what is wanted.
    `project` is the one that the file names at its top, `problems` tells what of the file can't be read, and
    `broken` names the instances that it describes in such a way, and
    `notes` tell what of it is read otherwise than it is written. With `prune` instances that are not
    described any more go: of the manifest's projects where there is one. `destroy` names instances that go
    although they are described; with `data` what they have left goes too, and with `cancel` runs of theirs that are
    at work are cancelled. With `all_or_nothing` one problem stops all. With `adopt` the manifest may take over
    instances of other projects. `places` says, by name, where in a manifest of several files or lists an instance is
    described, for what is wrong with it.
    """

    manifest: tuple[AnySpec, ...] | None = None
    prune: bool = False
    destroy: tuple[str, ...] = ()
    data: bool = False
    project: str | None = None
    problems: tuple[str, ...] = ()
    broken: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    all_or_nothing: bool = False
    adopt: bool = False
    cancel: bool = False
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def specs(self) -> tuple[AnySpec, ...]:
        return self.manifest or ()

    def followed(self, present: Mapping[str, str]) -> "Scope":
        """Return the same with the present names of what its specs refer to by former ones."""
        if self.manifest is None:
            return self
        return replace(self, manifest=tuple(followed(spec, present) for spec in self.manifest))

    @property
    def projects(self) -> set[str] | None:
        """The projects to prune; None for all. Raises `NothingDescribed`."""
        if self.manifest is None:
            return None
        named = {self.project} if self.project else set()
        projects = {spec.project for spec in self.manifest} or named
        if self.prune and not projects and not self.problems:
            raise NothingDescribed
        return projects
