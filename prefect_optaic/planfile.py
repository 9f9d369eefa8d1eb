"""Plan files: what `optaic plan --out` keeps and `optaic apply PLAN` carries out, if the world is still the same."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from instances.documents.spec_errors import problem_texts
from instances.errors import InvalidSpec, OptaicError, Problem
from instances.specification.specs import AnySpec

if TYPE_CHECKING:
    from flows.planning.changeset import Changeset
    from flows.planning.scope import Scope

_FORMAT = "optaic-plan-2"
_FAMILY = "optaic-plan-"


class WorldChanged(OptaicError):
    """A kept plan that is not what would be planned now."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the world has changed since the plan {path} was made: it would do something else now. "
            "Nothing was written. Make a new plan, and read it."
        )


class CannotWrite(OptaicError):
    """A file that can't be written."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written: {error.strerror or error}. Choose another file.")


class _SavedPlan(BaseModel):
    """What is in a plan file: what was asked for, and the digest of what it would do."""

    model_config = ConfigDict(extra="forbid")

    format: str
    digest: str
    summary: str
    prune: bool
    destroy: tuple[str, ...]
    data: bool
    project: str | None
    manifest: tuple[AnySpec, ...] | None
    problems: tuple[tuple[str, str], ...] = ()  # of what the manifest describes in a way that can't be read
    broken: frozenset[str] = frozenset()
    adopt: bool = False
    places: Mapping[str, str] = {}


def is_plan(path: Path) -> bool:
    """Say whether a file is a kept plan, not a manifest: by what is in it, whatever its name."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and str(content.get("format", "")).startswith(_FAMILY)


def write_plan(path: Path, scope: "Scope", changeset: "Changeset") -> None:
    """Keep what a plan was asked for, and the digest of what it would do. Raises `CannotWrite`."""
    kept = _SavedPlan(
        format=_FORMAT,
        digest=changeset.plan.digest,
        summary=changeset.plan.summary,
        prune=scope.prune,
        destroy=scope.destroy,
        data=scope.data,
        project=scope.project,
        manifest=scope.manifest,
        problems=tuple((problem.instance, problem) for problem in scope.problems if isinstance(problem, Problem)),
        broken=scope.broken,
        adopt=scope.adopt,
        places=scope.places,
    )
    write(path, (kept.model_dump_json(indent=2) + "\n").encode())


def write(path: Path, content: bytes) -> None:
    """Write a file. Raises `CannotWrite`."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise CannotWrite(path, error) from error


def read_scope(path: Path) -> "Scope":
    """Return what a kept plan was asked for. Raises `InvalidSpec`."""
    from flows.planning.scope import Scope

    kept = _read(path)
    problems = tuple(Problem(*each) for each in kept.problems)
    return Scope(
        manifest=kept.manifest,
        prune=kept.prune,
        destroy=kept.destroy,
        data=kept.data,
        project=kept.project,
        problems=problems,
        broken=kept.broken,
        adopt=kept.adopt,
        places=kept.places,
    )


def check_same(path: Path, changeset: "Changeset") -> None:
    """Raise `WorldChanged` unless the plan of now does the same as the kept one."""
    if _read(path).digest != changeset.plan.digest:
        raise WorldChanged(path)


def _read(path: Path) -> _SavedPlan:
    """Return what is in a plan file."""
    remedy = f"make a new plan with `optaic plan --out {path}`"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidSpec([f"the plan {path} cannot be read: {error}"]) from error
    if not isinstance(content, dict) or "format" not in content:
        raise InvalidSpec([f"{path} is not a plan: {remedy}"])
    if content["format"] != _FORMAT:
        raise InvalidSpec(
            [f"the plan {path} has the format {content['format']!r}, and this version reads {_FORMAT!r}: {remedy}"]
        )
    try:
        return _SavedPlan.model_validate(content)
    except ValidationError as error:
        raise InvalidSpec([f"the plan {path}: {each}; {remedy}" for each in problem_texts("", error)]) from error
