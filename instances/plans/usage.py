"""Usage: which instances need another one, as its readers or as what it is a part of, so that it can't go alone."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from instances.errors import Problem
from instances.specification.specs import AnySpec, RunnableSpec
from instances.specification.types import type_of
from instances.world.wording import listed


@dataclass(frozen=True)
class Use:
    """One instance that needs another, and the field that says so."""

    user: str
    field: str
    as_part: bool


def uses(specs: Iterable[AnySpec]) -> Mapping[str, list[Use]]:
    """Return by whom each instance is needed, by name."""
    found: dict[str, list[Use]] = defaultdict(list)
    for spec in specs:
        for needed, use in uses_of(spec):
            found[needed].append(use)
    return found


def uses_of(spec: AnySpec) -> Iterator[tuple[str, Use]]:
    """Yield what an instance needs, by name, with how."""
    for field in type_of(spec).parts:
        yield getattr(spec, field), Use(spec.name, field, as_part=True)
    if isinstance(spec, RunnableSpec):
        for field, ref in spec.references_by_field():
            yield ref.instance, Use(spec.name, field, as_part=False)


def still_used(
    deleted: Collection[str], staying: Iterable[AnySpec], *, without_block: Collection[str]
) -> list[Problem]:
    """Return why some of `deleted` can't go: once for each, whoever and however many need it.

    Of those `without_block` nobody may have wanted that: their blocks were deleted.
    """
    found = uses(staying)
    return [
        Problem(name, _why_not(name, found[name], name in without_block)) for name in sorted(deleted) if name in found
    ]


def _why_not(name: str, users: list[Use], without_block: bool) -> str:
    that = "that" if len({use.user for use in users}) == 1 else "those"
    if users[0].as_part:
        way_out = f"delete {that} too, or give {'it' if that == 'that' else 'them'} another {users[0].field}"
    else:
        way_out = f"delete {that} too, or take it out of {listed(_fields(users))}"
    back = f"; its block is gone: `optaic import {name}` brings it back" if without_block else ""
    return f"{name}: can't be deleted while {_users(users)} it; {way_out}{back}"


def blocks_gone(kept: Collection[str], described: Iterable[AnySpec]) -> dict[str, Problem]:
    """Return what to do about instances that others need and that are on record only, for their blocks are gone."""
    found = uses(described)
    return {
        name: Problem(
            name,
            f"{name}: its block is gone, and {_users(found[name])} it. `optaic import {name}` brings it back as it "
            f"was applied; else describe it anew, or take it out of {listed(_fields(found[name]))}",
        )
        for name in sorted(kept)
        if name in found
    }


def _users(users: Iterable[Use]) -> str:
    """Return who needs an instance and for what: 'a reads', 'a and b use'."""
    found = list(users)
    names = list(dict.fromkeys(use.user for use in found))
    verb = "use" if found[0].as_part else "read"
    return f"{listed(names)} {verb}{'s' if len(names) == 1 else ''}"


def _fields(users: Iterable[Use]) -> list[str]:
    return list(dict.fromkeys(use.field for use in users))
