"""The project: the folder in which runs work, and the `prefect.yaml` that says what is deployed there.

In a checkout it is the checkout. A wheel has no folder of its own to work in, so it is the current one, and the
wheel brings the file.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from prefect_optaic.stack.errors import ForeignPackages
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.target import checkout

_FILE = "prefect.yaml"
_SHIPPED = Path(__file__).parents[1] / "shipped" / _FILE
_PACKAGES = ("research", "definitions", "instances", "blocks", "flows", "prefect_optaic")
_HEAD = "# What `optaic up` has deployed. To change it, copy it into a folder, and run `prefect deploy --all` there.\n"


@dataclass(frozen=True)
class Project:
    """A folder, and whether its code is elsewhere: installed from a wheel."""

    folder: Path
    installed: bool

    @classmethod
    def current(cls) -> "Project":
        """Return the checkout that holds this code, or else the current folder."""
        if (checkout() / _FILE).is_file():
            return cls(checkout(), installed=False)
        return cls(Path.cwd(), installed=True)

    def deployments(self) -> set[str]:
        """Return the names of what is to be deployed."""
        return {str(each["name"]) for each in self._content().get("deployments") or []}

    def prefect_yaml(self, home: Home) -> Path:
        """Return the file to deploy from; that of a wheel is written to the home, and names modules, not files.

        Raises `ForeignPackages`.
        """
        if not self.installed:
            return self.folder / _FILE
        foreign = [name for name in _PACKAGES if _is_package(name, self.folder)]
        if foreign:
            raise ForeignPackages(self.folder, foreign)
        content, written = self._content(), home.root / _FILE
        for each in content["deployments"]:
            each["entrypoint"] = re.sub(r"\.py:", ".", each["entrypoint"]).replace("/", ".")
        written.write_text(_HEAD + yaml.safe_dump(content, sort_keys=False))
        return written

    def works_in(self, folder: str, *, embedded: bool) -> bool:
        """Does a deployment that works in this folder serve this project?

        A wheel's serves it wherever it was first deployed. Only the embedded stack knows when that folder has gone: it
        is of this machine.
        """
        if self.installed:
            return not embedded or Path(folder).is_dir()
        return folder == str(self.folder)

    def _content(self) -> dict[str, Any]:
        file = _SHIPPED if self.installed else self.folder / _FILE
        return (yaml.safe_load(file.read_text()) or {}) if file.exists() else {}


def _is_package(name: str, folder: Path) -> bool:
    """Is there something to import under this name? A folder of scripts alone comes after every package."""
    return (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists()
