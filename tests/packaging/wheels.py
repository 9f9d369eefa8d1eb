"""Wheels and environments to throw away: what an installer does to a command, a package and a distribution."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]


def uv(*arguments: str | Path) -> None:
    """Run uv, that of the environment of these tests or any other."""
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("uv", path=os.pathsep.join((scripts, os.environ.get("PATH", ""))))
    assert found is not None, "this test needs uv: `python -m pip install uv`"
    done = subprocess.run([found, "--quiet", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def built_wheel(source: Path, folder: Path) -> Path:
    """Build the wheel of a project by way of its source distribution, which leaves no `build` in the project."""
    uv("build", "--out-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def made_wheel(folder: Path, name: str, files: Mapping[str, str], entry_points: str) -> Path:
    """Write a wheel of pure Python with these files; its packages are all top-level names among them."""
    information = f"{name.replace('-', '_')}-1.0.dist-info"
    contents = {
        **files,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": entry_points,
        f"{information}/top_level.txt": "".join(f"{top}\n" for top in dict.fromkeys(f.split("/")[0] for f in files)),
    }
    record = f"{information}/RECORD"
    wheel = folder / f"{information.removesuffix('.dist-info')}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in (contents | {record: "".join(f"{path},,\n" for path in [*contents, record])}).items():
            archive.writestr(path, text)
    return wheel


def platform_wheel(folder: Path) -> Path:
    """Write the wheel of a platform: distribution, package and command are all `optaic`, and it has definitions."""
    code = "def main() -> None:\n    print('the platform')\n\n\ndef definitions() -> list[object]:\n    return []\n"
    entry_points = "[console_scripts]\noptaic = optaic:main\n\n[optaic.definitions]\nplatform = optaic:definitions\n"
    return made_wheel(folder, "optaic", {"optaic/__init__.py": code}, entry_points)


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, *, dependencies: bool = False) -> "Environment":
        """Make an empty one; with `dependencies` it also finds the libraries of the environment of these tests."""
        uv("venv", "--python", sys.executable, folder)
        environment = cls(folder)
        if dependencies:
            # Of a folder that is named in a .pth file no .pth file is read: this checkout is not found through it.
            (environment.site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
        return environment

    @property
    def scripts(self) -> Path:
        return self.folder / "bin"

    @property
    def python(self) -> Path:
        return self.scripts / "python"

    @cached_property
    def site(self) -> Path:
        return Path(self.says("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))

    def install(self, *wheels: Path) -> None:
        uv("pip", "install", "--offline", "--no-deps", "--python", self.python, *wheels)

    def uninstall(self, name: str) -> None:
        uv("pip", "uninstall", "--python", self.python, name)

    def run(
        self, command: str, *arguments: str, cwd: Path | None = None, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run one of its commands, without what leads Python or Prefect of these tests elsewhere."""
        foreign = ("PREFECT_", "OPTAIC_", "PYTHON", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return subprocess.run(
            [self.scripts / command, *arguments],
            cwd=cwd or self.folder,
            env={**kept, "COLUMNS": "200", **variables},
            capture_output=True,
            text=True,
        )

    def says(self, command: str, *arguments: str, cwd: Path | None = None) -> str:
        """Return what one of its commands prints; it must succeed."""
        done = self.run(command, *arguments, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
