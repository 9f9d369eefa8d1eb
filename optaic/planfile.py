"""Plan files: what `optaic plan --out` keeps and `optaic apply PLAN` carries out, if the world is still the same."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instances.errors import InvalidSpec, OptaicError
from instances.specs import spec_adapter

if TYPE_CHECKING:
    from flows.planning import Planned, Scope

_FORMAT = "optaic-plan-1"


class WorldChanged(OptaicError):
    """A kept plan that is not what would be planned now."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the world has changed since the plan {path} was made: it would do something else now. "
            "Nothing was written. Make a new plan, and read it."
        )


def is_plan(path: Path) -> bool:
    """Say whether a file is a kept plan, not a manifest."""
    return path.suffix == ".json" and _read(path).get("format") == _FORMAT


def write_plan(path: Path, scope: "Scope", planned: "Planned") -> None:
    """Keep what a plan was asked for, and the digest of what it would do."""
    content = {
        "format": _FORMAT,
        "digest": planned.plan.digest,
        "summary": planned.plan.summary,
        "prune": scope.prune,
        "destroy": list(scope.destroy),
        "manifest": [spec.model_dump(mode="json") for spec in scope.manifest],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_scope(path: Path) -> "Scope":
    """Return what a kept plan was asked for."""
    from flows.planning import Scope

    content = _read(path)
    manifest = tuple(spec_adapter.validate_python(spec) for spec in content["manifest"])
    return Scope(manifest, content["prune"], tuple(content["destroy"]))


def check_same(path: Path, planned: "Planned") -> None:
    """Raise `WorldChanged` unless the plan of now does the same as the kept one."""
    if _read(path)["digest"] != planned.plan.digest:
        raise WorldChanged(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSpec([f"the plan {path} cannot be read: {error}"]) from error
    if not isinstance(content, dict):
        raise InvalidSpec([f"{path} is not a plan: make one with `optaic plan --out {path}`"])
    return content
