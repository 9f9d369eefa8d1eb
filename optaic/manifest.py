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
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from blocks.base import part_name
from instances.errors import InvalidSpec
from instances.specs import AnySpec, spec_adapter
from instances.types import PARTS

_KEYS = {"project", "instances"}


class _Loader(yaml.SafeLoader):
    """Loads plain YAML, and refuses a key that stands twice, of which YAML would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    "in a mapping", node.start_mark, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_manifest(path: Path) -> tuple[AnySpec, ...]:
    """Return the specs that a manifest describes, parts before the datasets that they belong to.

    Raises `InvalidSpec` with every problem of the file.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpec([f"the manifest {path} cannot be read: {error}"]) from error
    except yaml.YAMLError as error:
        raise InvalidSpec([f"the manifest {path} is not YAML: {error}"]) from error
    if not isinstance(content, dict) or not isinstance(content.get("instances"), list):
        raise InvalidSpec([f"the manifest {path} has no list `instances`: see examples/sp500/instances.yaml"])
    problems = [f"{path}: unknown key {key!r}; there are: project, instances" for key in sorted(content.keys() - _KEYS)]
    specs: list[AnySpec] = []
    for number, entry in enumerate(content["instances"], start=1):
        if not isinstance(entry, dict):
            problems.append(f"instance {number}: is not a mapping but {entry!r}")
            continue
        for described in _entries(entry, content.get("project")):
            try:
                specs.append(spec_adapter.validate_python(described))
            except ValidationError as error:
                problems.extend(_explain(described.get("name") or f"instance {number}", error))
    if problems:
        raise InvalidSpec(problems)
    return tuple(specs)


def _entries(entry: Mapping[str, Any], project: str | None) -> Iterator[dict[str, Any]]:
    """Yield the parts that an entry describes in place, and then the entry, which names them."""
    common = {"project": entry.get("project", project)} if entry.get("project", project) else {}
    named = dict(entry)
    for field, type_ in PARTS.items():
        if isinstance(part := entry.get(field), dict):
            name = part_name(str(entry.get("name")), type_)
            yield common | part | {"name": name, "type": type_}
            named[field] = name
    yield common | named


def _explain(name: str, error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_url=False):
        # The first place is the tag of the union: the type, which the name makes plain enough.
        place = ".".join(str(part) for part in item["loc"][1:]) or "type"
        yield f"{name}: {place}: {item['msg']} (got {item['input']!r})"
