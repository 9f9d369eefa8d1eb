"""`optaic pause` and `resume`."""

import asyncio
from typing import Annotated

import typer

app = typer.Typer()

Instance = Annotated[str, typer.Argument(help="The instance.")]
Flow = Annotated[str, typer.Argument(help="Which of its flows; all of them when left out.")]


@app.command()
def pause(instance: Instance, flow: Flow = "") -> None:
    """Let nothing start an instance's flows by itself: no schedule, no cascade, no sweep. An apply leaves it so."""
    asyncio.run(_set_paused(instance, flow, paused=True))


@app.command()
def resume(instance: Instance, flow: Flow = "") -> None:
    """Let an instance's flows be started by themselves again, paused schedules too."""
    asyncio.run(_set_paused(instance, flow, paused=False))


async def _set_paused(instance: str, flow: str, *, paused: bool) -> None:
    from prefect_optaic import actions, show
    from prefect_optaic.session import session

    async with session() as services:
        repository = services.repository
        several = () if flow else repository.flows(instances=[instance])
        changes = await actions.set_paused(services, several or [repository.flow(instance, flow)], paused=paused)
    show.show_pauses(show.output(), changes)
