"""`optaic demo`: the whole of it on real prices, step by step."""

import asyncio
import datetime as dt
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import Markdown

from definitions.contract import FlowKind
from flows.drawing.status_colours import marked
from instances.rules.instance_status import InstanceStatus
from prefect_optaic import actions, show
from prefect_optaic.manifest import read_manifest
from prefect_optaic.session import session
from prefect_optaic.stack.lifecycle import up
from prefect_optaic.stack.progress import Progress

if TYPE_CHECKING:
    from flows.integrations.services import Services

MANIFEST = Path(__file__).parent / "shipped" / "sp500.yaml"
PATIENCE = dt.timedelta(minutes=6)  # for the cascade, after the prices are there


def demo(console: Console) -> bool:
    """Run the demo, and say whether every instance ended READY."""
    started = time.monotonic()
    _title(console, "1. A local stack: PostgreSQL, Prefect server, worker, the pages of MLflow and Evidently")
    up(progress=Progress(console), with_ui=True)
    ready = asyncio.run(_on_real_prices(console))
    console.print(f"\n[dim]{time.monotonic() - started:.0f} s in all[/]", highlight=False)
    return ready


async def _on_real_prices(console: Console) -> bool:
    from flows.planning.scope import Scope

    specs = read_manifest(MANIFEST)
    async with session() as services:
        _title(console, f"2. Apply {_shown(MANIFEST)}: blocks, rows, edges, deployments")
        with console.status("applying ..."):
            async with services.exclusive() as check:
                changeset = await actions.plan(services, Scope(specs))
                await actions.apply(services, changeset, lambda step: None, check)
        show.show_apply(console, changeset.plan)

        _title(console, "3. A signal refuses to run before its prices are there")
        await _run(services, console, "momentum")

        _title(console, "4. Refresh the index and the prices, through the worker")
        await _run(services, console, "sp500-index")
        await _run(services, console, "prices")

        _title(console, "5. All else follows by itself: signals, experiment, model, portfolio, backtest")
        own = {spec.name for spec in specs}
        lines = await _until_ready(services, console, own)

        _title(console, "6. Where things stand")
        show.show_status(console, lines, dt.datetime.now(dt.UTC))
        ready = all(line.status == "READY" for line in lines)
        if ready:
            _title(console, "7. What came of it: the backtest beside the index")
            console.print(Markdown(await actions.outcome(services, "backtest", "backtest")))
        _addresses(console, services)
        return ready


def _addresses(console: Console, services: "Services") -> None:
    ui, platform = services.prefect.address.ui_url, services.platform
    addresses = {
        "Deployments": f"{ui}/deployments",
        "Runs": f"{ui}/runs",
        "Pictures": f"{ui}/artifacts",
        "Instances": f"{ui}/blocks",
        "MLflow": platform.mlflow_link,
        "Evidently": platform.evidently_link,
    }
    console.print()
    for what, address in addresses.items():
        if address is not None:
            console.print(f"{what:<16}{address}", highlight=False)
    console.print(f"\nThe stack stays up; `{sys.argv[0]} down` stops it.", highlight=False)


def _shown(path: Path) -> Path:
    """Return the path of a file as one would type it here."""
    file, here = path.resolve(), Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def _title(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}[/]", highlight=False)


async def _run(services: "Services", console: Console, instance: str) -> None:
    refresh = services.repository.flow(instance, FlowKind.REFRESH)
    with console.status(f"{instance} ..."):
        async for seen in actions.run(services, refresh, {}):
            show.show_run(console, f"{instance}.refresh", seen)


async def _until_ready(services: "Services", console: Console, own: set[str]) -> tuple[InstanceStatus, ...]:
    """Look at the statuses until every instance of the demo is READY, one is in ERROR, or patience is at its end."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    printed: dict[str, str] = {}
    with console.status("waiting for the cascade ..."):
        while True:
            lines = tuple(line for line in await actions.read_statuses(services) if line.instance in own)
            for line in lines:
                if printed.get(line.instance) != line.status:
                    console.print(f"  {line.instance} {marked(line.status)}", highlight=False)
                    printed[line.instance] = line.status
            statuses = {line.status.value for line in lines}
            if statuses == {"READY"} or "ERROR" in statuses or time.monotonic() > deadline:
                return lines
            await asyncio.sleep(0.5)
