"""The short name `optaic`: given where it is free, and never taken from anybody."""

import shutil
from pathlib import Path

import pytest

import prefect_optaic
from tests.packaging.wheels import Environment, made_wheel, platform_wheel, uv

OWN_ENTRY_POINTS = """
[console_scripts]
{command} = {package}.cli:main

[optaic.definitions]
builtin = definitions.builtin:definitions
"""
PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "0.1.0"

[project.scripts]
{name} = "{package}.cli:main"

[project.entry-points."optaic.definitions"]
builtin = "definitions.builtin:definitions"

[tool.setuptools]
packages = ["definitions", "{package}"]
"""
COUNT = "from importlib.metadata import entry_points as e; print([p.value for p in e(group='optaic.definitions')])"
ONCE = "['definitions.builtin:definitions']"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment.create(tmp_path / "env", dependencies=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that stands for this checkout: the module itself, a command line that says whose it is, definitions."""
    folder = tmp_path / "checkout"
    (folder / "definitions").mkdir(parents=True)
    (folder / "definitions" / "__init__.py").touch()
    package = folder / "prefect_optaic"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "cli.py").write_text("def main() -> None:\n    print('ours')\n")
    shutil.copy(Path(prefect_optaic.__file__).parent / "short_name.py", package)
    return folder


def install_editable(environment: Environment, checkout: Path, name: str, package: str) -> None:
    (checkout / "pyproject.toml").write_text(PYPROJECT.format(name=name, package=package))
    uv("pip", "install", "--no-deps", "--python", environment.python, "--editable", checkout)


def make_setup(environment: Environment, checkout: Path) -> str:
    """Do what the end of `make setup` does."""
    return environment.says("python", "-m", "prefect_optaic.short_name", cwd=checkout)


@pytest.fixture
def set_up(environment: Environment, checkout: Path, tmp_path: Path) -> Environment:
    """An environment with this project, as it is just before it gets its short name."""
    (environment.site / "checkout.pth").write_text(str(checkout))  # what an editable install comes to
    entry_points = OWN_ENTRY_POINTS.format(command="prefect-optaic", package="prefect_optaic")
    environment.install(made_wheel(tmp_path, "prefect-optaic", {}, entry_points))
    return environment


def test_the_short_name_is_given_once(set_up: Environment, checkout: Path) -> None:
    short = set_up.scripts / "optaic"
    assert make_setup(set_up, checkout) == f"{short} is short for prefect-optaic"
    assert set_up.says("optaic") == "ours"
    assert make_setup(set_up, checkout) == f"{short} is there"
    assert set_up.says("optaic") == "ours"


def test_a_platforms_command_and_distribution_stay(set_up: Environment, checkout: Path, tmp_path: Path) -> None:
    set_up.install(platform_wheel(tmp_path))
    assert make_setup(set_up, checkout) == f"{set_up.scripts / 'optaic'} belongs to optaic: write `prefect-optaic`"
    assert set_up.says("optaic") == "the platform"
    assert set_up.says("python", "-c", "import optaic; optaic.main()") == "the platform"
    assert set_up.says("prefect-optaic") == "ours"


def test_a_platform_that_is_developed_in_a_folder_of_its_own_stays(
    set_up: Environment, checkout: Path, tmp_path: Path
) -> None:
    platform = tmp_path / "platform"
    (platform / "optaic").mkdir(parents=True)
    (platform / "definitions").mkdir()
    (platform / "optaic" / "__init__.py").touch()
    (platform / "definitions" / "__init__.py").touch()
    (platform / "optaic" / "cli.py").write_text("def main() -> None:\n    print('the platform')\n")
    text = PYPROJECT.format(name="optaic", package="optaic").replace("definitions.builtin:", "optaic.cli:")
    (platform / "pyproject.toml").write_text(text)
    uv("pip", "install", "--no-deps", "--python", set_up.python, "--editable", platform)
    assert make_setup(set_up, checkout) == f"{set_up.scripts / 'optaic'} belongs to optaic: write `prefect-optaic`"
    assert set_up.says("optaic") == "the platform"


def test_a_command_that_no_distribution_knows_stays(set_up: Environment, checkout: Path) -> None:
    by_hand = set_up.scripts / "optaic"
    by_hand.write_text("#!/bin/sh\necho by hand\n")
    by_hand.chmod(0o755)
    assert make_setup(set_up, checkout) == f"{by_hand} belongs to somebody else: write `prefect-optaic`"
    assert set_up.says("optaic") == "by hand"


def test_the_old_name_of_this_very_checkout_goes(environment: Environment, checkout: Path) -> None:
    old = checkout / "optaic"
    old.mkdir()
    (old / "__init__.py").touch()
    (old / "cli.py").write_text("def main() -> None:\n    print('old')\n")
    install_editable(environment, checkout, "optaic", "optaic")
    assert environment.says("optaic") == "old"
    shutil.rmtree(old)
    install_editable(environment, checkout, "prefect-optaic", "prefect_optaic")
    assert environment.says("python", "-c", COUNT, cwd=checkout) != ONCE

    done = make_setup(environment, checkout)

    assert f"removed the distribution optaic, which was this project's old name, from {environment.site}" in done
    assert f"removed {checkout / 'optaic.egg-info'}, which was made under this project's old name" in done
    assert environment.says("optaic") == environment.says("prefect-optaic") == "ours"
    assert environment.says("python", "-c", COUNT, cwd=checkout) == ONCE


def old_wheel(folder: Path, *more: str) -> Path:
    packages = ("research", "definitions", "instances", "blocks", "flows", "optaic")
    files = {f"{package}/__init__.py": "" for package in packages} | {"optaic/cli.py": "def main(): print('old')\n"}
    return made_wheel(
        folder, "optaic", files | dict.fromkeys(more, ""), OWN_ENTRY_POINTS.format(command="optaic", package="optaic")
    )


def test_a_wheel_of_the_old_name_goes(set_up: Environment, checkout: Path, tmp_path: Path) -> None:
    set_up.install(old_wheel(tmp_path))
    assert set_up.says("optaic") == "old"
    assert "removed the distribution optaic" in make_setup(set_up, checkout)
    assert set_up.says("optaic") == "ours"
    assert not (set_up.site / "flows").exists()
    assert set_up.says("python", "-c", COUNT, cwd=checkout) == ONCE


def test_a_platform_that_has_taken_our_packages_in_stays(set_up: Environment, checkout: Path, tmp_path: Path) -> None:
    set_up.install(old_wheel(tmp_path, "platform_pages/__init__.py"))
    assert "belongs to optaic" in make_setup(set_up, checkout)
    assert (set_up.site / "platform_pages").exists()


def test_a_command_of_another_distribution_outlives_the_old_name(
    set_up: Environment, checkout: Path, tmp_path: Path
) -> None:
    set_up.install(old_wheel(tmp_path))
    code = {"another/__init__.py": "def main(): print('another')\n"}
    set_up.install(made_wheel(tmp_path, "another", code, "[console_scripts]\noptaic = another:main\n"))
    done = make_setup(set_up, checkout)
    assert "removed the distribution optaic" in done
    assert "belongs to another: write `prefect-optaic`" in done
    assert set_up.says("optaic") == "another"


def test_beside_a_wheel_of_the_new_name_nothing_is_removed(environment: Environment, tmp_path: Path) -> None:
    environment.install(old_wheel(tmp_path))
    package = environment.site / "prefect_optaic"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(Path(prefect_optaic.__file__).parent / "short_name.py", package)
    assert "belongs to optaic" in make_setup(environment, environment.folder)
    assert (environment.site / "flows").exists()
