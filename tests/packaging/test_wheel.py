"""The wheel: it brings all that runs need, works on its own, and leaves a platform's `optaic` alone."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.wheels import ROOT, Environment, built_wheel, platform_wheel

PACKAGES = ("research", "definitions", "instances", "blocks", "flows", "prefect_optaic")
MANIFEST = """
instances:
  - name: lab-prices
    type: dataset
    pipeline_instance:
      definition: csv
      config: {path: prices.csv, date: day, entity: ticker}
    store_instance: {definition: delta}
    accessor_instance: {definition: simple}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return platform_wheel(tmp_path_factory.mktemp("platform"))


def test_it_brings_every_file_of_every_package_and_nothing_else(wheel: Path) -> None:
    in_tree = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
        shipped = {name: archive.read(f"prefect_optaic/shipped/{name}") for name in ("prefect.yaml", "sp500.yaml")}
    assert in_wheel == in_tree
    assert "instances/storage/migrations/script.py.mako" in in_wheel
    assert shipped["prefect.yaml"] == (ROOT / "prefect.yaml").read_bytes()
    assert shipped["sp500.yaml"] == (ROOT / "examples" / "sp500" / "instances.yaml").read_bytes()


def ours_works(environment: Environment) -> None:
    assert re.fullmatch(r"prefect-optaic \d+\.\d+\.\d+", environment.says("prefect-optaic", "--version"))
    code = f"from importlib.util import find_spec; print(*(find_spec(name).origin for name in {PACKAGES}))"
    found = environment.says("python", "-c", code).split()
    assert found == [str(environment.site / name / "__init__.py") for name in PACKAGES]


def ours_is_gone(environment: Environment) -> None:
    assert not (environment.scripts / "prefect-optaic").exists()
    assert [name for name in PACKAGES if (environment.site / name).exists()] == []


def the_platform_works(environment: Environment) -> None:
    assert environment.says("optaic") == "the platform"
    assert environment.says("python", "-c", "import optaic; optaic.main()") == "the platform"


def the_platform_is_gone(environment: Environment) -> None:
    assert not (environment.scripts / "optaic").exists()
    assert not (environment.site / "optaic").exists()


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "the platform first"])
def test_it_shares_an_environment_with_a_platform(
    wheel: Path, platform: Path, tmp_path: Path, *, ours_first: bool
) -> None:
    environment = Environment.create(tmp_path / "env", dependencies=True)
    for each in (wheel, platform) if ours_first else (platform, wheel):
        environment.install(each)
    ours_works(environment)
    the_platform_works(environment)

    environment.uninstall("optaic")
    the_platform_is_gone(environment)
    ours_works(environment)

    environment.install(platform)
    ours_works(environment)
    the_platform_works(environment)

    environment.uninstall("prefect-optaic")
    ours_is_gone(environment)
    the_platform_works(environment)


def test_a_platform_takes_the_short_name_over_and_leaves_the_long_one(
    wheel: Path, platform: Path, tmp_path: Path
) -> None:
    environment = Environment.create(tmp_path / "env", dependencies=True)
    environment.install(wheel)
    (environment.scripts / "optaic").symlink_to("prefect-optaic")  # as docs/deploying.md says
    assert "Usage: optaic [OPTIONS] COMMAND" in environment.says("optaic", "--help")
    assert "Usage: prefect-optaic [OPTIONS] COMMAND" in environment.says("prefect-optaic", "--help")

    environment.install(platform)

    the_platform_works(environment)
    ours_works(environment)


@pytest.fixture
def installed(wheel: Path, servers_room: Path) -> Iterator[Environment]:
    environment = Environment.create(servers_room / "wheel", dependencies=True)
    environment.install(wheel)
    yield environment
    environment.run("prefect-optaic", "down", OPTAIC_HOME=str(servers_room / "wheel-home"))


@pytest.mark.integration
def test_a_stack_runs_from_it(installed: Environment, servers_room: Path, tmp_path: Path) -> None:
    home = servers_room / "wheel-home"

    def optaic(*arguments: str) -> str:
        done = installed.run("prefect-optaic", *arguments, cwd=tmp_path, OPTAIC_HOME=str(home))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "instances.yaml").write_text(MANIFEST)
    (tmp_path / "prices.csv").write_bytes((ROOT / "examples" / "csv" / "prices.csv").read_bytes())
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "dataset.py").write_text("raise RuntimeError('somebody else has a folder of scripts, too')")

    assert "bootstrap, sweep" in optaic("up")
    optaic("apply", "instances.yaml")
    assert "lab-prices.refresh Completed: v0, 129 rows" in optaic("run", "lab-prices")
    (line,) = json.loads(optaic("status", "--json"))
    assert (line["instance"], line["status"]) == ("lab-prices", "READY")
    assert "all there" in optaic("up")
    assert "stop postgres" in optaic("down")
