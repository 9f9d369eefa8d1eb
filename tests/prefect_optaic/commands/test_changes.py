"""`optaic plan`, `apply`, `destroy` and `import`, as they are called and as they answer."""

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import get_client

from prefect_optaic.stack import Target
from prefect_optaic.stack.prepare import deploy_missing
from tests.prefect_optaic.command_line import done, optaic

MANIFEST = """
instances:
  - name: {prefix}-prices
    type: dataset
    description: {description}
    pipeline_instance: {{definition: csv, config: {{path: {path}}}}}
    store_instance: {{definition: delta}}
    accessor_instance: {{definition: simple}}
  - name: {prefix}-signal
    type: signal
    protect: {protect}
    pipeline_instance: {{definition: expression, config: {{expression: close}}}}
    store_instance: {{definition: delta}}
    accessor_instance: {{definition: simple}}
    upstream_refs: [{{instance: {prefix}-prices, max_age: 1h}}]
    schedule: {{type: interval, interval_minutes: 600000}}
"""


async def _pause_schedules() -> None:
    async with get_client() as client:
        for name in ("bootstrap/bootstrap", "sweep/sweep"):
            deployment = await client.read_deployment_by_name(name)
            for schedule in deployment.schedules:
                await client.update_deployment_schedule(deployment.id, schedule.id, active=False)


@pytest.fixture
def prefix(stack: Target) -> Iterator[str]:
    """A prefix of instances; they are destroyed at the end."""
    deploy_missing(stack)
    asyncio.run(_pause_schedules())  # the tests decide when they run
    chosen = f"c{uuid4().hex[:8]}"
    done("apply")  # what other tests have left is as bootstrap's own deployment says
    yield chosen
    optaic("destroy", f"{chosen}-signal", f"{chosen}-prices", "--yes")


def manifest(folder: Path, prefix: str, *, description: str = "Prices.", protect: bool = False) -> Path:
    (folder / "prices.csv").write_text("date,entity,close\n2024-01-02,A,1.0\n")
    path = folder / "instances.yaml"
    described = {"prefix": prefix, "description": description, "protect": str(protect).lower()}
    path.write_text(MANIFEST.format(path=folder / "prices.csv", **described))
    return path


def test_a_plan_tells_by_its_exit_code_whether_there_is_something_to_do(tmp_path: Path, prefix: str) -> None:
    path = manifest(tmp_path, prefix)
    first = optaic("plan", path)
    assert first.returncode == 2, first.stderr
    assert f"+ block {prefix}-prices" in first.stdout
    assert f"+ instance {prefix}-prices-pipeline" in first.stdout
    assert f"+ deployment refresh/{prefix}-signal" in first.stdout
    assert "12 to create, 0 to update, 0 to delete" in first.stdout

    applied = done("apply", path)
    assert "applied 12 changes" in applied
    assert optaic("plan", path).returncode == 0
    assert "0 to create, 0 to update, 0 to delete" in done("plan")

    changed = optaic("plan", manifest(tmp_path, prefix, description="Other prices."), "--json")
    assert changed.returncode == 2
    told = json.loads(changed.stdout)
    assert [(step["action"], step["kind"], step["name"]) for step in told["steps"]] == [
        ("update", "block", f"{prefix}-prices"),
        ("update", "instance", f"{prefix}-prices"),
        ("update", "deployment", f"refresh/{prefix}-prices"),
    ]
    assert told["steps"][0]["changes"] == [{"field": "description", "before": "Prices.", "after": "Other prices."}]
    shown = optaic("plan", tmp_path / "instances.yaml")
    assert f"~ block {prefix}-prices\n    description: Prices. -> Other prices.\n" in shown.stdout


def test_a_kept_plan_is_carried_out_once(tmp_path: Path, prefix: str) -> None:
    kept = tmp_path / "plan.json"
    assert optaic("plan", manifest(tmp_path, prefix), "--out", kept).returncode == 2
    manifest(tmp_path, prefix, description="Not in the plan.")
    assert "applied 12 changes" in done("apply", kept)
    again = optaic("apply", kept)
    assert again.returncode == 1
    assert again.stderr.startswith(f"error: the world has changed since the plan {kept} was made")
    assert optaic("plan").returncode == 0


def test_instances_are_destroyed_with_their_data_where_that_is_asked_for(
    tmp_path: Path, prefix: str, stack: Target
) -> None:
    done("apply", manifest(tmp_path, prefix, protect=True))
    done("run", f"{prefix}-prices")
    data = stack.home.root / "data" / f"{prefix}-prices"
    assert data.exists()

    refused = optaic("destroy", f"{prefix}-signal", f"{prefix}-prices", "--data")
    assert refused.returncode == 1
    assert f"{prefix}-signal: is protected; set protect to false and apply" in refused.stderr
    read = optaic("destroy", f"{prefix}-prices")
    assert f"{prefix}-prices: can't be deleted while {prefix}-signal reads it" in read.stderr
    neither = optaic("destroy")
    assert neither.returncode == 2
    assert "name the instances to delete, or say --all; not both." in neither.stderr
    assert data.exists()

    done("apply", manifest(tmp_path, prefix))
    done("destroy", f"{prefix}-signal")
    deleted = done("destroy", f"{prefix}-prices", "--data")
    assert f"- deployment refresh/{prefix}-prices" in deleted
    assert f"- block {prefix}-prices" in deleted
    assert not list(data.glob("**/*.parquet"))
    assert optaic("run", f"{prefix}-prices").stderr.startswith(f"error: there is no instance named '{prefix}-prices'")


def of_project(path: Path, project: str) -> Path:
    other = path.with_name(f"{project}.yaml")
    other.write_text(f"project: {project}\n{path.read_text()}")
    return other


def test_to_destroy_all_of_a_project_takes_a_word(tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done("apply", of_project(manifest(tmp_path, prefix), f"{prefix}-lab"))
    names = (f"{prefix}-signal", f"{prefix}-prices")
    refused = optaic("destroy", *names)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"error: this would delete 2 of 2 instances of the project '{prefix}-lab', so all that there is. "
        "If that is what you want, say --yes.\n"
    )
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    asked = optaic("destroy", *names)
    assert asked.returncode == 1
    assert f"- block {prefix}-prices" in asked.stdout
    assert "Do it? [y/N]:" in asked.stdout
    assert optaic("plan").returncode == 0  # nothing was deleted
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert "applied" in done("destroy", *names)
    assert optaic("run", names[1]).stderr.startswith(f"error: there is no instance named '{names[1]}'")


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


def test_an_instance_of_another_project_is_taken_over_when_that_is_asked_for(tmp_path: Path, prefix: str) -> None:
    path = manifest(tmp_path, prefix)
    done("apply", of_project(path, "one"))
    theirs = of_project(path, "two")
    for command in ("plan", "apply"):
        refused = optaic(command, theirs)
        assert refused.returncode == 1
        assert refused.stderr == "error: 2 problems, nothing was written:\n" + "".join(
            f"  - {prefix}-{name}: is the name of an instance of the project 'one', and names are unique; "
            "choose another name, or take that instance over with --adopt\n"
            for name in ("prices", "signal")
        )
    kept = tmp_path / "kept"
    assert optaic("plan", theirs, "--adopt", "--out", kept).returncode == 2
    assert "whether it takes instances over was said" in optaic("apply", kept, "--adopt").stderr
    done("apply", kept)
    assert optaic("plan", theirs).returncode == 0
    # What is inside of a block of theirs is not the file's either.
    (tmp_path / "part.yaml").write_text(
        f"instances: [{{name: {prefix}-prices-store, type: store, definition: delta}}]\n"
    )
    part = optaic("plan", tmp_path / "part.yaml")
    assert f"{prefix}-prices-store: is the name of an instance of the project 'two'" in part.stderr


def test_two_applies_started_together_both_end_well(tmp_path: Path, prefix: str) -> None:
    done("apply", manifest(tmp_path, prefix))
    words = ("One.", "Two.")
    started = []
    for word in words:
        folder = tmp_path / word
        folder.mkdir()
        command = [sys.executable, "-m", "prefect_optaic.cli", "apply", str(manifest(folder, prefix, description=word))]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    told = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert set(told) <= {"", "another apply is under way; waiting up to 5 minutes\n"}
    assert optaic("plan").returncode == 0
    # The world is as one of them says, wholly.
    agreeing = [word for word in words if optaic("plan", tmp_path / word / "instances.yaml").returncode == 0]
    assert len(agreeing) == 1


def test_there_is_nothing_to_adopt_where_all_is_ours(tmp_path: Path, prefix: str) -> None:
    done("apply", manifest(tmp_path, prefix))
    assert done("import", f"{prefix}-prices") == "there is nothing to adopt\n"
    unknown = optaic("import", f"{prefix}-price")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith(
        f"error: there is no instance named '{prefix}-price'; did you mean '{prefix}-prices'?"
    )


def test_input_that_makes_no_sense_is_told_in_a_sentence(tmp_path: Path, prefix: str) -> None:
    kept = tmp_path / "kept"
    assert optaic("plan", manifest(tmp_path, prefix), "--out", kept).returncode == 2
    pruned = optaic("apply", kept, "--prune")
    assert pruned.returncode == 2
    assert "whether it prunes was said when it was made" in pruned.stderr
    nowhere = optaic("plan", "--out", tmp_path / "nowhere" / "plan.json")
    assert nowhere.stderr.startswith(f"error: {tmp_path}/nowhere/plan.json cannot be written: No such file")
    for name in ("lineage.PNG", "nowhere/lineage.svg"):
        drawn = optaic("graph", "--out", tmp_path / name)
        assert drawn.returncode == ("nowhere" in name), drawn.stderr
    assert (tmp_path / "lineage.PNG").read_bytes().startswith(b"\x89PNG")
    assert f"{tmp_path}/nowhere/lineage.svg cannot be written" in drawn.stderr
    assert "applied 12 changes" in done("apply", kept)


def test_a_manifest_with_problems_writes_nothing(stack: Target, tmp_path: Path) -> None:

    manifest = tmp_path / "bad.yaml"
    manifest.write_text(
        """
        instances:
          - name: bad-prices
            type: dataset
            pipeline_instance: {definition: csv, config: {path: nowhere.csv}}
            store_instance: {definition: delta}
            accessor_instance: {definition: simple}
          - name: bad-signal
            type: signal
            pipeline_instance: {definition: expression, config: {expression: close}}
            store_instance: {definition: delta}
            accessor_instance: {definition: simple}
            upstream_refs: [{instance: bad-price}]
        """
    )
    applied = optaic("apply", str(manifest))
    assert applied.returncode == 1
    assert applied.stderr.startswith("error: 2 problems, nothing was written:")
    assert "there is no file" in applied.stderr
    assert "bad-signal: upstream 'bad-price' does not exist; did you mean 'bad-prices'?" in applied.stderr
    assert optaic("run", "bad-prices").stderr.startswith("error: there is no instance named 'bad-prices'")


def test_what_has_something_wrong_is_left_out_and_named_with_exit_code_1(prefix: str, tmp_path: Path) -> None:
    file = manifest(tmp_path, prefix)
    file.write_text(file.read_text() + f"  - {{name: {prefix}-bad, type: store, definition: dleta}}\n")
    problem = f"  - {prefix}-bad: there is no store definition named 'dleta'. Did you mean 'delta'?"
    nothing = optaic("apply", file, "--all-or-nothing")
    assert (nothing.returncode, nothing.stderr.startswith("error: 1 problem, nothing was written:\n")) == (1, True)
    for command in ("plan", "apply"):
        ended = optaic(command, file)
        assert ended.returncode == 1
        assert "something left out" in ended.stdout
        assert ended.stderr.startswith(f"error: 1 problem; what has it is left out, the rest is not:\n{problem}")
    assert "applied" in ended.stdout
    again = optaic("apply", file)
    assert (again.returncode, "0 to create, 0 to update" in again.stdout) == (1, True)
    assert json.loads(optaic("plan", file, "--json").stdout)["problems"][0].startswith(problem.removeprefix("  - "))
