"""The guide's documents: a list of instances as the user's platform writes them, as entries of a manifest.

Names become lower case with dashes, and ids the names that they stand for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instances.documents.guide_form import Translation, in_our_form, our_name, references
from instances.documents.guide_words import TYPES_THERE
from instances.documents.spec_errors import problem_text
from instances.errors import Problem
from instances.specification.types import PARTS

_MARKS = ("metadata_json", "id")


@dataclass(frozen=True)
class Entries:
    """Entries of a manifest in our form, by their places; `problems` tell of those that are not among them."""

    entries: Mapping[int, Any]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    broken: frozenset[str] = frozenset()


def in_our_words(entries: Sequence[object]) -> Entries:
    """Return the entries of a manifest in our form, whichever form each of them is in."""
    there = {number: entry for number, entry in enumerate(entries) if isinstance(entry, Mapping)}
    guides = {number for number, entry in there.items() if _is_the_guides(entry)}
    names = {
        str(word): our_name(str(entry["name"]))
        for number, entry in there.items()
        if number in guides and isinstance(entry.get("name"), str)
        for word in (entry.get("id"), entry["name"])
        if word is not None
    }
    found: dict[int, Translation] = {}
    # What a backtest trades may follow from what its signals read: those come first.
    for number in sorted(there, key=lambda number: _type(there[number]) == "backtest"):
        if (type_ := _type(there[number])) in TYPES_THERE.values():
            found[number] = _translated(type_, there[number], number in guides, names, list(found.values()))
    problems = [
        Problem(name, problem_text(name, place, what))
        for number, translation in sorted(found.items())
        for name in [str(translation.fields.get("name", f"instance {number + 1}"))]
        for place, what in translation.problems
    ]
    broken = {number for number, translation in found.items() if translation.problems}
    return Entries(
        {
            number: found[number].fields if number in found else entry
            for number, entry in enumerate(entries)
            if number not in broken
        },
        tuple(problems),
        _notes([str(there[number]["name"]) for number in sorted(guides) if "name" in there[number]]),
        frozenset(str(found[number].fields.get("name")) for number in broken),
    )


def _is_the_guides(entry: Mapping[str, Any]) -> bool:
    return any(mark in entry for mark in _MARKS) or str(entry.get("type")) in TYPES_THERE


def _type(entry: Mapping[str, Any]) -> str:
    type_ = entry.get("type")
    return TYPES_THERE.get(type_, type_) if isinstance(type_, str) else ""


def _translated(
    type_: str, entry: Mapping[str, Any], guides: bool, names: Mapping[str, str], others: list[Translation]
) -> Translation:
    fields = {word: value for word, value in entry.items() if word not in ("type", *(("id",) if guides else ()))}
    found = in_our_form(type_, fields, names=names, prices_behind=lambda of: _datasets_behind(of, others))
    if guides and isinstance(found.fields.get("name"), str):
        found.fields["name"] = our_name(found.fields["name"])
    found.fields["type"] = type_
    for part, part_type in PARTS.items():
        if isinstance(described := found.fields.get(part), Mapping):
            inner = in_our_form(part_type, described, names=names)
            found.fields[part] = inner.fields
            found.problems += [(f"{part}.{place}", what) for place, what in inner.problems]
    return found


def _datasets_behind(names: Iterable[str], others: Iterable[Translation]) -> list[str]:
    """Return the datasets, which are no signals, that lie behind instances of the same file."""
    described = {str(other.fields.get("name")): other for other in others}
    found, seen, left = list[str](), set[str](), list(names)
    while left:
        name = left.pop()
        if name in seen or name not in described:
            continue
        seen.add(name)
        if described[name].type == "dataset":
            found.append(name)
            continue
        left += [str(ref.get("instance")) for ref in references(described[name].fields)]
    return sorted(found)


def _notes(names: Sequence[str]) -> tuple[str, ...]:
    changed = [name for name in names if our_name(name) != name]
    if not changed:
        return ()
    more = f", and {len(changed) - 1} more alike" if changed[1:] else ""
    return (f"names are in lower case with dashes here: {changed[0]} is {our_name(changed[0])}{more}",)
