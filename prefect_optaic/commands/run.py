"""`optaic run` and `demo`."""

import asyncio
from typing import Annotated, get_args

import typer

from research.errors import shown

app = typer.Typer()


def _known_on_stale(on_stale: str | None) -> str | None:
    from instances.specification.fields import OnStale

    if on_stale is not None and on_stale not in get_args(OnStale):
        raise typer.BadParameter(f"{shown(on_stale)} must be one of: {', '.join(get_args(OnStale))}.")
    return on_stale


def _parsed(given: list[str]) -> dict[str, object]:
    """Return parameters by their names. Raises `typer.BadParameter` for one that is no NAME=VALUE."""
    import yaml

    found: dict[str, object] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{shown(each)} must be NAME=VALUE, like window=20.", param_hint="--parameter")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise typer.BadParameter(f"{shown(value)} is no value: quote it.", param_hint="--parameter") from error
    return found


@app.command()
def run(
    instance: Annotated[str, typer.Argument(help="The instance.")],
    flow: Annotated[str, typer.Argument(help="Which of its flows; not needed when it has one.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Go on whatever the guard says; recorded.")] = False,
    on_stale: Annotated[
        str | None, typer.Option(callback=_known_on_stale, help="block, refresh or warn, for this run.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Of refresh: read the source from the beginning.")
    ] = False,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", help="Of a flow that a package brings: NAME=VALUE, the value as in YAML."),
    ] = None,
) -> None:
    """Start a flow through its deployment, and follow it to its end.

    Exit code 0 when it completed or had nothing new to do, 3 when its guard blocked it, 1 otherwise.
    """
    from prefect_optaic import actions, show
    from prefect_optaic.session import session

    asked = {"force": force, "on_stale": on_stale, "everything": everything, "parameters": _parsed(parameter or [])}
    parameters = {name: value for name, value in asked.items() if value}

    async def work() -> int:
        console = show.output()
        async with session() as services:
            started = services.repository.flow(instance, flow)
            label = f"{instance}.{started.kind}"
            last: actions.RunSnapshot | None = None
            with console.status(f"{label} ..."):
                async for seen in actions.run(services, started, parameters):
                    if last is None:
                        console.print(
                            f"  {services.prefect.address.ui_url}/runs/flow-run/{seen.run_id}", highlight=False
                        )
                    show.show_run(console, label, seen)
                    last = seen
            assert last is not None  # a run has at least one state
            code = show.exit_code(last)
            unforeseen = code == 1 and not actions.has_own_message(last)
            if unforeseen and (errors := await actions.errors_of(services, last.run_id)):
                console.print(errors, markup=False, highlight=False, style="dim")
            return code

    if code := asyncio.run(work()):
        raise typer.Exit(code)


@app.command()
def demo() -> None:
    """Start a stack, and let real prices flow through guarded deployments; exit code 0 when all are READY."""
    from rich.console import Console

    from prefect_optaic.demo import demo as run_demo

    if not run_demo(Console()):
        raise typer.Exit(1)
