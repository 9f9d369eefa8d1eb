"""`optaic promote`."""

import asyncio
import datetime as dt
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def promote(
    instance: Annotated[str, typer.Argument(help="A model, or an experiment or a dataset with --as.")],
    version: Annotated[str, typer.Argument(help="Of a model: the version that becomes the champion.")] = "",
    previous: Annotated[
        bool, typer.Option("--previous", help="Of a model: go back to the champion before this one.")
    ] = False,
    signal: Annotated[str, typer.Option("--as", help="Of an experiment or a dataset: the name of its signal.")] = "",
    least: Annotated[float | None, typer.Option("--min", help="The least value that the signal may have.")] = None,
    most: Annotated[float | None, typer.Option("--max", help="The greatest value that the signal may have.")] = None,
    column: Annotated[str, typer.Option(help="Of a dataset that has several: the column of the signal.")] = "",
) -> None:
    """Make a version the champion of its model, or a signal of an experiment or of a dataset's column."""
    if (bool(version), previous, bool(signal)).count(True) != 1:
        raise typer.BadParameter(
            "say the version of a model or --previous, or --as SIGNAL for an experiment or a dataset; one of the three."
        )
    if not signal and (column or least is not None or most is not None):
        raise typer.BadParameter("--min, --max and --column are for --as SIGNAL: a version of a model has none.")
    if signal:
        _signal(instance, signal, bounds=(least, most), column=column)
    else:
        asyncio.run(_model(instance, version or None))


def _signal(instance: str, signal: str, *, bounds: tuple[float | None, float | None], column: str) -> None:
    from prefect_optaic.commands.changes import apply_in
    from prefect_optaic.promotion import bounds_of, scope_of_signal
    from prefect_optaic.session import session

    signal_spec = bounds_of(signal, least=bounds[0], most=bounds[1])

    async def work() -> None:
        async with session() as services:
            scope = await scope_of_signal(services, instance, signal, signal_spec, column=column)
            await apply_in(services, scope, yes=False)

    asyncio.run(work())


async def _model(instance: str, version: str | None) -> None:
    """Promote a version of a model, None for the champion before."""
    from rich.console import Console

    from prefect_optaic.promotion import not_started, previous_version, promote_version, training_flow
    from prefect_optaic.session import session

    async with session() as services:
        training = training_flow(services, instance)
        version = version or previous_version(services, training)
        looked = await promote_version(services, training, version)
    console = Console()
    console.print(f"[green]✓[/] version {version} is the champion of {instance}", highlight=False)
    for flow_id in looked.started:
        console.print(f"  {looked.world[flow_id].label} was started", highlight=False)
    for sentence in not_started(looked, dt.datetime.now(dt.UTC)):
        console.print(f"  {sentence}", highlight=False, markup=False, soft_wrap=True)
