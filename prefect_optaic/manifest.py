"""Manifest: a YAML file that describes instances.

    project: sp500                      # the default for all instances of the file
    instances:
      - name: prices
        type: dataset
        pipeline_instance: {definition: sp500-sample}
        store_instance: {definition: delta}
        accessor_instance: {definition: simple}

A part is either described in place, or named: then it is an instance of the same file or of the server.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from instances.errors import InvalidSpec, Problem
from instances.specification.spec_errors import problem_text, spec_problems
from instances.specification.specs import AnySpec, spec_adapter
from instances.specification.types import PARTS, part_name
from instances.specification.values import PrefectName
from research.errors import shown

_KEYS = {"project", "instances"}
_project_name: TypeAdapter[str] = TypeAdapter(PrefectName)


class _Loader(yaml.SafeLoader):
    """Loads plain YAML, and refuses a key that stands twice, of which YAML would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    "in a mapping", node.start_mark, "a key must be a word", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    "in a mapping", node.start_mark, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Manifest:
    """What a file describes: its specs, parts before what they belong to, as far as they can be read.

    `project` is the one that the file names for all. `problems` tells what is wrong, and `broken` names the
    instances that are described in such a way, with the parts that are described inside them.
    """

    specs: tuple[AnySpec, ...]
    project: str | None
    problems: tuple[str, ...]
    broken: frozenset[str]


def read_manifest(path: Path) -> tuple[AnySpec, ...]:
    """Return the specs that a manifest describes, parts before the datasets that they belong to.

    Raises `InvalidSpec` with every problem of the file.
    """
    manifest = look_through(path)
    if manifest.problems:
        raise InvalidSpec(manifest.problems)
    return manifest.specs


def look_through(path: Path) -> Manifest:
    """Return what can be read of a manifest, and what is wrong with the rest.

    Raises `InvalidSpec` when it is no manifest at all.
    """
    content = _content(path)
    problems = [
        f"{path}: unknown key {shown(key)}; there are: project, instances" for key in content if key not in _KEYS
    ]
    project, complaint = _project(content.get("project"))
    problems += [f"{path}: {complaint}"] if complaint else []
    specs: list[AnySpec] = []
    broken: set[str] = set()
    for number, entry in enumerate(content["instances"], start=1):
        read = _read_entry(entry, number, project, told={"project"} if complaint else set())
        problems += read.problems
        specs += () if read.problems or read.broken else read.specs
        broken |= read.broken
    return Manifest(tuple(specs), project, tuple(problems), frozenset(broken))


@dataclass(frozen=True)
class _Entry:
    """What one entry of the list describes: an instance and its parts, all of them or none."""

    specs: tuple[AnySpec, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: frozenset[str] = frozenset()


def _read_entry(entry: object, number: int, project: str | None, *, told: set[str]) -> _Entry:
    """Return what an entry describes; `told` are the fields whose values the file has for all, and that are told of."""
    numbered = f"instance {number}"
    if not isinstance(entry, dict):
        return _Entry(problems=(Problem(numbered, f"{numbered}: is not a mapping but {shown(entry)}"),))
    descriptions = tuple(_entries(entry, project))
    specs: list[AnySpec] = []
    found: list[_Complaint] = []
    for described in descriptions:
        name = _name_in(described.fields, numbered)
        try:
            specs.append(spec_adapter.validate_python(described.fields))
        except ValidationError as error:
            found += (
                _Complaint(name, place, what, taken_over=described.taken_over.get(place))
                for place, what in spec_problems(error)
            )
    own = told | {each.place for each in found if each.taken_over is None}
    told_of = [each for each in found if each.taken_over not in own]
    whole = _name_in(entry, numbered)
    problems = tuple(Problem(whole, each.text) for each in told_of)
    names = {_name_in(described.fields, numbered) for described in descriptions}
    return _Entry(tuple(specs), problems, frozenset(names if found else ()))


def _name_in(fields: Mapping[str, Any], otherwise: str) -> str:
    name = fields.get("name")
    return name if isinstance(name, str) and name else otherwise


@dataclass(frozen=True)
class _Complaint:
    """What is wrong at a place of an instance or part; `taken_over` is the field, if any, that its value came from."""

    name: str
    place: str
    what: str
    taken_over: str | None

    @property
    def text(self) -> str:
        return problem_text(self.name, self.place, self.what)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpec([f"the manifest {path} cannot be read: {error}"]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidSpec([f"the manifest {path} is not YAML: {error}"]) from error
    if not isinstance(content, dict) or not isinstance(content.get("instances"), list):
        raise InvalidSpec([f"the manifest {path} has no list `instances`: see examples/sp500/instances.yaml"])
    return content


def _project(value: object) -> tuple[str | None, str | None]:
    """Return the project that a file names for all its instances, or what is wrong with it."""
    if value is None:
        return None, None
    try:
        return _project_name.validate_python(value), None
    except ValidationError as error:
        return None, f"project: {next(spec_problems(error))[1]}"


@dataclass(frozen=True)
class _Description:
    """The fields of one instance or part; `taken_over` has, by field, the one that decides on its value.

    What is wrong with such a value is told once, of the field that decides: if it is told there.
    """

    fields: dict[str, Any]
    taken_over: Mapping[str, str]


def _entries(entry: Mapping[str, Any], project: str | None) -> Iterator[_Description]:
    """Yield the parts that an entry describes in place, and then the entry, which names them."""
    common = {"project": entry.get("project", project)} if entry.get("project", project) else {}
    named, inside = dict(entry), dict[str, str]()
    for field, type_ in PARTS.items():
        if isinstance(part := entry.get(field), dict):
            name = part_name(str(entry.get("name")), type_)
            taken_over = {each: each for each in ("name", *common) if each not in part or each == "name"}
            yield _Description(common | part | {"name": name, "type": type_}, taken_over)
            named[field] = name
            inside[field] = "name"
    yield _Description(common | named, inside)
