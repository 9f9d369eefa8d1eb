"""`optaic up`, `down`, `stack`, `env` and `logs`."""

import asyncio
import json
import shlex
import signal
from dataclasses import asdict
from typing import Annotated

import typer

from prefect_optaic.stack import Home
from prefect_optaic.stack.machine.state import SERVICES, State
from prefect_optaic.stack.target import recorded
from research.errors import shown

app = typer.Typer()


@app.command()
def up(
    with_ui: Annotated[bool, typer.Option("--with-ui", help="Also the pages of MLflow and Evidently.")] = False,
) -> None:
    """Start PostgreSQL, a Prefect server with its UI, and a worker; prepare them for instances."""
    from rich.console import Console
    from rich.markup import escape

    from definitions.addresses import redacted
    from prefect_optaic.stack.lifecycle import up as start
    from prefect_optaic.stack.progress import Progress
    from prefect_optaic.stack.servers.pages import PAGES, url

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # terminated or interrupted, it cleans up
    console = Console()
    target = start(progress=Progress(console), with_ui=with_ui)
    console.print(f"\n[bold]Prefect UI[/]   {target.ui_url}", highlight=False, soft_wrap=True)
    console.print(f"[bold]Prefect API[/]  {redacted(target.api_url)}", highlight=False, soft_wrap=True)
    if target.embedded:
        for name, record in State.load(target.home).services.items():
            if name in PAGES:
                console.print(f"[bold]{PAGES[name].title:<12}[/] {url(record.port or 0)}", highlight=False)
        console.print(f"[bold]Home[/]         {escape(str(target.home.root))}", highlight=False, soft_wrap=True)
        console.print('\nFor the `prefect` command in this shell: eval "$(optaic env)"', highlight=False)


@app.command()
def down() -> None:
    """Stop what `optaic up` started; the data stays."""
    from rich.console import Console

    from prefect_optaic.stack.lifecycle import down as stop
    from prefect_optaic.stack.progress import Progress

    stop(progress=Progress(Console()))


@app.command()
def env() -> None:
    """Print the variables that make `prefect` talk to this stack: eval "$(optaic env)"."""
    for name, value in recorded(State.load(Home.current())).environment().items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def stack(as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False) -> None:
    """Show what runs, and what should run by itself and does not; exit code 1 unless all servers are up."""
    from prefect_optaic.stack.report import report

    services = report(Home.current())
    if as_json:
        typer.echo(json.dumps([asdict(service) for service in services], indent=2))
    else:
        for s in services:
            about = f"pid {s.pid}, since {s.since}, {s.address}" if s.pid else s.address or "-"
            typer.echo(f"{s.name:<10}{s.health:<9}{about}")
            if s.log:
                typer.echo(f"{'':<19}log {s.log}")
    if any(service.health != "up" for service in services if service.name in {"postgres", "server"}):
        raise typer.Exit(1)
    for line in asyncio.run(_what_stands_still()):
        typer.echo(f"warning: {line}", err=as_json)
    if any(service.health != "up" for service in services):
        raise typer.Exit(1)


async def _what_stands_still() -> list[str]:
    from instances.errors import OptaicError
    from prefect_optaic import actions, show
    from prefect_optaic.session import session

    try:
        async with session() as services:
            return show.standstill_lines((await actions.read_snapshot(services)).standstills)
    except OptaicError as error:  # an `up` that was cut short, say
        return [f"nobody knows whether the sweep runs: {error}"]


@app.command()
def logs(
    service: Annotated[str, typer.Argument(help=f"One of: {', '.join(SERVICES)}.")] = "server",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many, counted from the end.")] = 40,
) -> None:
    """Print the end of a log of the stack."""
    from prefect_optaic.stack.machine.processes import tail

    if service not in SERVICES:
        raise typer.BadParameter(f"{shown(service)} is not a service of the stack; these are: {', '.join(SERVICES)}.")
    log = Home.current().log(service)
    typer.echo(f"{log}:")
    for line in tail(log, lines):
        typer.echo(line)
