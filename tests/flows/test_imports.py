"""What a refresh pays for in imports, and a command that only looks."""

import os
import subprocess
import sys

from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play

MODULES = ("flows.dataset", "flows.bootstrap", "flows.sweep")
HEAVY = ("mlflow", "evidently", "skfolio", "bt", "sklearn", "pandas", "matplotlib")
IMPORTED = f"""
import importlib, sys
for module in {MODULES!r}:
    importlib.import_module(module)
    print(module, *(name for name in {HEAVY!r} if name in sys.modules))
"""
NEEDLESS = (*HEAVY, "prefect", "prefect_sqlalchemy", "alembic")  # for a look at what there is
COMMAND = f"""
import sys
from prefect_optaic.cli import main
sys.argv = ["optaic", *sys.argv[1:]]
try:
    main()
finally:
    print("imported:", *[name for name in {NEEDLESS!r} if name in sys.modules], file=sys.stderr)
"""


def test_no_flow_module_imports_a_heavy_library() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == list(MODULES)


def test_a_command_that_only_looks_imports_neither_prefect_nor_a_heavy_library(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.bootstrap()
        await lab.run("prices")
        flow, environment = f"{lab.prefix}prices", {**os.environ, **stack.environment()}
        for command in (["status"], ["status", "--json"], ["freshness"], ["why", flow]):
            done = subprocess.run(
                [sys.executable, "-c", COMMAND, *command], capture_output=True, text=True, env=environment, check=False
            )
            assert flow in done.stdout, done.stderr
            assert "READY" in done.stdout
            assert done.stderr.splitlines() == ["imported:"]

    play(scenario)
