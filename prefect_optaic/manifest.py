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

from instances.errors import InvalidSpec
from instances.specification.spec_errors import spec_problems
from instances.specification.specs import AnySpec, spec_adapter
from instances.specification.types import PARTS, part_name
from instances.specification.values import PrefectName

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
    instances that are described in such a way.
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
    problems = [f"{path}: unknown key {key!r}; there are: project, instances" for key in content if key not in _KEYS]
    project, complaint = _project(content.get("project"))
    problems += [f"{path}: {complaint}"] if complaint else []
    specs: list[AnySpec] = []
    broken: set[str] = set()
    for number, entry in enumerate(content["instances"], start=1):
        if not isinstance(entry, dict):
            problems.append(f"instance {number}: is not a mapping but {entry!r}")
            continue
        for described in _entries(entry, project):
            name = str(described.fields.get("name") or f"instance {number}")
            try:
                specs.append(spec_adapter.validate_python(described.fields))
            except ValidationError as error:
                broken.add(name)
                wrong = [(place, what) for place, what in spec_problems(error) if place not in described.taken_over]
                problems.extend(": ".join(filter(None, (name, place, what))) for place, what in wrong)
    return Manifest(tuple(specs), project, tuple(problems), frozenset(broken))


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
class _Descriptions:
    """The fields of one instance or part; what is wrong with those `taken_over` is reported elsewhere."""

    fields: dict[str, Any]
    taken_over: frozenset[str] = frozenset()


def _entries(entry: Mapping[str, Any], project: str | None) -> Iterator[_Descriptions]:
    """Yield the parts that an entry describes in place, and then the entry, which names them."""
    common = {"project": entry.get("project", project)} if entry.get("project", project) else {}
    named, inside = dict(entry), set[str]()
    for field, type_ in PARTS.items():
        if isinstance(part := entry.get(field), dict):
            name = part_name(str(entry.get("name")), type_)
            taken_over = frozenset({"name", *common} - ({"project"} & part.keys()))
            yield _Descriptions(common | part | {"name": name, "type": type_}, taken_over)
            named[field] = name
            inside.add(field)
    yield _Descriptions(common | named, frozenset(inside))
