"""`optaic status`, `why`, `freshness` and `definitions`."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from research.errors import shown

if TYPE_CHECKING:
    from definitions.contract import Definition

app = typer.Typer()


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Show the status of every instance, flow by flow; exit code 1 unless all are READY.

    It also names the instances whose blocks have something wrong: an apply leaves those out.
    """
    from prefect_optaic import actions, show
    from prefect_optaic.session import session

    async def work() -> bool:
        async with session() as services:
            judged = await actions.read_snapshot(services)
            lines = await actions.statuses_in(services, judged)
            handles = actions.handles_in(services, lines, judged) if as_json else {}
        if as_json:
            typer.echo(json.dumps(show.as_json(lines, handles), indent=2))
            for line in show.standstill_lines(judged.standstills):
                typer.echo(f"warning: {line}", err=True)
        else:
            console = show.output()
            show.show_status(console, lines, judged.now)
            if not all(line.ready for line in lines):
                console.print(f"\n{show.NOT_PREFECTS_READY}", highlight=False, soft_wrap=not console.is_terminal)
            show.show_standstills(console, judged.standstills)
        return all(line.ready for line in lines)

    if not asyncio.run(work()):
        raise typer.Exit(1)


@app.command()
def why(
    instance: Annotated[str, typer.Argument(help="The instance.")],
    flow: Annotated[str, typer.Argument(help="Which of its flows; not needed when it has one.")] = "",
) -> None:
    """Explain a flow's status down to its root causes, and what will happen next."""
    from instances.rules.causes import explain
    from prefect_optaic import actions, show
    from prefect_optaic.session import session

    async def work() -> None:
        async with session() as services:
            flow_id = services.repository.flow(instance, flow).flow_id
            judged = await actions.read_snapshot(services)
        explanation = explain(judged.world[flow_id], judged.world, judged.now, judged.standstills)
        console = show.output()
        show.show_whole(console, show.cause_tree(explanation))
        console.print(f"\nNext: {explanation.next_step}.", markup=False, highlight=False)
        show.show_standstills(console, judged.standstills)

    asyncio.run(work())


@app.command()
def freshness() -> None:
    """List all flows with what their freshness asks of them, and their next deadlines."""
    from prefect_optaic import actions, show
    from prefect_optaic.session import session

    async def work() -> None:
        async with session() as services:
            judged = await actions.read_snapshot(services)
        facts = [judged.world[flow.flow_id] for flow in judged.flows]
        show.show_whole(show.output(), show.freshness_table(facts, judged.world, judged.now))

    asyncio.run(work())


def _known_kind(kind: str | None) -> str | None:
    from definitions.contract import Kind

    if kind is not None and kind not in set(Kind):
        raise typer.BadParameter(f"{shown(kind)} is no kind of definition; the kinds are: {', '.join(Kind)}.")
    return kind


@app.command()
def definitions(
    kind: Annotated[
        str | None, typer.Argument(callback=_known_kind, help="Only those of a kind, like pipeline.")
    ] = None,
) -> None:
    """List the definitions that instances can refer to, with their parameters.

    With the contract by which the status of an instance follows from those of its flows. Exit code 1 when an installed
    package is broken, and brings none.
    """
    from rich.table import Table

    from definitions.registry import default_registry
    from prefect_optaic import show

    table = Table(box=None, pad_edge=False)
    for column in ("kind", "name", "version", "parameters", "what it does", "status_aggregation_contract"):
        table.add_column(column, overflow="fold")
    registry = default_registry()
    for d in registry.all():
        if kind is None or d.kind == kind:
            first_sentence = d.summary.partition(": ")[0].partition(". ")[0].rstrip(".")
            contract = _contract_text(d) if d.flow_kinds else ""
            if d.flow_specs:
                first_sentence += f"; brings the flow {', '.join(each.kind for each in d.flow_specs)}"
            parameters = ", ".join(d.parameters.model_fields)
            table.add_row(d.kind, d.name, str(d.version), parameters, first_sentence, contract)
    show.show_whole(show.output(), table)
    for error in registry.broken:
        typer.echo(f"error: {error}", err=True)
    if registry.broken:
        raise typer.Exit(1)


def _contract_text(definition: "Definition") -> str:
    """Return how an instance's status follows, in short where it is as usual."""
    from definitions.status_aggregation import Aggregation

    own = definition.aggregation
    return f"{own.aggregation_method}, default order" if own == Aggregation() else str(own)
