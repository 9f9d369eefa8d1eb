"""What the commands that only look cost, beside importing Prefect alone, and a plan in which nothing changes.

    make bench        or        python benchmarks/bench_commands.py [INSTANCES]

CPU seconds of user and system of processes of one run are compared, the least of some rounds: a slower machine changes
both sides alike. To reach: `status`, `why` and `freshness` of 13 flows in 0.6 of the import, a plan of 1,000 unchanged
instances in 2.5 of it.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from prefect_optaic.stack import Home, use
from prefect_optaic.stack.lifecycle import down, up

ROUNDS = 3
EXAMPLE = Path(__file__).parents[1] / "examples" / "sp500" / "instances.yaml"


def cost(*arguments: str, expected: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """Return the least CPU seconds that a Python process with these arguments takes, and the least on the clock."""
    taken: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        assert done.returncode in expected, done.stdout + done.stderr
        after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        taken.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended - started))
    return min(cpu for cpu, _ in taken), min(wall for _, wall in taken)


def optaic(*arguments: str, expected: tuple[int, ...] = (0, 1)) -> tuple[float, float]:
    return cost("-m", "prefect_optaic.cli", *arguments, expected=expected)


def many(folder: Path, count: int) -> Path:
    """Describe datasets whose parts are instances of their own: four instances each, none of them a model."""
    prices = folder / "prices.csv"
    prices.write_text("date,entity,close\n2024-01-02,A,1.0\n")
    parts = {
        "pipeline_instance": {"definition": "csv", "config": {"path": str(prices)}},
        "store_instance": {"definition": "delta"},
        "accessor_instance": {"definition": "simple"},
    }
    entries = [{"name": f"dataset-{number}", "type": "dataset", **parts} for number in range(count // 4)]
    manifest = folder / "many.yaml"
    manifest.write_text(yaml.safe_dump({"project": "many", "instances": entries}))
    return manifest


def main(count: int) -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as it is where the package is installed
    with tempfile.TemporaryDirectory(prefix="optaic-bench-") as name:
        os.environ["PYTHONPYCACHEPREFIX"] = f"{name}/bytecode"
        home = Home(Path(name) / "home")
        os.environ["OPTAIC_HOME"] = str(home.root)
        use(up(home))
        try:
            alone, wall = cost("-c", "from prefect import flow")
            print(f"{'importing Prefect alone':<32}{alone:6.2f} s CPU {wall:7.2f} s by the clock")
            optaic("apply", str(EXAMPLE))
            looks = {f"{each[0]} of 13 flows": each for each in (("status",), ("why", "momentum"), ("freshness",))}
            for what, arguments in looks.items():
                cpu, wall = optaic(*arguments)
                print(f"{what:<32}{cpu:6.2f} s CPU {wall:7.2f} s by the clock {cpu / alone:6.2f} of the import")
            manifest = str(many(Path(name), count))
            optaic("apply", manifest)
            cpu, wall = optaic("plan", manifest)
            what = f"plan of {count} unchanged"
            print(f"{what:<32}{cpu:6.2f} s CPU {wall:7.2f} s by the clock {cpu / alone:6.2f} of the import")
        finally:
            down(home)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
