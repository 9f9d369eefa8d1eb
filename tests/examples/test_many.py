"""The example of 200 signals: short, planned, applied and named; the same from Python."""

import runpy
from pathlib import Path

from definitions.registry import default_registry
from flows.planning.scope import Scope
from instances.specification.resolution import resolve
from instances.specification.specs import AnySpec
from prefect_optaic.from_python import apply, plan, scope_of
from prefect_optaic.manifest import read_manifest
from prefect_optaic.stack import Target
from prefect_optaic.stack.prepare import deploy_missing
from tests.prefect_optaic.command_line import done, optaic

FOLDER = Path(__file__).parents[2] / "examples" / "many"


def by_name(specs: tuple[AnySpec, ...] | None) -> dict[str, AnySpec]:
    return {spec.name: spec for spec in specs or ()}


def from_python() -> Scope:
    return scope_of(runpy.run_path(str(FOLDER / "many_signals.py"))["instances"](), project="many")


def test_thirty_lines_describe_200_signals_that_can_exist() -> None:
    assert len((FOLDER / "instances.yaml").read_text().splitlines()) <= 30
    instances = resolve(read_manifest(FOLDER / "instances.yaml"), default_registry())
    signals = [each.spec.name for each in instances if each.spec.type == "signal"]
    assert len(signals) == len(set(signals)) == 200
    assert {"change-2", "risk-252"} <= set(signals)


def test_python_describes_the_same() -> None:
    scope = from_python()
    assert scope.problems == ()
    assert by_name(scope.manifest) == by_name(read_manifest(FOLDER))


def test_python_says_what_is_wrong_with_each() -> None:
    instances = runpy.run_path(str(FOLDER / "many_signals.py"))["instances"]()
    scope = scope_of({"Wrong": instances["many-prices"], "trend-2": instances["trend-2"]}, project="many")
    (problem,) = scope.problems
    assert problem.startswith("Wrong: name: must be of lowercase letters, digits and dashes")
    assert scope.broken == {"Wrong"}
    assert "trend-2" in by_name(scope.manifest)


def test_they_are_planned_applied_and_named(stack: Target, tmp_path: Path) -> None:
    """All are planned; two windows of each are applied, by the command and then from Python."""
    days = [5, 20]
    deploy_missing(stack)
    planned = optaic("plan", FOLDER)
    assert planned.returncode == 2, planned.stderr
    assert all(f"+ block {name}: " in planned.stdout for name in ("many-prices", "change-2", "score-63", "risk-252"))
    text = (FOLDER / "instances.yaml").read_text()
    before, _, rest = text.partition("days: [")
    (tmp_path / "few.yaml").write_text(f"{before}days: {days}{rest.partition(']')[2]}")
    names = {
        "many-prices",
        *(f"{family}-{n}" for family in ("change", "trend", "place", "score", "risk") for n in days),
    }
    try:
        assert "applied" in done("apply", tmp_path)
        all_of_them = runpy.run_path(str(FOLDER / "many_signals.py"))["instances"]()
        few = {name: block for name, block in all_of_them.items() if name in names}
        again = plan(few, project="many")
        assert (again.changes, again.problems) == ((), ())
        few["trend-5"].description = "Another one."
        assert [step.label for step in apply(few, project="many").changes] == [
            "block trend-5",
            "instance trend-5",
            "deployment refresh/trend-5",
        ]
        assert plan(few, project="many").changes == ()
    finally:
        done("destroy", *sorted(names), "--yes")
