"""Files of manifests: one YAML file, or all of a folder, as documents."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from instances.errors import InvalidSpec

_ENDINGS = (".yaml", ".yml")
_EXAMPLE = "see examples/sp500/instances.yaml"


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
class Document:
    """What one file says; `file` is its path as messages show it, and `beside` says whether others are read with it."""

    file: str
    content: dict[str, Any]
    beside: bool = False

    @property
    def instances(self) -> list[Any]:
        return list(self.content.get("instances", ()))


def read_documents(path: Path) -> tuple[Document, ...]:
    """Return what a file says, or all YAML files of a folder and of the folders in it, sorted by their paths.

    Files and folders whose names begin with a dot are passed over. Raises `InvalidSpec`, for all files together.
    """
    if not path.is_dir():
        return (_read(path, beside=False),)
    inside = sorted(each for each in path.rglob("*") if each.suffix in _ENDINGS and not _hidden(each, path))
    if not inside:
        raise InvalidSpec([f"the folder {path} has no YAML file ({' or '.join(_ENDINGS)}) in it"])
    documents: list[Document] = []
    problems: list[str] = []
    for file in inside:
        try:
            documents.append(_read(file, beside=True))
        except InvalidSpec as error:
            problems += error.problems
    if problems:
        raise InvalidSpec(problems)
    return tuple(documents)


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _where(error: Exception) -> str:
    """Return where a file is no YAML, and why, in one line where the parser knows the place."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return f": {error}"
    return f", line {mark.line + 1}, column {mark.column + 1}: {error.problem}"


def _read(file: Path, *, beside: bool) -> Document:
    """Return what a file says: a list of instances, or beside other files what goes for theirs."""
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidSpec([f"the manifest {file} cannot be read: {why}"]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidSpec([f"the manifest {file} is not YAML{_where(error)}"]) from error
    if isinstance(content, list):  # as the guide has its documents
        content = {"instances": content}
    common = (
        beside and isinstance(content, dict) and "instances" not in content and {"project", "defaults"} & set(content)
    )
    if not common and not (isinstance(content, dict) and isinstance(content.get("instances"), list)):
        raise InvalidSpec([f"the manifest {file} has no list `instances`: {_EXAMPLE}"])
    return Document(str(file), content, beside)
