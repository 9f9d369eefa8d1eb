"""What manifests say in short, written out: defaults, lists of items, variables, folders of files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from definitions.registry import default_registry
from instances.errors import InvalidSpec
from instances.specification.resolution import resolve
from instances.specification.specs import AnySpec, DatasetSpec, RunnableSpec
from prefect_optaic.manifest import Manifest, described, look_through, read_manifest
from prefect_optaic.manifests.manifest_files import Document

PRICES = {"name": "prices", "type": "dataset", "pipeline_instance": {"definition": "sp500-sample"}}
PARTS = {"store_instance": {"definition": "delta"}, "accessor_instance": {"definition": "simple"}}
ENVIRONMENT = {"DATA": "/data", "EMPTY": "", "DB_PASSWORD": "x", "ADDRESS": "postgresql://me:pw@host/db"}


def read(*contents: str | Mapping[str, Any]) -> Manifest:
    """Return what manifests describe: of one file, or of several in one folder."""
    parsed = [yaml.safe_load(each) if isinstance(each, str) else dict(each) for each in contents]
    beside = len(parsed) > 1
    return described([Document(f"{chr(97 + n)}.yaml", each, beside) for n, each in enumerate(parsed)], ENVIRONMENT)


def specs(*contents: str | Mapping[str, Any]) -> dict[str, AnySpec]:
    found = read(*contents)
    assert found.problems == ()
    return {spec.name: spec for spec in found.specs}


def csv(config: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a manifest of one dataset."""
    entry = {"name": "x", "type": "dataset", "pipeline_instance": {"definition": "csv", "config": dict(config)}}
    return {"instances": [entry | fields]}


# What is not said


def test_a_dataset_that_says_nothing_of_store_and_accessor_is_the_one_that_says_delta_and_simple() -> None:
    said, unsaid = (
        resolve(list(specs({"instances": [PRICES | own]}).values()), default_registry()) for own in (PARTS, {})
    )
    assert said == unsaid
    assert [flow.config_hash for each in said for flow in each.flows] == [
        flow.config_hash for each in unsaid for flow in each.flows
    ]
    assert len([flow for each in said for flow in each.flows]) == 1


# Defaults


def test_what_is_said_for_all_and_by_type_comes_after_what_an_entry_says() -> None:
    found = specs(
        """
        project: lab
        defaults:
          on_stale: refresh
          store_instance: shared
          signal: {on_stale: warn, schedule: {type: interval, interval_minutes: 5}}
        instances:
          - {name: shared, type: store, definition: delta}
          - {name: a, type: dataset, pipeline_instance: {definition: csv}}
          - {name: b, type: signal, pipeline_instance: {definition: expression}, project: own}
          - {name: c, type: signal, pipeline_instance: {definition: expression}, on_stale: block, schedule: {}}
        """
    )
    datasets = {name: spec for name, spec in found.items() if isinstance(spec, DatasetSpec)}
    assert {n: (s.on_stale, s.schedule.type, s.store_instance, s.project) for n, s in datasets.items()} == {
        "a": ("refresh", "manual", "shared", "lab"),
        "b": ("warn", "interval", "shared", "own"),
        "c": ("block", "manual", "shared", "lab"),
    }
    assert found["b-pipeline"].project == "own"


@pytest.mark.parametrize(
    ("defaults", "problem"),
    [
        ("7", "a.yaml: defaults: must be a mapping of fields, not 7"),
        (
            "{on_stal: block}",
            "a.yaml: defaults.on_stal: is no field of any instance, and no type. Did you mean 'on_stale'?",
        ),
        ("{signal: 3}", "a.yaml: defaults.signal: must be a mapping of fields, not 3"),
        ("{store: {on_stale: block}}", "a.yaml: defaults.store.on_stale: is no field of stores."),
        ("{name: x}", "a.yaml: defaults.name: differs from instance to instance: say it there"),
        ("{on_stale: no}", "a.yaml: defaults.on_stale: must be one of 'block', 'refresh' or 'warn', not False"),
        ("{signal: {schedule: {timezone: 3}}}", "a.yaml: defaults.signal.schedule.timezone: must be text, not 3"),
        ("{store_instance: {definition: 3}}", "a.yaml: defaults.store_instance.definition: must be text, not 3"),
    ],
)
def test_a_wrong_default_is_told_once_whether_it_is_used_or_not(defaults: str, problem: str) -> None:
    entries = [PRICES, PRICES | {"name": "more", "type": "signal"}]
    for instances in (entries, []):
        found = read({"defaults": yaml.safe_load(defaults), "instances": instances})
        assert found.problems == (problem,)


# One instance for each item


def test_a_template_makes_one_instance_for_each_item() -> None:
    found = specs(
        """
        instances:
          - for_each: [5, 20]
            name: mean-${item}
            type: signal
            concurrency: ${item}
            pipeline_instance: {definition: expression, config: {expression: "MEAN(close, ${item})"}}
        """
    )
    assert [name for name, spec in found.items() if spec.type == "signal"] == ["mean-5", "mean-20"]
    assert found["mean-20-pipeline"].model_dump()["config"] == {"expression": "MEAN(close, 20)"}
    assert isinstance(found["mean-20"], RunnableSpec)
    assert found["mean-20"].concurrency == 20


def test_several_lists_give_each_combination_and_items_may_have_fields() -> None:
    found = specs(
        """
        instances:
          - for_each: {of: [{name: a, path: x.csv}, {name: b, path: y.csv}], days: [1, 2]}
            name: ${item.of.name}-${item.days}
            type: pipeline
            definition: csv
            config: {path: "${item.of.path}", plain: "$${item}"}
        """
    )
    assert list(found) == ["a-1", "a-2", "b-1", "b-2"]
    assert found["b-1"].model_dump()["config"] == {"path": "y.csv", "plain": "${item}"}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("for_each: 5", "s-${item}: for_each: must be a list of items, or a mapping of such lists, not 5 (instance 1)"),
        (
            "for_each: []",
            "s-${item}: for_each: has an empty list, so it describes no instance: give it items, or take the entry out "
            "(instance 1)",
        ),
        (
            "for_each: [1], description: '${item.days}'",
            "s-1: description: the item of '${item.days}' has no 'days'; it is 1 (instance 1, item 1: 1)",
        ),
        (
            "for_each: [{days: 1}], description: '${item.day}'",
            "s-${item}: name: '${item}' is {'days': 1}, which can't stand inside a text: name a word or a number in it",
        ),
        (
            "for_each: [1], protect: 3",
            "s-1: protect: must be true or false, not 3 (instance 1, item 1: 1)",
        ),
        ("description: a", "s-${item}: name: '${item}' is for entries with `for_each`: give this one a list"),
        ("for_each: [1], description: '${day}'", "s-1: description: '${day}' refers to nothing: there are ${item} and"),
        ("for_each: [1], description: 'a ${item'", "s-1: description: '${item' has no end: close it with }"),
    ],
)
def test_what_is_wrong_with_a_template_says_the_entry_and_the_item(fields: str, problem: str) -> None:
    entry = "{name: 's-${item}', type: store, definition: delta, FIELDS}".replace("FIELDS", fields)
    found = read(f"instances: [{entry}]")
    assert any(each.startswith(problem) for each in found.problems), found.problems
    assert found.specs == ()
    assert found.broken


def test_a_template_whose_name_says_nothing_of_the_item_is_told_once() -> None:
    found = read("instances: [{for_each: [1, 2], name: s, type: store, definition: delta}]")
    assert found.problems == (
        "s: name: must hold ${item}, or the 2 instances of for_each all have one name (instance 1)",
    )


def test_items_that_give_one_name_are_both_named() -> None:
    found = read("instances: [{for_each: [1, 2, 1], name: 's-${item}', type: store, definition: delta}]")
    assert found.problems == (
        "s-1: 2 instances have this name (instance 1, item 1: 1; instance 1, item 3: 1); names are unique: rename all "
        "but one",
    )
    assert [spec.name for spec in found.specs] == ["s-2"]


# The environment


def test_a_variable_says_a_path_or_a_host() -> None:
    found = specs(csv({"path": "${env:DATA}/prices.csv"}, job_variables={"env": {"ROOT": "${env:DATA}"}}))
    assert found["x-pipeline"].model_dump()["config"] == {"path": "/data/prices.csv"}
    assert found["x"].model_dump()["job_variables"] == {"env": {"ROOT": "/data"}}


SECRET = "would write a secret into a config, which everybody can read: keep it in a Secret block, and name that block"


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (
            csv({"path": "${env:NOWHERE}"}),
            "the environment variable NOWHERE is not set, where this command runs: set it",
        ),
        (csv({"path": "${env:EMPTY}"}), "the environment variable EMPTY is not set, where this command runs: set it"),
        (csv({"path": "${env:DB_PASSWORD}"}), f"'${{env:DB_PASSWORD}}' {SECRET}"),
        (csv({"api_key": "${env:DATA}"}), f"'${{env:DATA}}' {SECRET}"),
        (csv({"url": "${env:ADDRESS}"}), f"'${{env:ADDRESS}}' {SECRET}"),
        (csv({"url": "postgresql://me:${env:DATA}@host/db"}), f"'postgresql://me:${{env:DATA}}@host/db' {SECRET}"),
        (csv({}, description="${env:DATA}"), "${env:DATA} is for paths and hosts, in `config` and `job_variables`"),
    ],
)
def test_a_variable_that_is_not_set_or_a_secret_is_refused(manifest: dict[str, Any], problem: str) -> None:
    (told,) = read(manifest).problems
    assert told.startswith("x: ")
    assert problem in told
    assert "pw" not in told.replace(SECRET, "")


# Folders


def test_a_file_that_says_no_project_has_that_of_the_others_and_defaults_go_for_all() -> None:
    found = read({"project": "lab", "defaults": {"protect": True}}, {"instances": [PRICES]})
    assert {(spec.project, spec.protect) for spec in found.specs if spec.type == "dataset"} == {("lab", True)}
    assert (found.project, found.problems) == ("lab", ())


def test_files_of_several_projects_each_have_their_own_and_one_that_says_none_is_refused() -> None:
    other = PRICES | {"name": "other"}
    files = ({"project": "lab", "instances": [PRICES]}, {"project": "own", "instances": [other]})
    assert {name: spec.project for name, spec in specs(*files).items() if spec.type == "dataset"} == {
        "prices": "lab",
        "other": "own",
    }
    found = read(*files, {"instances": [PRICES | {"name": "third"}]})
    assert found.problems == ("c.yaml: project: a.yaml says 'lab' and b.yaml says 'own': say here which it is",)


def test_a_name_in_two_files_names_both() -> None:
    found = read({"instances": [PRICES]}, {"instances": [PRICES | {"name": "a"}, PRICES]})
    assert found.problems == (
        "prices: 2 instances have this name (a.yaml, instance 1; b.yaml, instance 2); "
        "names are unique: rename all but one",
    )
    assert {spec.name for spec in found.specs} == {"a", "a-pipeline", "a-store", "a-accessor"}
    assert found.broken >= {"prices"}


def test_what_is_wrong_in_a_folder_says_the_file() -> None:
    found = read({"instances": [PRICES]}, {"instances": [PRICES | {"name": "a", "on_stale": "no"}, 3]})
    assert found.problems == (
        "a: on_stale: must be one of 'block', 'refresh' or 'warn', not 'no' (b.yaml, instance 1)",
        "instance 2: is not a mapping but 3 (b.yaml, instance 2)",
    )


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


ONE = "instances: [{name: NAME, type: store, definition: delta}]"


def test_all_yaml_files_of_a_folder_are_read_sorted_and_those_of_the_folders_in_it(tmp_path: Path) -> None:
    files = {"b.yaml": "b", "a.yml": "a", "c/d.yaml": "d", ".hidden.yaml": "h", ".git/e.yaml": "e", "f.txt": "f"}
    write(tmp_path, {name: ONE.replace("NAME", stands_for) for name, stands_for in files.items()})
    write(tmp_path, {"0.yaml": "project: lab"})
    assert [(spec.name, spec.project) for spec in read_manifest(tmp_path)] == [("a", "lab"), ("b", "lab"), ("d", "lab")]


def test_files_of_a_folder_that_are_no_manifests_are_all_told(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": ONE, "b.yaml": "instances: [", "c.yaml": "services: {}"})
    with pytest.raises(InvalidSpec) as raised:
        look_through(tmp_path)
    first, second = raised.value.problems
    assert first.startswith(f"the manifest {tmp_path}/b.yaml is not YAML, line ")
    assert second == f"the manifest {tmp_path}/c.yaml has no list `instances`: see examples/sp500/instances.yaml"


def test_a_folder_without_a_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"the folder .* has no YAML file \(.yaml or .yml\) in it"):
        look_through(tmp_path)
