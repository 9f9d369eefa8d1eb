"""The lineage as a picture: SVG of a graph that is laid out, PNG of that, and the artifact `lineage`."""

import base64
from collections import Counter
from collections.abc import Iterator
from html import escape
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact

from definitions.markdown_table import markdown_table
from flows.drawing.lineage_layout import BOX, EdgeKind, Graph, Link, Node
from flows.drawing.status_colours import STATUS_COLOURS
from flows.integrations.prefect_api import PrefectApi

KEY = "lineage"
MOST_FLOWS = 400  # in the artifact; a larger picture is too much for a page

_DASHES = {
    EdgeKind.STRICT: "",
    EdgeKind.TOLERANT: ' stroke-dasharray="7 4"',
    EdgeKind.OPTIONAL: ' stroke-dasharray="2 4"',
}
_INK, _GREY = "#1f2328", "#57606a"
_MARGIN = 20.0
_PIXELS = 16_000  # of a PNG's longer side at most
_ENTRY, _LINE = 240.0, 24.0  # of the legend


def to_svg(graph: Graph) -> str:
    """Return the picture as SVG, with a legend of what it shows."""
    entries = [*_list_statuses(graph), *_list_edge_kinds(graph)]
    columns = max(3, int(graph.width // _ENTRY))
    rows = -(-len(entries) // columns)
    top = _MARGIN + rows * _LINE + 10
    width = max(graph.width, min(len(entries), columns) * _ENTRY) + 2 * _MARGIN
    height = top + graph.height + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="12">',
            f'<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="{_GREY}"/></marker></defs>',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *_draw_legend(entries, columns),
            f'<g transform="translate({_MARGIN:.0f} {top:.0f})">',
            f'<g fill="none" stroke="{_GREY}" stroke-width="1.3" marker-end="url(#arrow)">',
            *(_draw_link(link) for link in graph.links),
            "</g>",
            *(_draw_box(node) for node in graph.nodes),
            "</g>",
            "</svg>",
        ]
    )


def to_png(graph: Graph) -> bytes:
    """Return the picture as PNG: sharp, but where it is very large."""
    from resvg_py import svg_to_bytes

    # A container may have no fonts at all; those that matplotlib brings along will do.
    matplotlib = find_spec("matplotlib")
    folders = [
        str(Path(place) / "mpl-data/fonts/ttf")
        for place in (matplotlib and matplotlib.submodule_search_locations) or ()
    ]
    return svg_to_bytes(
        svg_string=to_svg(graph),
        zoom=min(2.0, _PIXELS / max(graph.width, graph.height, 1)),
        font_dirs=folders,
        sans_serif_family="DejaVu Sans",
    )


def _list_statuses(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield a sample and its words for each status that some flow has."""
    counts = Counter(node.status for node in graph.nodes)
    for status, colour in STATUS_COLOURS.items():
        if counts[status]:
            sample = f'<rect y="-11" width="26" height="15" rx="3" fill="{colour.fill}" stroke="{colour.border}"/>'
            yield sample, f"{status} ({counts[status]})"


def _list_edge_kinds(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield a sample and its words for each kind of edge, where there is any but the usual one."""
    kinds = {link.kind for link in graph.links}
    if kinds - {EdgeKind.STRICT}:
        for kind in EdgeKind:
            if kind in kinds:
                yield f'<path d="M0 -4 H26" stroke="{_GREY}" stroke-width="1.3"{_DASHES[kind]}/>', f"{kind} edge"


def _draw_legend(entries: list[tuple[str, str]], columns: int) -> Iterator[str]:
    for number, (sample, words) in enumerate(entries):
        row, column = divmod(number, columns)
        place = f"{_MARGIN + column * _ENTRY:.0f} {_MARGIN + row * _LINE + 12:.0f}"
        yield f'<g transform="translate({place})">{sample}<text x="34" fill="{_INK}">{words}</text></g>'


def _draw_box(node: Node) -> str:
    colour = STATUS_COLOURS[node.status]
    middle = node.x + node.width / 2
    return (
        f'<rect x="{node.x:.1f}" y="{node.y:.1f}" width="{node.width:.1f}" height="{BOX:.0f}" rx="6" '
        f'fill="{colour.fill}" stroke="{colour.border}" stroke-width="1.4"/>'
        f'<text x="{middle:.1f}" y="{node.y + 16:.1f}" text-anchor="middle" fill="{_INK}">{escape(node.label)}</text>'
        f'<text x="{middle:.1f}" y="{node.y + 30:.1f}" text-anchor="middle" fill="{colour.border}" font-size="9.5">'
        f"{node.status_text}</text>"
    )


def _draw_link(link: Link) -> str:
    """Draw an edge: a curve between two columns, a level line across one."""
    x, y = link.points[0]
    path = [f"M{x:.1f} {y:.1f}"]
    for (x, y), (to_x, to_y) in pairwise(link.points):
        bend = (to_x - x) / 2
        path.append(f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
    return f'<path d="{"".join(path)}"{_DASHES[link.kind]}/>'


async def save_lineage(prefect: PrefectApi, graph: Graph) -> bool:
    """Keep the picture as the artifact `lineage`, in the place of the last one, if it shows anything new.

    One request when it does not. The last one goes, for a day may have a thousand.
    """
    last = await prefect.newest_artifact(KEY)
    description = f"{len(graph.nodes)} flows and what they read, `{graph.digest}`."
    if last and last["description"] == description:
        return False
    await acreate_markdown_artifact(to_markdown(graph), key=KEY, description=description)
    if last:
        await prefect.delete_artifact(UUID(last["id"]))  # bootstrap and the sweep may both replace it
    return True


def to_markdown(graph: Graph) -> str:
    """Return the picture as Markdown; of a lineage too large for a page only how many flows have which status."""
    if len(graph.nodes) <= MOST_FLOWS:
        data = base64.b64encode(to_svg(graph).encode()).decode()
        return f"![The lineage](data:image/svg+xml;base64,{data})"
    counts = Counter(node.status for node in graph.nodes)
    rows = [(status, counts[status]) for status in STATUS_COLOURS if counts[status]]
    more = "The picture is too large for a page: `optaic graph --out lineage.svg` draws it."
    return "\n".join([*markdown_table(("status", "flows"), rows), "", more])
