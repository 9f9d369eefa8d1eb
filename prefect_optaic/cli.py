"""The command `prefect-optaic`, short `optaic`. Each group of commands is a module of its own: add its `app` below."""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from definitions.errors import DefinitionError
from instances.errors import OptaicError
from prefect_optaic.argument_checks import check_arguments
from prefect_optaic.commands import changes, inspection, lineage_graph, pauses, promote, requests, run, servers
from prefect_optaic.stack.machine.environment import NO_TELEMETRY

app = typer.Typer(
    name="optaic",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (servers, changes, run, pauses, requests, inspection, promote, lineage_graph):
    app.add_typer(commands.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"prefect-optaic {version('prefect-optaic')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Instances for quant teams, as guarded Prefect deployments."""


def main() -> None:
    """Run the command line; errors that a user can act on are printed, without a traceback."""
    os.environ.update(NO_TELEMETRY)  # before anything imports Prefect
    try:
        check_arguments(sys.argv[1:])
        app()
    except (OptaicError, DefinitionError) as error:
        typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
        typer.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
