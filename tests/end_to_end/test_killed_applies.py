"""An apply that is killed at any point: the next one ends where an undisturbed one does, with nothing twice.

Or a destroy takes all away that it has made, also what it could not note any more.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pytest
import yaml
from prefect.client.orchestration import PrefectClient
from sqlalchemy import create_engine, text

from flows.integrations.services import Services
from flows.reading.block_reader import read_blocks
from instances.plans.plan import Action
from instances.storage.row_fields import recorded_rows
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, lab
from tests.flows.snapshot import Snapshot, snapshot

MODELS = 2
PREFIX = "kill-"
# How often to kill while things of a kind are made.
THRICE = {"block": 1, "instance": 1, "deployment": 1}
THIRTY_TIMES = {
    "planned": 2,
    "block": 6,
    "instance": 4,
    "MLflow": 4,
    "Evidently": 4,
    "deployment": 7,
    "automation": 3,
}


@dataclass
class Applies:
    """The process that forks applies, and what they say."""

    process: subprocess.Popen[str]

    def start(self, how: Literal["finish", "kill"], manifest: Path) -> int:
        """Begin an apply that is to finish, or to be killed; return its process id."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{how} {manifest}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def line(self) -> str:
        """Return the next line that the apply says; 'gone' when it is no more."""
        errors: IO[str] | None = self.process.stderr
        assert errors is not None
        return errors.readline().strip()

    def finish(self, manifest: Path) -> list[str]:
        """Apply undisturbed; return what was done."""
        self.start("finish", manifest)
        lines = self.rest()
        assert "applied" in lines, "\n".join(lines)
        return [line for line in lines if line.startswith(tuple(Action))]

    def rest(self) -> list[str]:
        return list(iter(self.line, "gone"))

    def kill(self, manifest: Path, after: int, delay: float) -> str:
        """Kill an apply some seconds after so many steps of it are done; return the last that was seen of it."""
        process, seen, last = self.start("kill", manifest), 0, ""
        while seen < after or (not last.startswith("planned") and not seen):
            last = self.line()
            seen += last.startswith(tuple(Action))
            assert last not in {"gone", "applied"}, f"nothing was left to kill after {seen} steps"
        time.sleep(delay)
        os.kill(process, signal.SIGKILL)
        self.rest()
        return last


@contextmanager
def applies() -> Iterator[Applies]:
    command = [sys.executable, "-m", "tests.end_to_end.forked_applies"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, cwd=Path(__file__).parents[2], **pipes)
    try:
        yield Applies(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def write_manifest(folder: Path, datasets: int) -> Path:
    """Describe datasets: some with a schedule, some with parts in blocks of their own, some that read others.

    And two models, which have three flows each, an MLflow experiment, an Evidently project and an automation.
    """
    (folder / "prices.csv").write_text("date,entity,close\n2024-01-02,A,1.0\n")
    entries: list[dict[str, Any]] = [
        {"name": f"{PREFIX}store", "type": "store", "definition": "delta"},
        {"name": f"{PREFIX}accessor", "type": "accessor", "definition": "simple"},
    ]
    for number in range(datasets):
        entry: dict[str, Any] = {
            "name": f"{PREFIX}{number}",
            "type": "signal" if number % 10 == 7 else "dataset",
            "pipeline_instance": {"definition": "csv", "config": {"path": str(folder / "prices.csv")}},
            "store_instance": f"{PREFIX}store",
            "accessor_instance": f"{PREFIX}accessor" if number % 2 else {"definition": "simple"},
        }
        if number % 5 == 0:
            entry["schedule"] = {"type": "interval", "interval_minutes": 60 + number}
        if number % 5 in {2, 4}:
            entry["pipeline_instance"] = {"definition": "expression", "config": {"expression": "close"}}
            entry["upstream_refs"] = [
                {"instance": f"{PREFIX}{upstream}"} for upstream in range(number - number % 5, number)
            ]
        entries.append(entry)
    roles = {"features": f"{PREFIX}7", "prices": f"{PREFIX}0"}
    refs = [{"instance": name, "role": role} for role, name in roles.items()]
    for number in range(MODELS):
        model = {"name": f"{PREFIX}model-{number}", "type": "model", "definition": "ridge", "upstream_refs": refs}
        entries.append(model | {"retrain_on_drift": True})
    manifest = folder / "instances.yaml"
    manifest.write_text(yaml.safe_dump({"project": "kill", "instances": entries}))
    return manifest


def forget(services: Services) -> None:
    """Make it as before the first apply: no block, row, deployment or automation of ours; fast, so by SQL."""
    prefect = create_engine(services.engine.url.set(database="prefect"))
    names = {"ours": f"{PREFIX}%"}
    with prefect.begin() as connection:
        connection.execute(text("DELETE FROM deployment WHERE name LIKE :ours"), names)
        connection.execute(text("DELETE FROM block_document WHERE name LIKE :ours"), names)
        connection.execute(text("DELETE FROM automation WHERE name LIKE 'optaic:%'"))
    prefect.dispose()
    services.tracking.experiments()  # makes the tables
    mlflow = create_engine(services.engine.url.set(database="mlflow"))
    ours = "SELECT experiment_id FROM experiments WHERE name LIKE :ours"
    with mlflow.begin() as connection:
        connection.execute(text(f"DELETE FROM experiment_tags WHERE experiment_id IN ({ours})"), names)
        connection.execute(text("DELETE FROM experiments WHERE name LIKE :ours"), names)
    mlflow.dispose()
    for name in services.monitoring.projects():
        if name.startswith(PREFIX):
            services.monitoring.delete(name)
    with services.engine.begin() as connection:
        connection.execute(text("TRUNCATE optaic.instance, optaic.automation, optaic.definition CASCADE"))


def points(steps: list[str], kills: Mapping[str, int]) -> list[tuple[int, float]]:
    """Return after how many steps, and how many seconds later, to kill: so often in each kind of step."""
    chosen = random.Random(20_261_124)
    kinds = [line.split()[1] for line in steps]
    first = {kind: kinds.index(kind) for kind in dict.fromkeys(kinds)}
    found = [(0, chosen.uniform(0.0, 0.1)) for _ in range(kills.get("planned", 0))]
    for kind, share in kills.items():
        if kind == "planned":
            continue
        count = kinds.count(kind)
        # All rows are said to be done at once: what is killed there is the transaction, before the first of them.
        within = 0 if kind == "instance" else count - 1
        found += [
            (first[kind] + chosen.randint(0, within), chosen.uniform(0.0, 0.25 if kind == "instance" else 0.05))
            for _ in range(share)
        ]
    return found


async def look(client: PrefectClient, services: Services) -> Snapshot:
    found = await snapshot(client, services.engine, PREFIX)
    experiments, projects = of_models(services)
    assert (len(experiments), len(projects)) == (MODELS, MODELS)
    assert all((*experiments.values(), *projects.values()))
    assert len(found.deployments) == found.counts["deployment"]
    assert len(found.automations) == found.counts["automation"]
    assert all(deployment["on_record"] for deployment in found.deployments.values())
    return found


def of_models(services: Services) -> tuple[dict[str, bool], dict[str, bool]]:
    """Return the experiments, and the projects by their ids, that are there: whether a row has the id."""
    models = [name for name in recorded_rows(services.engine) if name.startswith(f"{PREFIX}model-")]
    handles = [each.handles for each in services.repository.applied(models).values()]
    experiments = {name: each for name, each in services.tracking.experiments().items() if name.startswith(PREFIX)}
    projects = [each for each in services.monitoring._all() if each.name.startswith(PREFIX)]
    return (
        {name: each.id in {h.get("mlflow_experiment_id") for h in handles} for name, each in experiments.items()},
        {str(each.id): str(each.id) in {h.get("evidently_project_id") for h in handles} for each in projects},
    )


async def destroy_all(opened_lab: Lab) -> None:
    names = (await read_blocks(opened_lab.services.prefect)).names | recorded_rows(opened_lab.services.engine).keys()
    await opened_lab.bootstrap(destroy=tuple(name for name in names if name.startswith(PREFIX)))


@pytest.mark.parametrize(
    ("datasets", "kills"), [(18, THRICE), pytest.param(24, THIRTY_TIMES, marks=pytest.mark.torture)]
)
def test_an_apply_that_is_killed_anywhere_is_made_whole_by_the_next(
    stack: Target, tmp_path: Path, datasets: int, kills: Mapping[str, int]
) -> None:
    manifest = write_manifest(tmp_path, datasets)

    async def scenario(opened_lab: Lab) -> None:
        client, services = opened_lab.client, opened_lab.services
        forget(services)
        chosen = random.Random(7)
        with applies() as forks:
            steps = forks.finish(manifest)
            whole = await look(client, services)
            assert whole.counts["deployment"] == datasets + 3 * MODELS
            assert forks.finish(manifest) == []
            killed_in: set[str] = set()
            left = points(steps, kills)
            again = 3  # on a loaded machine a kill may come when its step is over
            while left:
                after, delay = left.pop(0)
                forget(services)
                killed_in.add(forks.kill(manifest, after, delay).split()[0 if not after else 1])
                if chosen.random() < 0.25:
                    await destroy_all(opened_lab)
                    found = await snapshot(client, services.engine, PREFIX)
                    assert (found.blocks, found.rows, found.deployments) == ({}, {}, {}), f"killed after {after} steps"
                forks.finish(manifest)
                assert await look(client, services) == whole, f"killed after {after} steps and {delay:.3f} s"
                missed = kills.keys() - {"instance"} - killed_in
                if not left and missed and again:
                    left, again = points(steps, dict.fromkeys(missed, 2)), again - 1
            assert forks.finish(manifest) == []
            assert killed_in >= kills.keys() - {"instance"}

    async def main() -> None:
        async with lab(tmp_path) as opened_lab:
            try:
                await scenario(opened_lab)
            finally:
                forget(opened_lab.services)  # or the tests after it fail too

    asyncio.run(main())
