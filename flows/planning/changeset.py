"""Changeset: a plan with what it is to bring about, and whether that takes a person's word."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flows.planning.resources import DesiredState
from instances.errors import OptaicError
from instances.plans.plan import Plan
from instances.plans.renames import look_alikes
from instances.specification.types import PARTS, part_name
from instances.storage.row_fields import recorded_spec
from instances.world.wording import listed


@dataclass(frozen=True)
class Share:
    """How many of the instances of a project, or of those of none, would go."""

    deleted: int
    members: int
    project: str

    def __str__(self) -> str:
        return f"{self.deleted} of {self.members} instances" + (
            f" of the project {self.project!r}" if self.project else ""
        )


class WouldRemoveMost(OptaicError):
    """A prune of more than half of a project's instances, without a person's word for it."""

    def __init__(self, shares: Iterable[Share]) -> None:
        super().__init__(
            f"this would delete {' and '.join(str(share) for share in shares)}, more than half. "
            "If that is what you want, say --yes; else look at `optaic plan --prune`."
        )


class WouldRemoveAll(OptaicError):
    """A destroy of all instances of a project, named one by one, without a person's word for it."""

    def __init__(self, shares: Iterable[Share]) -> None:
        super().__init__(
            f"this would delete {listed(map(str, shares))}, so all that there is. If that is what you want, say --yes."
        )


class WouldReplace(OptaicError):
    """An instance that goes, and one that is made, the same but for the name: that is mostly a rename."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        told = listed([f"{old!r} and create {new!r}" for old, new in pairs.items()])
        said = listed([f"`renamed_from: {old}` in {new}" for old, new in pairs.items()])
        super().__init__(
            f"this would delete {told}, the same but for the name: history and rows would not go over. To rename, say "
            f"{said}; to delete and create, say --yes."
        )


@dataclass(frozen=True)
class Changeset:
    """A plan, with what it is to bring about; `members` has all instances, described or on record, with projects."""

    plan: Plan
    state: DesiredState
    members: Mapping[str, str]

    def doubts(self, *, named: bool = False) -> Iterator[OptaicError]:
        """Yield why a person should say that these deletions are wanted; `named` says that one has named them."""
        for check in (self.check_replaced, self.check_emptied if named else self.check_fuse):
            try:
                check()
            except (WouldRemoveAll, WouldRemoveMost, WouldReplace) as doubt:
                yield doubt

    def check_deletions(self) -> None:
        """Raise the first of the `doubts`, where nobody is there to be asked."""
        for doubt in self.doubts():
            raise doubt

    def check_replaced(self) -> None:
        """Raise `WouldReplace` when an instance would go for one that is the same but for the name."""
        on_record = self.state.record.rows
        going = (recorded_spec(name, on_record[name]) for name in self.state.deleted if name in on_record)
        coming = (each.spec for each in self.state.instances if each.spec.name not in on_record)
        if pairs := look_alikes((spec for spec in going if spec is not None), coming):
            raise WouldReplace(pairs)

    def check_fuse(self) -> None:
        """Raise `WouldRemoveMost` when more than half of one project's instances would go.

        So when more than half of all would: that takes more than half of some project's.
        """
        there = Counter(self.members.values())
        going = Counter(self.members[name] for name in self.state.deleted)
        shares = [Share(going[project], there[project], project) for project in sorted(going)]
        most = [share for share in shares if 2 * share.deleted > share.members]
        if most:
            raise WouldRemoveMost(most)

    def check_emptied(self) -> None:
        """Raise `WouldRemoveAll` when all instances of a project would go, and it has more than one.

        Parts that are described in place go with what they belong to, and don't count.
        """
        own = {part_name(name, type_) for name in self.members for type_ in PARTS.values()}
        there = Counter(project for name, project in self.members.items() if name not in own)
        going = Counter(self.members[name] for name in self.state.deleted if name not in own)
        shares = [Share(going[project], there[project], project) for project in sorted(going)]
        emptied = [share for share in shares if share.deleted == share.members > 1]
        if emptied:
            raise WouldRemoveAll(emptied)
