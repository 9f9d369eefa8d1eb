"""The project: a checkout, or the folder in which the wheel is used."""

from pathlib import Path

import pytest
import yaml

from prefect_optaic.stack import project as module
from prefect_optaic.stack.errors import ForeignPackages
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.project import Project
from prefect_optaic.stack.target import checkout


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project of a wheel, in a folder of its user."""
    folder = tmp_path / "research"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(module, "checkout", lambda: tmp_path / "site-packages")
    return Project.current()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


def test_a_checkout_deploys_its_own_file(home: Home, tmp_path: Path) -> None:
    project = Project.current()
    assert project == Project(checkout(), installed=False)
    assert project.deployments() == {"bootstrap", "sweep"}
    assert project.prefect_yaml(home) == checkout() / "prefect.yaml"
    assert project.works_in(str(checkout()), embedded=True)
    assert not project.works_in(str(tmp_path), embedded=True)


def test_a_wheel_deploys_the_same_from_modules(installed: Project, home: Home) -> None:
    assert installed == Project(Path.cwd(), installed=True)
    assert installed.deployments() == {"bootstrap", "sweep"}
    written = yaml.safe_load(installed.prefect_yaml(home).read_text())
    own = yaml.safe_load((checkout() / "prefect.yaml").read_text())
    assert written["pull"] == own["pull"]
    entrypoints = {"bootstrap": "flows.bootstrap.bootstrap", "sweep": "flows.sweep.sweep"}
    assert written["deployments"] == [each | {"entrypoint": entrypoints[each["name"]]} for each in own["deployments"]]


def test_a_wheels_deployments_stay_where_they_were_made_first(installed: Project, tmp_path: Path) -> None:
    assert installed.works_in(str(tmp_path), embedded=True)
    assert not installed.works_in(str(tmp_path / "moved"), embedded=True)
    assert installed.works_in("/opt/optaic", embedded=False)  # a folder of the machines of servers of one's own


def test_a_folder_with_packages_of_those_names_is_refused(installed: Project, home: Home) -> None:
    for name in ("flows", "blocks"):
        (installed.folder / name).mkdir()
    (installed.folder / "flows" / "own_flow.py").touch()
    installed.prefect_yaml(home)  # folders of scripts are found after the packages of the wheel

    (installed.folder / "blocks" / "__init__.py").touch()
    (installed.folder / "instances.py").touch()
    with pytest.raises(ForeignPackages) as caught:
        installed.prefect_yaml(home)
    assert str(caught.value) == (
        f"{installed.folder} has packages of its own named instances, blocks, which runs that work there would import "
        "instead of this project's: run `optaic up` in another folder."
    )
