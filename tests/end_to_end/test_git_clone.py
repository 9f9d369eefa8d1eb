"""Code from a git repository: bootstrap clones it, and hands the clone step on to the flows of instances."""

import asyncio
import shutil
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

from prefect_optaic.stack.target import checkout
from tests.flows.lab import Lab, Play

PACKAGES = ("research", "definitions", "instances", "blocks", "flows", "prefect_optaic")
PREFECT_YAML = """
name: from-clone
pull:
  - prefect.deployments.steps.git_clone:
      repository: file://{repository}
      branch: main
deployments:
  - name: from-clone
    entrypoint: flows/bootstrap.py:bootstrap
    tags: [optaic]
    work_pool: {{name: optaic}}
"""


def test_bootstrap_and_the_flows_of_instances_run_from_a_clone(play: Play, tmp_path: Path) -> None:
    repository = repository_of_the_code(tmp_path)
    checked_out = tmp_path / "code"
    (checked_out / "prefect.yaml").write_text(PREFECT_YAML.format(repository=repository))
    deploy = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    subprocess.run(deploy, cwd=checked_out, check=True, capture_output=True)

    async def scenario(lab: Lab) -> None:
        bootstrap = await lab.client.read_deployment_by_name("bootstrap/from-clone")
        try:
            await lab.source("prices")
            await completed(lab, bootstrap.id)
            made = await lab.client.read_deployment(lab.deployment("prices"))
            assert (made.work_pool_name, made.pull_steps) == ("optaic", bootstrap.pull_steps)
            await completed(lab, made.id)
        finally:
            await lab.client.delete_deployment(bootstrap.id)
        assert lab.rows("prices") == {"2024-01-02": 1.0}

    play(scenario)
    ran = Path((tmp_path / "ran").read_text())
    assert ran.parts[-3:] == ("code-main", "flows", "dataset.py")


def repository_of_the_code(folder: Path) -> Path:
    """Return a bare repository of this code, whose refresh leaves a note of where it ran."""
    code, bare = folder / "code", folder / "code.git"
    for package in PACKAGES:
        shutil.copytree(checkout() / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (code / "flows" / "dataset.py").open("a") as flow:
        flow.write(f"\n__import__('pathlib').Path({str(folder / 'ran')!r}).write_text(__file__)\n")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "All of it"], ["clone", "-q", "--bare", ".", bare]):
        subprocess.run([*git, *command], cwd=code, check=True)
    return bare


async def completed(lab: Lab, deployment: UUID) -> None:
    """Let the worker run a deployment once."""
    run = await lab.client.create_flow_run_from_deployment(deployment)
    end = time.monotonic() + 120
    while time.monotonic() < end:
        state = (await lab.client.read_flow_run(run.id)).state
        if state is not None and state.is_final():
            assert state.is_completed(), state.message
            return
        await asyncio.sleep(0.5)
    raise AssertionError("the worker did not run it within 2 minutes")
