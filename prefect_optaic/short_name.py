"""The short name `optaic` of the command, where nobody else has it; `make setup` runs this.

The wheel installs `prefect-optaic` alone: two wheels that install one file overwrite each other, and a platform may
bring a distribution, a package and a command `optaic`.

This project's own distribution was named `optaic` too, once. One that was left behind tells every entry point a second
time, so it is removed; never somebody else's.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

import typer

COMMAND = "prefect-optaic"
SHORT = "optaic"

_OLD_NAME = "optaic"
_OLD_PACKAGES = frozenset({"research", "definitions", "instances", "blocks", "flows", "optaic"})
_OWN_DEFINITIONS = ("optaic.definitions", "definitions.builtin:definitions")


def main() -> None:
    """Remove what the old name has left in this environment and checkout, then give the short name."""
    site, scripts = Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("scripts"))
    for done in (*remove_old(site, scripts, Path(__file__).resolve().parents[1]), give(site, scripts)):
        typer.echo(done)


def give(site: Path, scripts: Path) -> str:
    """Make `optaic` a link to `prefect-optaic`, unless somebody else has that name; says what it did."""
    short = scripts / SHORT
    if short.is_symlink() and os.readlink(short) == COMMAND:
        return f"{short} is there"
    owners = _owners(site)
    if owners or os.path.lexists(short):
        return f"{short} belongs to {' and '.join(owners) or 'somebody else'}: write `{COMMAND}`"
    short.symlink_to(COMMAND)
    return f"{short} is short for {COMMAND}"


def remove_old(site: Path, scripts: Path, checkout: Path) -> Iterator[str]:
    """Remove the distribution of the old name from an environment and from a checkout; yields what it did."""
    if checkout == site:
        return  # a wheel of the new name, whose files would go too
    for found in distributions(name=_OLD_NAME, path=[str(site)]):
        if is_ours(found, checkout):
            others = [name for name in _owners(site) if name != _OLD_NAME]
            with _kept(scripts / SHORT) if others and (scripts / SHORT).exists() else nullcontext():
                _uninstall(scripts)
            yield f"removed the distribution {_OLD_NAME}, which was this project's old name, from {site}"
    left = checkout / f"{_OLD_NAME}.egg-info"
    if left.is_dir() and is_ours(Distribution.at(left), checkout):
        shutil.rmtree(left)
        yield f"removed {left}, which was made under this project's old name"


def is_ours(distribution: Distribution, checkout: Path) -> bool:
    """Was a distribution of the old name made of this checkout, or of our packages with our definitions?"""
    if _editable_folder(distribution) == checkout:
        return True
    packages = set((distribution.read_text("top_level.txt") or "").split())
    announced = {(entry.group, entry.value) for entry in distribution.entry_points}
    return packages <= _OLD_PACKAGES and _OWN_DEFINITIONS in announced


def _editable_folder(distribution: Distribution) -> Path | None:
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path)).resolve()


def _owners(site: Path) -> list[str]:
    """Return the names of the distributions that install a command `optaic`."""
    return [
        found.name
        for found in distributions(path=[str(site)])
        if any(entry.group == "console_scripts" and entry.name == SHORT for entry in found.entry_points)
    ]


@contextmanager
def _kept(script: Path) -> Iterator[None]:
    """Keep another distribution's command where an uninstall would remove the file of that name."""
    aside = script.with_name(f".{script.name}.kept")
    script.rename(aside)
    try:
        yield
    finally:
        aside.rename(script)


def _uninstall(scripts: Path) -> None:
    uv = shutil.which("uv", path=os.pathsep.join((str(scripts), os.environ.get("PATH", ""))))
    if uv is None:
        command = [sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", _OLD_NAME]
    else:
        command = [uv, "pip", "uninstall", "--quiet", "--python", sys.executable, _OLD_NAME]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
