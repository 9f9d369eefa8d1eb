"""`optaic graph`: the lineage, flow by flow, on the terminal or as a picture."""

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instances.errors import OptaicError

if TYPE_CHECKING:
    from rich.table import Table

    from flows.drawing.lineage_layout import Graph

app = typer.Typer()


class UnknownPicture(OptaicError):
    """A file name that says neither SVG nor PNG."""

    def __init__(self, out: Path) -> None:
        super().__init__(f"{out} is neither an .svg nor a .png file: end its name with one of them.")


@app.command()
def graph(
    out: Annotated[Path | None, typer.Option(help="Draw it into this .svg or .png file instead.")] = None,
) -> None:
    """Show the lineage, flow by flow, with each flow's status: in layers, upstream first."""
    from flows.drawing.lineage_layout import lay_out_lineage
    from flows.reading.status_reader import aggregation_of
    from prefect_optaic import actions, show
    from prefect_optaic.session import session

    if out is not None and out.suffix.lower() not in {".svg", ".png"}:
        raise UnknownPicture(out)

    async def work() -> "Graph":
        async with session() as services:
            judged = await actions.read_snapshot(services)
            return lay_out_lineage(judged.world, partial(aggregation_of, services), judged.now)

    picture = asyncio.run(work())
    console = show.output()
    if out is None:
        show.show_whole(console, layer_table(picture))
    else:
        _draw(picture, out)
        console.print(f"[green]✓[/] {out}: {len(picture.nodes)} flows, {len(picture.links)} edges", highlight=False)


def layer_table(graph: "Graph") -> "Table":
    """Return a row for each flow, layer by layer; the flows that it reads stand below its name."""
    from rich.markup import escape
    from rich.table import Table

    from flows.drawing.lineage_layout import EdgeKind
    from flows.drawing.status_colours import marked

    labels = {node.flow_id: node.label for node in graph.nodes}
    reads: dict[str, list[str]] = {label: [] for label in labels.values()}
    for link in graph.links:
        how = "" if link.kind is EdgeKind.STRICT else f" ({link.kind})"
        reads[labels[link.downstream]].append(f"{labels[link.upstream]}{how}")
    table = Table(box=None, pad_edge=False)
    table.add_column("layer")
    table.add_column("flow", overflow="fold")
    table.add_column("status", overflow="fold", no_wrap=True)
    layer = -1
    for node in graph.nodes:
        status = marked(node.status) + node.status_text.removeprefix(node.status)
        first = "" if node.layer == layer else str(node.layer + 1)
        layer = node.layer
        read = f"\n[dim]  reads {escape(', '.join(reads[node.label]))}[/]" if reads[node.label] else ""
        table.add_row(first, escape(node.label) + read, status)
    return table


def _draw(graph: "Graph", out: Path) -> None:
    from flows.drawing.lineage_svg import to_png, to_svg
    from prefect_optaic.planfile import write

    write(out, to_svg(graph).encode() if out.suffix.lower() == ".svg" else to_png(graph))
