"""The shape of the tree: a stranger finds the file for a change, and no name of ours hides another one."""

import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("research", "definitions", "instances", "blocks", "flows", "prefect_optaic")
SIDE_BY_SIDE = 12  # Python files in one folder at most
OFTEN = {"__init__.py", "errors.py"}  # names of files that each folder may have


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (ROOT / folder).rglob("*.py")


def test_the_floors_are_what_the_wheel_brings() -> None:
    assert set(FLOORS) == {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}


def test_nothing_in_flows_has_the_name_of_a_library() -> None:
    """A run of `flows/dataset.py:refresh` has that folder first on its path, before those of libraries."""
    first_on_the_path = {path.stem for path in (ROOT / "flows").iterdir() if path.suffix == ".py" or path.is_dir()}
    ours = first_on_the_path - {"__init__", "__pycache__"}
    assert "bootstrap" in ours
    assert ours & sys.stdlib_module_names == set()
    assert ours & packages_distributions().keys() == set()


def test_no_folder_has_more_files_than_one_sees_at_once() -> None:
    counts = Counter(str(file.parent.relative_to(ROOT)) for file in python_files(*FLOORS) if file.name != "__init__.py")
    assert {folder: count for folder, count in counts.items() if count > SIDE_BY_SIDE} == {}


def test_a_files_name_stands_once() -> None:
    names = Counter(file.name for file in python_files(*FLOORS) if file.name not in OFTEN)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    ("group", "value"),
    [
        ("console_scripts", "prefect_optaic.cli:main"),
        ("prefect.collections", "blocks"),
        ("optaic.definitions", "definitions.builtin:definitions"),
    ],
)
def test_an_entry_point_is_registered_once(group: str, value: str) -> None:
    """A distribution of the project's old name that was left behind would register each a second time."""
    assert [entry.value for entry in entry_points(group=group) if entry.value == value] == [value]
