"""What bootstrap's plan and apply cost, beside bare API calls and `prefect deploy --all` on the same server.

    make bench        or        python benchmarks/bench_apply.py [INSTANCES]

The rates of one run on one server are compared, so that a slower machine changes both sides alike.
"""

import asyncio
import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any
from unittest.mock import patch

import yaml
from sqlalchemy import event

from definitions.contract import FlowKind
from flows.integrations.prefect_api import PrefectApi
from flows.integrations.services import Services, opened
from flows.planning.changeset import Changeset
from flows.planning.deployment_spec import Storage, create_deployment, desired_deployment
from flows.planning.planner import apply_plan, make_plan
from flows.planning.resources.resource import CONCURRENCY
from flows.planning.scope import Scope
from instances.plans.plan import Step
from instances.specification.specs import AnySpec, DatasetSpec
from prefect_optaic.manifest import read_manifest
from prefect_optaic.stack import Home, use
from prefect_optaic.stack.lifecycle import down, up
from prefect_optaic.stack.servers.worker import POOL

BARE = 200  # calls, enough for a rate
DEPLOYED = 100  # by `prefect deploy --all`
STORAGE = Storage(POOL, "default", {}, None, (), "flows")


@dataclass
class Costs:
    """What was asked of the servers meanwhile."""

    requests: int = 0
    writes: Counter[str] = field(default_factory=Counter)
    statements: int = 0
    sql_writes: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        written = sum(self.writes.values()) + self.sql_writes
        return f"{self.seconds:7.2f} s {self.requests:6} requests {self.statements:6} statements {written:6} writes"


@contextmanager
def counted(services: Services) -> Iterator[Costs]:
    """Count requests, statements, and what of them writes."""
    costs = Costs()

    ask, engine = services.prefect._once, services.engine

    async def noted(method: str, path: str, *rest: Any) -> Any:
        costs.requests += 1
        if method != "GET" and not path.endswith(("/filter", "/count", "/paginate")):
            costs.writes[f"{method} {path.split('/')[1]}"] += 1
        return await ask(method, path, *rest)

    def on_statement(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        costs.statements += 1
        costs.sql_writes += statement.startswith(("INSERT", "UPDATE", "DELETE"))

    event.listen(engine, "before_cursor_execute", on_statement)
    started = time.perf_counter()
    try:
        with patch.object(services.prefect, "_once", noted):
            yield costs
    finally:
        costs.seconds = time.perf_counter() - started
        event.remove(engine, "before_cursor_execute", on_statement)


def write_manifest(folder: Path, count: int) -> Path:
    """Describe datasets, with their parts in place, and as many models, of three flows each: 2 flows by instance."""
    prices = folder / "prices.csv"
    prices.write_text("date,entity,close\n2024-01-02,A,1.0\n")
    entries: list[dict[str, Any]] = []
    for number in range(count):
        if number % 2:
            refs = [{"instance": f"dataset-{number - 1}", "role": role} for role in ("features", "prices")]
            entries.append({"name": f"model-{number}", "type": "model", "definition": "ridge", "upstream_refs": refs})
            continue
        parts: dict[str, Any] = {
            "store_instance": {"definition": "delta"},
            "accessor_instance": {"definition": "simple"},
            "pipeline_instance": {"definition": "csv", "config": {"path": str(prices)}},
        }
        entry: dict[str, Any] = {"name": f"dataset-{number}", "type": "dataset", **parts}
        if number % 8 == 6:
            entry["pipeline_instance"] = {"definition": "expression", "config": {"expression": "close * 2"}}
            entry["upstream_refs"] = [{"instance": f"dataset-{number - 6}"}]
        elif number % 8 == 4:
            entry["schedule"] = {"type": "cron", "expression": "0 18 * * 1-5"}
        entries.append(entry)
    manifest = folder / "instances.yaml"
    manifest.write_text(yaml.safe_dump({"project": "bench", "instances": entries}))
    return manifest


async def bare_rate(make: Callable[[int], Awaitable[object]]) -> float:
    """Return how many calls a second are answered, a few at a time."""
    slots = asyncio.Semaphore(CONCURRENCY)

    async def one(number: int) -> None:
        async with slots:
            await make(number)

    started = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(BARE)))
    return BARE / (time.perf_counter() - started)


async def bare_rates(prefect: PrefectApi, specs: Sequence[DatasetSpec], label: str) -> tuple[float, float]:
    """Return the rates of bare `create_deployment` calls: with a name only, and with all that ours have."""
    flow = await prefect.create_flow("bare")
    named = await bare_rate(lambda n: prefect.create_deployment(flow, f"named-{label}-{n}", {}))
    wishes = [
        desired_deployment(FlowKind.REFRESH, spec.model_copy(update={"name": f"whole-{label}-{n}"}), STORAGE, "bench")
        for n, spec in enumerate(specs[:BARE])
    ]
    return named, await bare_rate(lambda n: create_deployment(prefect, wishes[n % len(wishes)], flow))


async def changeset(services: Services, specs: tuple[AnySpec, ...]) -> Changeset:
    return await make_plan(services, STORAGE, Scope(specs), dt.datetime.now(dt.UTC))


async def applied(services: Services, specs: tuple[AnySpec, ...]) -> tuple[Costs, dict[str, tuple[int, float]]]:
    """Plan and apply; return what that cost, and for each kind of thing how many were made in how long."""
    ends: dict[str, tuple[int, float]] = {}

    def done(step: Step) -> None:
        ends[step.kind] = (ends.get(step.kind, (0, 0.0))[0] + 1, time.perf_counter())

    with counted(services) as costs:
        wanted = await changeset(services, specs)
        before = time.perf_counter()
        await apply_plan(wanted, services, done)
    phases: dict[str, tuple[int, float]] = {}
    for kind, (count, end) in ends.items():
        phases[kind] = (count, end - before)
        before = end
    return costs, phases


async def measure(manifest: Path, count: int) -> None:
    specs = read_manifest(manifest)
    datasets = [spec for spec in specs if isinstance(spec, DatasetSpec)]
    async with opened() as services:
        before = await bare_rates(services.prefect, datasets, "before")
        costs, phases = await applied(services, specs)
        after = await bare_rates(services.prefect, datasets, "after")
        print(f"first apply    {costs}   of {count} instances")
        for kind, (made, seconds) in phases.items():
            print(f"  {kind + 's':<19}{seconds:7.2f} s {made:6} made, {made / seconds:6.1f} a second")
        (made, seconds), whole = phases["deployment"], costs.seconds
        print(
            f"bare calls, {CONCURRENCY} at once, before and after; beside their mean the rate of our deployments alone,"
        )
        print("and of the whole first apply, with its plan, blocks and rows:")
        for what, *rates in zip(
            ("with all that ours have", "with a name only"), before[::-1], after[::-1], strict=True
        ):
            shares = (f"{made / took / mean(rates):.0%}" for took in (seconds, whole))
            print(f"  {what:<25}{rates[0]:6.1f} {rates[1]:6.1f} a second   {'   '.join(shares)}")
        costs, _ = await applied(services, specs)
        print(f"second apply   {costs}")
        changed = tuple(
            spec.model_copy(update={"description": "changed"}) if spec.name == datasets[0].name else spec
            for spec in specs
        )
        costs, phases = await applied(services, changed)
        made = ", ".join(f"{made} {kind}" for kind, (made, _) in phases.items())
        print(f"one changed    {costs}   {made}; {dict(costs.writes)}, {costs.sql_writes} rows")


def prefect_deploy(folder: Path) -> float:
    """Return how long `prefect deploy --all` takes for as many deployments."""
    folder.mkdir(exist_ok=True)
    (folder / "flow.py").write_text("from prefect import flow\n\n\n@flow\ndef work(instance: str) -> None: ...\n")
    deployments = [
        {
            "name": f"deployed-{number}",
            "entrypoint": "flow.py:work",
            "parameters": {"instance": f"dataset-{number}"},
            "work_pool": {"name": POOL},
            "concurrency_limit": 1,
        }
        for number in range(DEPLOYED)
    ]
    pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]
    (folder / "prefect.yaml").write_text(yaml.safe_dump({"name": "bench", "pull": pull, "deployments": deployments}))
    started = time.perf_counter()
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    subprocess.run(command, cwd=folder, env={**os.environ}, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="optaic-bench-") as name:
        folder = Path(name)
        home = Home(folder / "home")
        use(up(home, deploy=False))
        try:
            asyncio.run(measure(write_manifest(folder, count), count))
            first, second = prefect_deploy(folder / "project"), prefect_deploy(folder / "project")
            print(
                f"`prefect deploy --all` of {DEPLOYED}: {first:.1f} s, {DEPLOYED / first:.1f} a second; "
                f"{second:.1f} s again, unchanged"
            )
        finally:
            down(home)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
