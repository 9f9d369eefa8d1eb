"""`optaic requests` and `withdraw`."""

import asyncio
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def requests() -> None:
    """List the runs that are asked for and have not got to work yet, and what each waits for."""
    from prefect_optaic import actions, show
    from prefect_optaic.session import session

    async def work() -> None:
        async with session() as services:
            judged = await actions.read_snapshot(services)
        asked_for = [judged.world[flow.flow_id] for flow in judged.flows if judged.world[flow.flow_id].requests]
        if asked_for:
            show.show_whole(show.output(), show.requests_table(asked_for, judged.world, judged.now, judged.standstills))
        else:
            show.output().print("nothing is asked for", highlight=False)

    asyncio.run(work())


@app.command()
def withdraw(
    instance: Annotated[str, typer.Argument(help="The instance.")],
    flow: Annotated[str, typer.Argument(help="Which of its flows; not needed when it has one.")] = "",
) -> None:
    """Take back what is asked for of a flow; exit code 1 when nothing is."""
    from prefect_optaic import actions, show
    from prefect_optaic.session import session

    async def work() -> bool:
        async with session() as services:
            withdrawal = await actions.withdraw(services, services.repository.flow(instance, flow))
        show.show_withdrawal(show.output(), withdrawal)
        return withdrawal.count > 0

    if not asyncio.run(work()):
        raise typer.Exit(1)
