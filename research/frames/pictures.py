"""Pictures: what a run shows, small enough to lie in an artifact."""

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100


@dataclass(frozen=True)
class Picture:
    """A PNG with a title."""

    title: str
    png: bytes

    @property
    def markdown(self) -> str:
        """The picture as Markdown that holds all of it, as a data URI."""
        return f"![{self.title}](data:image/png;base64,{base64.b64encode(self.png).decode()})"


def drawn(title: str, figure: "Figure") -> Picture:
    """Return the picture of a matplotlib figure.

    Make it with `matplotlib.figure.Figure`, not with pyplot: figures of pyplot live until they are closed.
    """
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight")
    return Picture(title, buffer.getvalue())


def over_time(height: float = 3.6) -> "tuple[Figure, Axes]":
    """Return an empty figure of that height in inches, whose horizontal axis is one of dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, height), facecolor="white")
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#e4e6ea", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#9aa0a9")
    axes.tick_params(labelsize=9, color="#9aa0a9")
    axes.margins(x=0)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    return figure, axes
