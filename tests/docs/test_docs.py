"""The documentation holds: links lead somewhere, commands exist, examples are valid, nothing is left out."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from pydantic import BaseModel

from definitions.contract import Definition, Kind
from definitions.operators.macro_definitions import macro_table
from definitions.registry import default_registry
from definitions.work.models.model_settings import DriftSettings, Promotion, Target, WalkForward
from definitions.work.portfolios.portfolio_settings import BacktestConfig, BacktestDates, OptimizationSettings
from flows.planning.resources.automations import common_automations, retraining_name
from flows.running.events import DRIFT_DETECTED, OVERDUE
from instances.rules.flow_status import FlowStatus
from instances.specification.fields import Assets, CalendarPolicy, Freshness, Signals, SignalSpec, Universe, UpstreamRef
from instances.specification.resolution import resolve
from instances.specification.schedules import RetryPolicy, Schedule
from instances.specification.types import TYPES
from instances.storage.handle_columns import HandleKind, handles_of
from instances.storage.tables import ROWS
from prefect_optaic.cli import app
from prefect_optaic.manifest import read_manifest
from research.expressions.operators import OPERATORS
from research.models.model_metrics import HIGHER_IS_BETTER
from research.portfolios.backtest_metrics import METRICS
from research.signals.column_statistics import Statistics
from tests.blocks.addresses import DOCS_URL, addresses

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BUILTIN = [one for one in default_registry().all() if one.factory.__module__.startswith("definitions.")]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def fenced(page: Path, language: str) -> list[str]:
    return [body for tag, body in FENCE.findall(page.read_text(encoding="utf-8")) if tag == language]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_words(page: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text(page)))


def leads_nowhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return not target.exists() or bool(anchor and anchor not in anchors(target))


@every_page
def test_its_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(prose(page)) if "://" not in link]
    assert [link for link in links if leads_nowhere(page, link)] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(text("README.md"))}
    assert set(PAGES) - {ROOT / "README.md"} <= linked


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert pictures
    assert [picture.name for picture in pictures if picture.stat().st_size > 150_000] == []


def test_the_blocks_lead_to_headings_that_exist() -> None:
    known = anchors(ROOT / "docs" / "instances.md")
    documented = [str(documentation) for _, documentation in addresses(DOCS_URL).values()]
    assert documented
    assert [address for address in documented if address.partition("/instances.md#")[2] not in known] == []


# Commands


def commands() -> set[str]:
    return set(getattr(typer.main.get_command(app), "commands"))  # noqa: B009  typer's own click has no types


@every_page
def test_the_commands_that_it_names_exist(page: Path) -> None:
    named = re.findall(
        r"(?:`|\$ |bin/|^|\()(?:prefect-)?optaic ([a-z]+)\b", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(named) <= commands()


def test_the_readme_names_every_command() -> None:
    assert {f"`optaic {name}" for name in commands()} <= set(re.findall(r"`optaic [a-z]+", text("README.md")))


@every_page
def test_the_make_targets_that_it_names_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= targets


# Examples


def manifests() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, body in enumerate(fenced(page, "yaml"), start=1):
            if isinstance(content := yaml.safe_load(body), dict) and "instances" in content:
                yield f"{page.name} {number}", body
    for path in (ROOT / "examples").rglob("*.yaml"):
        if path.parent.name != "own_definition":  # its definitions are of a package that is not installed
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in manifests()])
def test_manifests_describe_what_can_exist(body: str, tmp_path: Path) -> None:
    manifest = tmp_path / "instances.yaml"
    manifest.write_text(body, encoding="utf-8")
    assert resolve(read_manifest(manifest), default_registry())


def prefect_files() -> Iterator[tuple[str, Any]]:
    yield "prefect.yaml", yaml.safe_load(text("prefect.yaml"))
    for number, body in enumerate(fenced(ROOT / "docs" / "deploying.md", "yaml"), start=1):
        if "deployments" in (content := yaml.safe_load(body)):
            yield f"deploying.md {number}", content


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in prefect_files()])
def test_every_prefect_yaml_deploys_bootstrap_and_the_sweep(content: Any) -> None:
    deployments = {one["name"]: one for one in content["deployments"]}
    assert {name: one["entrypoint"] for name, one in deployments.items()} == {
        "bootstrap": "flows/bootstrap.py:bootstrap",
        "sweep": "flows/sweep.py:sweep",
    }
    for one in deployments.values():
        assert one["tags"] == ["optaic"]
        assert "concurrency_limit" not in one  # prefect.yaml says why
        (schedule,) = one["schedules"]
        assert schedule["slug"]
    assert content["pull"]


@every_page
def test_its_python_compiles(page: Path) -> None:
    for body in fenced(page, "python"):
        compile(body, page.name, "exec")


def test_the_definition_in_the_readme_is_the_example() -> None:
    example = text("examples/own_definition/own_definition.py") + text("examples/own_definition/pyproject.toml")
    shown = [body for body in fenced(ROOT / "README.md", "python") if "Definition(" in body]
    shown += fenced(ROOT / "README.md", "toml") + fenced(ROOT / "docs" / "definitions.md", "toml")
    assert len(shown) == 3
    assert [body for body in shown if body not in example] == []


def test_the_first_manifest_of_the_readme_is_part_of_the_example() -> None:
    shown = yaml.safe_load(fenced(ROOT / "README.md", "yaml")[0])
    example = {one["name"]: one for one in yaml.safe_load(text("examples/csv/instances.yaml"))["instances"]}
    for instance in shown["instances"]:
        assert example[instance["name"]].items() >= instance.items()


# Completeness


@pytest.mark.parametrize("definition", BUILTIN, ids=lambda one: one.ref)
def test_every_definition_is_documented_with_its_parameters(definition: Definition) -> None:
    words = code_words("docs/definitions.md")
    if definition.name in OPERATORS:
        missing = set(OPERATORS[definition.name].signature.split(" or ")) - words
    elif definition.kind is Kind.MACRO:
        macro = macro_table(default_registry())[definition.name]
        missing = {macro.signature, macro.line} - words
    else:
        assert definition.name in anchors(ROOT / "docs" / "definitions.md")
        missing = set(definition.parameters.model_fields) - words
    assert missing == set()


def test_every_field_of_an_instance_is_documented() -> None:
    words = {part for word in code_words("docs/instances.md") for part in re.split(r"\W+", word)}
    nested = (UpstreamRef, Schedule, RetryPolicy, Freshness, CalendarPolicy, SignalSpec, Assets, Signals, Universe)
    settings = (Target, WalkForward, Promotion, DriftSettings, BacktestDates, OptimizationSettings, BacktestConfig)
    described: list[type[BaseModel]] = [*(each.spec for each in TYPES.values()), *nested, *settings]
    assert {name for model in described for name in model.model_fields} - words == set()


def test_every_type_of_instance_is_documented_with_its_flows() -> None:
    page = text("docs/instances.md")
    rows = [set(re.findall(r"`([^`]+)`", line)) for line in page.splitlines() if line.startswith("|")]
    wanted = [{name, *flows} for name, flows in ((name, each.flows) for name, each in TYPES.items()) if flows]
    assert [one for one in wanted if one not in rows] == []


def test_every_handle_of_a_model_is_documented() -> None:
    deployments = {f"prefect_{flow}_deployment_id" for flow in ("training", "inference", "monitoring")}
    assert {*handles_of(ROWS["model"], HandleKind.OUTSIDE), *deployments} <= code_words("docs/instances.md")


def test_every_metric_is_documented() -> None:
    previewed = {each.name for each in fields(Statistics)}
    assert {*METRICS, *HIGHER_IS_BETTER, *previewed} <= code_words("docs/instances.md")


def test_every_event_and_automation_is_documented() -> None:
    words = code_words("docs/automations.md")
    assert {OVERDUE, DRIFT_DETECTED, retraining_name("NAME"), *common_automations()} <= words


def test_every_status_is_documented() -> None:
    assert {status.value for status in FlowStatus} <= code_words("docs/freshness.md")


def test_every_cap_is_explained() -> None:
    dependencies = re.findall(r'"([a-z\-]+)[^"]*<[^"]+"', text("pyproject.toml").partition("[project.opt")[0])
    page = text("docs/dependencies.md")
    assert [name for name in dependencies if f"`{name}" not in page] == []


def test_each_line_of_what_people_do_in_the_prefect_ui_is_held_by_a_test() -> None:
    page = (ROOT / "docs" / "freshness.md").read_text()
    section = page.partition("## What people do in the Prefect UI")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| What is done")]
    named = [re.findall(r"`(test_\w+)`", line) for line in lines]
    assert len(lines) >= 20
    assert all(len(tests) == 1 for tests in named), lines
    written = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert {test for (test,) in named} <= written
