"""Manifests: what they describe, and what is wrong with them."""

from pathlib import Path

import pytest

from definitions.registry import default_registry
from instances.errors import InvalidSpec
from instances.specification.resolution import resolve
from prefect_optaic.manifest import look_through, read_manifest

ROOT = Path(__file__).resolve().parents[2]


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    file = tmp_path / "instances.yaml"
    file.write_text(text)
    with pytest.raises(InvalidSpec) as raised:
        read_manifest(file)
    return raised.value.problems


def test_the_example_describes_instances_and_their_parts() -> None:
    specs = read_manifest(ROOT / "examples/sp500/instances.yaml")
    instances = resolve(specs, default_registry())
    flows = [flow for instance in instances for flow in instance.flows]
    edges = {(edge.upstream[0], flow.instance) for flow in flows for edge in flow.edges}
    assert edges >= {("prices", "momentum"), ("prices", "reversal")}
    assert {spec.project for spec in specs} == {"sp500"}


def test_a_part_may_be_named_instead_of_described(tmp_path: Path) -> None:
    file = tmp_path / "instances.yaml"
    file.write_text(
        """
        instances:
          - {name: shared, type: store, definition: delta}
          - name: prices
            type: dataset
            pipeline_instance: {definition: sp500-sample}
            store_instance: shared
            accessor_instance: {definition: simple}
        """
    )
    assert [spec.name for spec in read_manifest(file)] == ["shared", "prices-pipeline", "prices-accessor", "prices"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"the manifest .*nowhere\.yaml cannot be read"):
        read_manifest(tmp_path / "nowhere.yaml")


def test_text_that_is_not_yaml_shows_the_place(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "instances: [\n")
    assert "is not YAML" in problem
    assert "line 2" in problem


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "instances:\n  - {name: z, name: q, type: store, definition: delta}\n")
    assert "the key 'name' stands twice" in problem
    assert "line 2" in problem


def test_a_file_without_instances_says_where_to_look(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "prices: {}\n")
    assert problem.endswith("has no list `instances`: see examples/sp500/instances.yaml")


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        owner: me
        instances:
          - prices
          - {name: Prices!, type: store, definition: delta}
          - {name: other, type: bag}
          - {name: third, type: store, definition: delta, colour: red}
        """,
    )
    assert len(found) == 5
    assert found[0].endswith("unknown key 'owner'; there are: project, defaults, instances")
    assert found[1] == "instance 1: is not a mapping but 'prices'"
    assert found[2] == (
        "Prices!: name: must be of lowercase letters, digits and dashes, 63 at most, and end in no dash, not 'Prices!'"
    )
    assert found[3].startswith("other: type: must be one of 'pipeline', 'store', 'accessor', 'dataset', 'signal'")
    assert found[3].endswith(", not 'bag'")
    assert found[4].startswith("third: colour: is not a field that there is; there are: config, definition, ")


def test_a_wrong_project_is_told_once(tmp_path: Path) -> None:
    dataset = "{pipeline_instance: {definition: csv}, store_instance: {definition: delta}, accessor_instance: "
    dataset += "{definition: simple}, type: dataset, "
    assert problems(tmp_path, f"project: a/b\ninstances: [{dataset} name: x}}, {dataset} name: y}}]") == (
        f"{tmp_path}/instances.yaml: project: a name can't hold '/': Prefect takes no / % & < >",
    )
    assert problems(tmp_path, f"project: lab\ninstances: [{dataset} name: x, project: 7}}, {dataset} name: Y}}]") == (
        "x: project: must be text, not 7",
        "Y: name: must be of lowercase letters, digits and dashes, 63 at most, and end in no dash, not 'Y'",
    )


def test_what_can_be_read_is_returned_with_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "instances.yaml"
    file.write_text(
        """
        project: lab
        instances:
          - {name: kept, type: store, definition: delta}
          - {name: broken, type: store, definition: [delta], protect: {a: b}}
        """
    )
    found = look_through(file)
    assert [(spec.name, spec.project) for spec in found.specs] == [("kept", "lab")]
    assert found.project == "lab"
    assert found.broken == {"broken"}
    assert found.problems == (
        "broken: protect: must be true or false, not a mapping",
        "broken: definition: must be text, not a list",
    )


def test_a_mapping_as_a_key_shows_the_place(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "instances:\n  - {name: x, ? {a: b} : c}\n")
    assert "is not YAML" in problem
    assert "a key must be a word" in problem
    assert "line 2" in problem
