"""`optaic plan`, `apply`, `destroy` and `import`."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instances.errors import OptaicError

if TYPE_CHECKING:
    from flows.integrations.services import Services
    from flows.planning.scope import Scope

app = typer.Typer()

Manifest = Annotated[
    Path | None,
    typer.Argument(help="A YAML file or a folder of them; without one, blocks describe what there is to be."),
]
Prune = Annotated[bool, typer.Option("--prune", help="Delete instances that are not described any more.")]
AllOrNothing = Annotated[
    bool, typer.Option("--all-or-nothing", help="With anything wrong, write nothing; else the rest is applied.")
]
Adopt = Annotated[bool, typer.Option("--adopt", help="Take instances over that belong to other projects.")]
Cancel = Annotated[bool, typer.Option("--cancel", help="Cancel runs that are at work of what is deleted.")]
Yes = Annotated[bool, typer.Option("--yes", help="Delete even more than half of a project, and what looks renamed.")]


@app.command()
def plan(
    manifest: Manifest = None,
    prune: Prune = False,
    adopt: Adopt = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
    out: Annotated[Path | None, typer.Option(help="Keep the plan in a file, for `optaic apply`.")] = None,
) -> None:
    """Show what an apply would do; writes nothing.

    Exit code 0 when that is nothing, 2 when it is something, 1 when something is wrong and left out.
    """
    from rich.console import Console

    from prefect_optaic import actions, show
    from prefect_optaic.planfile import write_plan
    from prefect_optaic.session import session

    async def work() -> bool:
        scope = _scope(manifest, prune=prune, adopt=adopt)
        async with session() as services:
            changeset = await actions.plan(services, scope)
            standing = await actions.standstills_of(services, changeset.plan)
        asked = (f"an apply asks first, or needs --yes: {doubt}" for doubt in changeset.doubts())
        warnings = (*show.standstill_lines(standing), *asked)
        if as_json:
            typer.echo(json.dumps(show.plan_json(changeset.plan, warnings), indent=2))
        else:
            show.show_plan(Console(), changeset.plan, warnings)
        if out is not None:
            write_plan(out, scope, changeset)
        changeset.plan.check_whole()
        return bool(changeset.plan.changes)

    if asyncio.run(work()):
        raise typer.Exit(2)


@app.command()
def apply(
    file: Annotated[
        Path | None,
        typer.Argument(help="A manifest, a folder of them, or a plan that was kept; without one, blocks describe."),
    ] = None,
    prune: Prune = False,
    adopt: Adopt = False,
    cancel: Cancel = False,
    yes: Yes = False,
    all_or_nothing: AllOrNothing = False,
) -> None:
    """Check everything, then make blocks, rows, deployments and automations match what is described.

    Exit code 1 when something is wrong: that is left out with all that reads it, and the rest is applied.
    """
    from prefect_optaic.planfile import is_plan, read_scope

    kept = file if file is not None and is_plan(file) else None
    for said, what in ((prune, "prunes"), (adopt, "takes instances over")):
        if kept is not None and said:
            raise typer.BadParameter(f"{kept} is a plan that was kept: whether it {what} was said when it was made.")
    scope = read_scope(kept) if kept is not None else _scope(file, prune=prune, adopt=adopt)
    asyncio.run(_apply(replace(scope, cancel=cancel, all_or_nothing=all_or_nothing), yes=yes, kept=kept))


@app.command()
def destroy(
    instances: Annotated[list[str] | None, typer.Argument(help="The instances to delete.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete all instances.")] = False,
    data: Annotated[bool, typer.Option("--data", help="Delete their data too.")] = False,
    cancel: Cancel = False,
    yes: Yes = False,
) -> None:
    """Delete instances: their blocks, rows, edges and deployments; their data stays unless asked."""
    from prefect_optaic import actions
    from prefect_optaic.session import session

    if bool(instances) == everything:
        raise typer.BadParameter("name the instances to delete, or say --all; not both.")

    async def work() -> None:
        async with session() as services:
            scope = await actions.destroy_scope(services, tuple(instances or ()), data=data)
            await apply_in(services, replace(scope, cancel=cancel), yes=yes, named=bool(instances))

    asyncio.run(work())


@app.command(name="import")
def import_(
    instances: Annotated[list[str] | None, typer.Argument(help="Only these instances.")] = None,
) -> None:
    """Adopt what exists already: deployments with our names that are not ours, and rows whose blocks are gone."""
    from rich.console import Console

    from prefect_optaic import actions
    from prefect_optaic.session import session

    async def work() -> None:
        console = Console()
        async with session() as services, services.exclusive(waits=_waiting):
            adopted = await actions.adopt(services, tuple(instances or ()))
        for name in adopted:
            console.print(f"[green]✓[/] adopted {name}", highlight=False)
        if not adopted:
            console.print("there is nothing to adopt", highlight=False)

    asyncio.run(work())


def _scope(manifest: Path | None, *, prune: bool, adopt: bool = False) -> "Scope":
    from flows.planning.scope import Scope
    from prefect_optaic.manifest import look_through

    if manifest is None:
        return Scope(prune=prune)
    found = look_through(manifest)
    return replace(found.scope, prune=prune, adopt=adopt)


def _waiting(message: str) -> None:
    typer.echo(message, err=True)


async def _apply(scope: "Scope", *, yes: bool, kept: Path | None = None) -> None:
    from prefect_optaic.session import session

    async with session() as services:
        await apply_in(services, scope, yes=yes, kept=kept)


async def apply_in(
    services: "Services", scope: "Scope", *, yes: bool, kept: Path | None = None, named: bool = False
) -> None:
    """Plan what `scope` asks for, show it and carry it out; `named` says that a person has named what is deleted.

    Without `yes` a terminal is asked before much is deleted; without a terminal that is refused.
    """
    from rich.console import Console
    from rich.progress import Progress

    from prefect_optaic import actions, show
    from prefect_optaic.planfile import check_same

    console = Console()
    async with services.exclusive(waits=_waiting) as check:
        changeset = await actions.plan(services, scope)
        if kept is not None:
            check_same(kept, changeset)
        doubt = "" if yes else "\n".join(map(str, changeset.doubts(named=named)))
        if doubt and not sys.stdin.isatty():
            raise OptaicError(doubt)
        standing = await actions.standstills_of(services, changeset.plan)
        show.show_plan(console, changeset.plan, show.standstill_lines(standing))
        if not changeset.plan.changes:
            changeset.plan.check_whole()
            return
        if doubt:
            typer.confirm(f"{doubt}\nDo it?", abort=True)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("applying", total=len(changeset.plan.changes))
            await actions.apply(services, changeset, lambda step: progress.advance(task), check)
        console.print(f"[green]✓[/] applied {len(changeset.plan.changes)} changes", highlight=False)
        changeset.plan.check_whole()
