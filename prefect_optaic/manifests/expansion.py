"""Expansion: from what manifests say in short to one entry for each instance.

What goes for many (`defaults`) is put into each entry, a template with `for_each` becomes one entry for each item, and
`${env:NAME}` what the environment says. Nothing is read here, and nothing known of what the fields mean.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_optaic.manifests.common_fields import CommonFields, common_fields
from prefect_optaic.manifests.manifest_files import Document
from prefect_optaic.manifests.references import NO_ITEM, Substitution, refers
from research.errors import shown

_KEYS = ("project", "defaults", "instances")
FOR_EACH = "for_each"


@dataclass(frozen=True)
class Entry:
    """One entry as if it had been written out; `number` is which one of its file, and `place` where it stands.

    `place` is empty where the name of an instance says enough: in a single file, without a list of items.
    `told` are the fields whose values are wrong where they are said for many; `problems` what could not be written
    out, each with its place in the entry.
    """

    fields: object
    number: str
    place: str = ""
    told: frozenset[str] = frozenset()
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Expansion:
    """All entries of manifests; `project` is the one that all files name, `problems` what is wrong with the files."""

    entries: tuple[Entry, ...]
    project: str | None
    problems: tuple[str, ...]


def expanded(documents: Sequence[Document], environment: Mapping[str, str]) -> Expansion:
    """Return the entries of all documents, written out."""
    common, wrong = common_fields(documents)
    unknown = [
        f"{document.file}: unknown key {shown(key)}; there are: {', '.join(_KEYS)}"
        for document in documents
        for key in document.content
        if key not in _KEYS
    ]
    entries = tuple(
        each
        for document, fields in zip(documents, common, strict=True)
        for number, entry in enumerate(document.instances, start=1)
        for each in _written_out(entry, fields, document, number, environment)
    )
    projects = {fields.project for fields in common}
    return Expansion(entries, projects.pop() if len(projects) == 1 else None, (*unknown, *wrong))


def _written_out(
    entry: object, common: CommonFields, document: Document, number: int, environment: Mapping[str, str]
) -> Iterator[Entry]:
    numbered = f"instance {number}"
    file = document.file if document.beside else ""
    if not isinstance(entry, dict):
        yield Entry(entry, numbered, _place(file, numbered) if file else "")
        return
    fields, told = common.under({key: value for key, value in entry.items() if key != FOR_EACH})
    if FOR_EACH not in entry:
        yield _substituted(fields, NO_ITEM, environment, numbered, _place(file, numbered) if file else "", told)
        return
    items = _items(entry[FOR_EACH])
    name = entry.get("name")
    if isinstance(items, str):
        yield Entry(fields, numbered, _place(file, numbered), told, ((FOR_EACH, items),))
    elif len(items) > 1 and isinstance(name, str) and not refers(name, "item"):
        problem = f"must hold ${{item}}, or the {len(items)} instances of for_each all have one name"
        yield Entry(fields, numbered, _place(file, numbered), told, (("name", problem),))
    else:
        for place, item in enumerate(items, start=1):
            item_number = f"{numbered}, item {place}"
            where = _place(file, f"{item_number}: {shown(item)}")
            yield _substituted(fields, item, environment, item_number, where, told)


def _place(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _items(given: object) -> list[Any] | str:
    """Return the items of a list, or each combination of those of several; what is wrong where they are neither."""
    lists: list[Any] = list(given.values()) if isinstance(given, dict) else [given]
    if not lists or not all(isinstance(each, list) for each in lists):
        return f"must be a list of items, or a mapping of such lists, not {shown(given)}"
    if not all(lists):
        return "has an empty list, so it describes no instance: give it items, or take the entry out"
    if isinstance(given, dict):
        return [dict(zip(given, each, strict=True)) for each in itertools.product(*lists)]
    return list(lists[0])


def _substituted(
    fields: dict[str, Any], item: Any, environment: Mapping[str, str], number: str, place: str, told: frozenset[str]
) -> Entry:
    substitution = Substitution(environment, item)
    return Entry(substitution.within(fields), number, place, told, tuple(substitution.problems))
