"""Manifest: YAML files that describe instances; one, or all of a folder.

    project: sp500                      # the default for all instances of the file
    instances:
      - name: prices
        type: dataset
        pipeline_instance: {definition: sp500-sample}

A part is either described in place, or named: then it is an instance of the same manifest or of the server. What may be
said in short is written out by `manifests.expansion`. Entries may be in the guide's form too, and the file a list of
those alone: see docs/platform.md.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from instances.documents.guide_documents import in_our_words
from instances.documents.spec_errors import problem_text, spec_problems
from instances.errors import InvalidSpec, Problem, located
from instances.specification.specs import AnySpec, spec_adapter
from instances.specification.types import DEFAULT_PARTS, PARTS, TYPES, part_name
from prefect_optaic.manifests.expansion import Entry, expanded
from prefect_optaic.manifests.manifest_files import Document, read_documents
from research.errors import shown

if TYPE_CHECKING:
    from flows.planning.scope import Scope


@dataclass(frozen=True)
class Manifest:
    """What a file or folder describes: its specs, parts before what they belong to, as far as they can be read.

    `project` is the one that it names for all. `problems` tells what is wrong, and `broken` names the instances that
    are described in such a way, with the parts that are described inside them. `places` says, by name, where an
    instance stands, if its name does not say enough: its file, and its item.
    """

    specs: tuple[AnySpec, ...]
    project: str | None
    problems: tuple[str, ...]
    broken: frozenset[str]
    places: Mapping[str, str] = dataclass_field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def scope(self) -> "Scope":
        """What a plan is asked for where all that is described is to be there."""
        from flows.planning.scope import Scope

        return Scope(
            self.specs,
            project=self.project,
            problems=self.problems,
            broken=self.broken,
            places=self.places,
            notes=self.notes,
        )


def read_manifest(path: Path) -> tuple[AnySpec, ...]:
    """Return the specs that a manifest describes, parts before the datasets that they belong to.

    Raises `InvalidSpec` with every problem of the file.
    """
    manifest = look_through(path)
    if manifest.problems:
        raise InvalidSpec(manifest.problems)
    return manifest.specs


def look_through(path: Path) -> Manifest:
    """Return what can be read of a manifest, a file or all of a folder, and what is wrong with the rest.

    Raises `InvalidSpec` when a file is no manifest at all.
    """
    return described(read_documents(path), os.environ)


def described(documents: Sequence[Document], environment: Mapping[str, str]) -> Manifest:
    """Return what documents describe together, and what is wrong with it."""
    expansion = expanded(documents, environment)
    given = in_our_words([entry.fields for entry in expansion.entries])
    places = {_name_in(entry.fields, entry.number): entry.place for entry in expansion.entries}
    entries = [replace(expansion.entries[number], fields=fields) for number, fields in given.entries.items()]
    read = [(entry, _read_entry(entry)) for entry in entries]
    twice = _twice(read)
    sound = [found for _, found in read if not found.broken and twice.keys().isdisjoint(found.names)]
    problems = (
        *expansion.problems,
        *(located(each, places) for each in given.problems),
        *(each for _, found in read for each in found.problems),
        *twice.values(),
    )
    broken = frozenset(name for _, found in read if found not in sound for name in found.broken | found.names)
    return Manifest(
        specs=tuple(spec for found in sound for spec in found.specs),
        project=expansion.project,
        problems=problems,
        broken=broken | given.broken,
        places={name: entry.place for entry, found in read for name in found.names if entry.place},
        notes=given.notes,
    )


@dataclass(frozen=True)
class _Described:
    """What one entry describes: an instance and its parts, all of them or none; `names` are those that it gives."""

    specs: tuple[AnySpec, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


def _twice(read: Sequence[tuple[Entry, _Described]]) -> dict[str, Problem]:
    """Return what is wrong with each name that several entries give, with where they stand; once for the same ones."""
    entries: dict[str, list[Entry]] = {}
    for entry, found in read:
        for name in found.names:
            entries.setdefault(name, []).append(entry)
    problems: dict[str, Problem] = {}
    told: list[list[Entry]] = []
    for name, several in sorted(entries.items(), key=lambda each: len(each[0])):  # an instance before its parts
        if several[1:] and several not in told:
            told.append(several)
            places = "; ".join(entry.place or entry.number for entry in several)
            text = f"{name}: {len(several)} instances have this name ({places}); names are unique: rename all but one"
            problems[name] = Problem(name, text)
    return problems


def _read_entry(entry: Entry) -> _Described:
    """Return what an entry describes, and what is wrong with it that is not told of already."""
    fields, numbered = entry.fields, entry.number
    if not isinstance(fields, dict):
        return _Described(problems=(_problem(numbered, f"{numbered}: is not a mapping but {shown(fields)}", entry),))
    whole, descriptions = _name_in(fields, numbered), tuple(_descriptions(fields))
    names = frozenset(_name_in(each.fields, numbered) for each in descriptions)
    given = names if whole != numbered else frozenset()
    if entry.problems:
        wrong = tuple(_problem(whole, problem_text(whole, *each), entry) for each in entry.problems)
        return _Described(problems=wrong, broken=names)
    specs: list[AnySpec] = []
    found: list[_Complaint] = []
    for each in descriptions:
        try:
            specs.append(spec_adapter.validate_python(each.fields))
        except ValidationError as error:
            name = _name_in(each.fields, numbered)
            found += (_Complaint(name, place, what, each) for place, what in spec_problems(error))
    own = entry.told | {each.place for each in found if each.decided_by is None}
    told_of = [each for each in found if each.decided_by not in own and each.entry_field not in entry.told]
    problems = tuple(_problem(whole, each.text, entry) for each in told_of)
    return _Described(tuple(specs), problems, names if found else frozenset(), given)


def _problem(instance: str, text: str, entry: Entry) -> Problem:
    return located(Problem(instance, text), {instance: entry.place})


def _name_in(fields: object, otherwise: str) -> str:
    name = fields.get("name") if isinstance(fields, Mapping) else None
    return name if isinstance(name, str) and name else otherwise


@dataclass(frozen=True)
class _Description:
    """The fields of one instance or part; `taken_over` has, by field, the one that decides on its value.

    What is wrong with such a value is told once, of the field that decides: if it is told there. `inside` is the
    field of the entry that describes it, if it is a part.
    """

    fields: dict[str, Any]
    taken_over: Mapping[str, str]
    inside: str | None = None


@dataclass(frozen=True)
class _Complaint:
    """What is wrong at a place of an instance or part."""

    name: str
    place: str
    what: str
    description: _Description

    @property
    def decided_by(self) -> str | None:
        """The field, if any, that its value came from."""
        return self.description.taken_over.get(self.place)

    @property
    def entry_field(self) -> str:
        """The field of the entry that the value is in."""
        return self.description.inside or self.place.partition(".")[0]

    @property
    def text(self) -> str:
        return problem_text(self.name, self.place, self.what)


def _descriptions(entry: Mapping[str, Any]) -> Iterator[_Description]:
    """Yield the parts that an entry describes in place or says nothing of, and then the entry, which names them."""
    common = {"project": entry["project"]} if entry.get("project") else {}
    type_ = entry.get("type")
    unsaid = DEFAULT_PARTS if isinstance(type_, str) and type_ in TYPES and TYPES[type_].parts else {}
    named, inside = dict(entry), dict[str, str]()
    for field, part_type in PARTS.items():
        if isinstance(part := entry.get(field, unsaid.get(field)), Mapping):
            name = part_name(str(entry.get("name")), part_type)
            taken_over = {each: each for each in ("name", *common) if each not in part or each == "name"}
            yield _Description({**common, **part, "name": name, "type": part_type}, taken_over, field)
            named[field] = name
            inside[field] = "name"
    yield _Description(named, inside)
