"""Plan: what must change so that the world matches what is described, as frozen steps.

Each kind of resource (blocks, rows, deployments, automations, ...) is compared alike: by name, field by
field. Making a plan has no side effects; applying one runs exactly its steps.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any

from definitions.numbers import same
from instances.errors import InvalidSpec, LeftOut

Fields = dict[str, Any]  # JSON values by field


class Absent(Enum):
    """What a key that is not there holds; one that is there may hold None."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class Action(StrEnum):
    """What a step does to its resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RENAME = "rename"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Change:
    """One field of a resource, before and after; None where it is not there, `ABSENT` where a key of it is not."""

    field: str
    before: Any
    after: Any

    def plain(self) -> dict[str, Any]:
        """Return it as JSON: without `before` or `after` where the key is not there."""
        values = {"field": self.field, "before": self.before, "after": self.after}
        return {name: value for name, value in values.items() if value is not ABSENT}


@dataclass(frozen=True)
class Step:
    """What happens to one resource. `after` is what it is to be; empty for a deletion."""

    kind: str
    name: str
    action: Action
    changes: tuple[Change, ...] = ()
    after: Fields = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def instance(self) -> str:
        """The instance that it belongs to, which the names of resources tell: 'refresh/prices', 'prices.refresh'."""
        return self.name.rpartition("/")[2].partition(".")[0]


@dataclass(frozen=True)
class Plan:
    """The steps in the order in which they are applied; `kept` names what is no longer described, and stays.

    `problems` says what is wrong with instances that are left out, and `held` names those that are left out too,
    as they read them.
    """

    steps: tuple[Step, ...]
    kept: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that do something."""
        return tuple(step for step in self.steps if step.action is not Action.UNCHANGED)

    def check_whole(self) -> None:
        """Raise `LeftOut` where something that is described is not in the plan; `InvalidSpec` where nothing else is."""
        if self.problems:
            raise (LeftOut if self.changes else InvalidSpec)(self.problems)

    def of(self, kind: str) -> tuple[Step, ...]:
        return tuple(step for step in self.changes if step.kind == kind)

    def count(self, action: Action) -> int:
        return sum(step.action is action for step in self.steps)

    @property
    def summary(self) -> str:
        """The plan in a line: '3 to create, 1 to update, 0 to delete, 12 unchanged'."""
        verbs = {Action.CREATE: "to create", Action.UPDATE: "to update", Action.DELETE: "to delete"}
        if self.count(Action.RENAME):
            verbs = {Action.RENAME: "to rename", **verbs}
        counted = [f"{self.count(action)} {words}" for action, words in verbs.items()]
        counted.append(f"{self.count(Action.UNCHANGED)} unchanged")
        return ", ".join([*counted, *(["something left out"] if self.problems else [])])

    @property
    def digest(self) -> str:
        """Hash of all that the plan would do: equal for two plans that do the same to the same world."""
        content = [[s.kind, s.name, s.action, _plain(s.changes), dict(s.after)] for s in self.changes]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _plain(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [change.plain() for change in changes]


def compare(
    kind: str, desired: Mapping[str, Fields], actual: Mapping[str, Fields], *, deleted: Iterable[str] = ()
) -> tuple[Step, ...]:
    """Return a step for each resource that is described, and a deletion for each of `deleted` that is there.

    Resources of `actual` that are neither described nor in `deleted` are left alone.
    """
    steps = [_step(kind, name, fields, actual.get(name)) for name, fields in desired.items()]
    deletions = [
        Step(kind, name, Action.DELETE, tuple(_changes(actual[name], {})))
        for name in deleted
        if name in actual and name not in desired
    ]
    return (*steps, *deletions)


def _step(kind: str, name: str, desired: Fields, actual: Fields | None) -> Step:
    if actual is None:
        return Step(kind, name, Action.CREATE, tuple(_changes({}, desired)), desired)
    changes = tuple(_changes(actual, desired))
    return Step(kind, name, Action.UPDATE if changes else Action.UNCHANGED, changes, desired)


def _changes(before: Fields, after: Fields) -> Iterator[Change]:
    for name in dict.fromkeys((*after, *before)):
        if not same(before.get(name), after.get(name)):
            yield from _nested(name, before.get(name), after.get(name))


def _nested(name: str, before: Any, after: Any) -> Iterator[Change]:
    """Go down into mappings, so that a change of one key does not show the whole."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*after, *before)):
            was, is_to_be = before.get(key, ABSENT), after.get(key, ABSENT)
            if not same(was, is_to_be):
                yield from _nested(f"{name}.{key}", was, is_to_be)
    else:
        yield Change(name, before, after)
