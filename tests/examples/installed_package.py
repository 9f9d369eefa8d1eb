"""Packages of examples, as they are once they are installed."""

import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from definitions.registry import Registry, default_registry


@contextmanager
def installed(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Yield the registry as it is once a package is installed, in the way that `pip install -e` does it."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = tmp_path / f"optaic_{package.name}-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project["entry-points"]
    lines = [f"[{group}]\n{name} = {value}" for group, entries in groups.items() for name, value in entries.items()]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(package)
    monkeypatch.syspath_prepend(tmp_path)
    default_registry.cache_clear()
    yield default_registry()
    default_registry.cache_clear()
    sys.modules.pop(package.name, None)
