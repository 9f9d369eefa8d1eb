"""Manifests with one thing wrong in each: whatever is left out is told of, and of what is described no half is left."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from definitions.registry import default_registry
from flows.planning.held_back import held_with, named_in, of_the_whole, sound
from instances.specification.resolution import resolution
from instances.specification.specs import RunnableSpec
from instances.specification.types import PARTS, TYPES, type_of
from prefect_optaic.manifest import Manifest, look_through, read_manifest
from tests.properties import examples

ROOT = Path(__file__).resolve().parents[2]
GOOD: dict[str, Any] = yaml.safe_load((ROOT / "examples/sp500/instances.yaml").read_text())
WRONG: list[Any] = [None, "", "Wrong!", "a/b", "a\0b", "x" * 200, -1, 0, 10**30, 1e400, True, [], ["a"], {}, {"a": 1}]

Path_ = tuple[Any, ...]


def places(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Yield the place of everything in the list of instances."""
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*at, key))


PLACES = list(places(GOOD["instances"]))


def changed(place: Path_, act: str, value: Any) -> dict[str, Any]:
    manifest = copy.deepcopy(GOOD)
    holder: Any = manifest["instances"]
    for key in place[:-1]:
        holder = holder[key]
    if act == "remove":
        del holder[place[-1]]
    elif act == "add" and isinstance(holder[place[-1]], dict):
        holder[place[-1]]["no_such_field"] = value
    else:
        holder[place[-1]] = value
    return manifest


def seen(folder: Path, manifest: dict[str, Any]) -> Manifest:
    """Return what can be read of a manifest in a file."""
    file = folder / "instances.yaml"
    file.write_text(yaml.safe_dump(manifest))
    return look_through(file)


def described_names(manifest: dict[str, Any]) -> list[set[str]]:
    """Return for each entry the names that stand in it or are derived from it."""
    return [
        {str(entry["name"]), *(f"{entry['name']}-{of}" for at, of in PARTS.items() if isinstance(entry.get(at), dict))}
        if isinstance(entry, dict) and isinstance(entry.get("name"), str) and entry["name"]
        else {f"instance {number}"}
        for number, entry in enumerate(manifest["instances"], start=1)
    ]


@examples(300)
@given(st.sampled_from(PLACES), st.sampled_from(["replace", "remove", "add"]), st.sampled_from(WRONG))
def test_what_can_not_be_read_is_told_of_and_nothing_of_it_is_left(
    tmp_path_factory: pytest.TempPathFactory, place: Path_, act: str, value: Any
) -> None:
    manifest = changed(place, act, value)
    found = seen(tmp_path_factory.mktemp("manifests"), manifest)
    there, told = {spec.name for spec in found.specs}, "\n".join(found.problems)
    for number, names in enumerate(described_names(manifest), start=1):
        whole = names <= there
        left_out = not names & there
        assert whole or left_out, (number, names, there)
        if left_out:
            starts = tuple(f"{each[:60]}" for each in names | {f"instance {number}"})
            assert any(problem.startswith(starts) for problem in found.problems), told
    assert not found.broken & there
    assert bool(found.broken) <= bool(found.problems)
    assert all(len(problem) < 500 for problem in found.problems)


@examples(150)
@given(st.sampled_from(PLACES), st.sampled_from(["replace", "remove", "add"]), st.sampled_from(WRONG))
def test_whatever_a_plan_leaves_out_it_names_and_no_reader_of_it_is_planned(
    tmp_path_factory: pytest.TempPathFactory, place: Path_, act: str, value: Any
) -> None:
    manifest = changed(place, act, value)
    found = seen(tmp_path_factory.mktemp("manifests"), manifest)
    resolved = resolution(found.specs, default_registry(), broken=found.broken)
    wrong = [*found.problems, *resolved.problems]
    planned = {each.spec.name: each.spec for each in sound(resolved.instances, found.specs, named_in(wrong), ())}
    told = named_in(wrong) | set(held_with(found.specs, planned, wrong))
    assert not of_the_whole(wrong)
    for number, names in enumerate(described_names(manifest), start=1):
        left_out = names - planned.keys()
        assert not left_out or (names | {f"instance {number}"}) & told, (number, names, told)
        assert not left_out or left_out == names, (left_out, names)
    for spec in planned.values():
        reads = [ref.instance for ref in spec.references()] if isinstance(spec, RunnableSpec) else []
        assert {*reads, *(getattr(spec, part) for part in type_of(spec).parts)} <= planned.keys()


@pytest.mark.parametrize("letters", [1, 54, 55, 62, 63])
@pytest.mark.parametrize("type_", ["dataset", "signal"])
def test_a_name_of_up_to_63_letters_has_room_for_the_names_of_its_parts(
    tmp_path: Path, letters: int, type_: str
) -> None:
    """Of 55 to 63 letters nothing was made of it, with exit code 0: the names of its parts were too long."""
    name = "n" * letters
    file = tmp_path / "instances.yaml"
    file.write_text(yaml.safe_dump({"instances": [a_dataset(name, type_)]}))
    assert [spec.name for spec in read_manifest(file)] == [*(f"{name}-{part}" for part in PARTS.values()), name]


def a_dataset(name: str, type_: str = "dataset") -> dict[str, Any]:
    definitions = {"pipeline_instance": "sp500-sample", "store_instance": "delta", "accessor_instance": "simple"}
    return {"name": name, "type": type_, **{at: {"definition": of} for at, of in definitions.items()}}


@pytest.mark.parametrize("type_", sorted(TYPES))
def test_a_longer_name_is_told_of_once(tmp_path: Path, type_: str) -> None:
    file = tmp_path / "instances.yaml"
    entry = a_dataset("n" * 64, type_) if type_ in {"dataset", "signal"} else {"name": "n" * 64, "type": type_}
    file.write_text(yaml.safe_dump({"instances": [entry]}))
    found = look_through(file)
    (problem,) = [each for each in found.problems if ": name: " in each]
    assert "63 at most" in problem
    assert not found.specs
