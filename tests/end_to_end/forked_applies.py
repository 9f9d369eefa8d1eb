"""Applies that can be killed: a process that has imported everything forks one for each apply.

Started by the test of kills as `python -m tests.end_to_end.forked_applies`; reads a manifest's path a line, and answers
with the process id of the apply. The apply writes a line to the standard error for each step that is done.
One that is to be killed (`kill` before the path) stays for a while when it is through, so that no kill comes late.
"""

import asyncio
import datetime as dt
import os
import sys
import time
from pathlib import Path

import mlflow  # noqa: F401 - so that no apply has to
from evidently.ui import workspace  # noqa: F401

from flows.integrations.services import opened
from flows.planning.deployment_spec import Storage
from flows.planning.planner import apply_plan, make_plan
from flows.planning.scope import Scope
from instances.plans.plan import Step
from prefect_optaic.manifest import read_manifest

STAYS = 30.0  # seconds
STORAGE = Storage("served-by-no-worker", "default", {}, None, (), "flows")


async def apply(manifest: Path) -> None:
    """Apply a manifest, and say each step that is done."""
    specs = read_manifest(manifest)
    async with opened() as services, services.exclusive() as check:
        changeset = await make_plan(services, STORAGE, Scope(specs), dt.datetime.now(dt.UTC))
        _say(f"planned {len(changeset.plan.changes)}")
        await apply_plan(changeset, services, lambda step: _say(_line(step)), check=check)
    _say("applied")


def _line(step: Step) -> str:
    return f"{step.action} {step.label}"


def _say(line: str) -> None:
    os.write(2, f"{line}\n".encode())


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            how, manifest = line.strip().split(" ", 1)
            asyncio.run(apply(Path(manifest)))
            if how == "kill":
                time.sleep(STAYS)
            os._exit(0)
        os.write(1, f"{child}\n".encode())
        os.waitpid(child, 0)
        _say("gone")


if __name__ == "__main__":
    main()
