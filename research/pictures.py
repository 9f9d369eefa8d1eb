"""Pictures: what a run shows, small enough to lie in an artifact."""

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
