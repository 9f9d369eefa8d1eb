"""The colour of each status: one table for the terminal and for pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from instances.rules.flow_status import FlowStatus


@dataclass(frozen=True)
class StatusColour:
    """The colour's name in a terminal; the border and the background of a box, as `#rrggbb`."""

    terminal: str
    border: str
    fill: str


STATUS_COLOURS: Mapping[FlowStatus, StatusColour] = MappingProxyType(
    {
        FlowStatus.READY: StatusColour("green", "#1a7f37", "#dafbe1"),
        FlowStatus.RUNNING: StatusColour("blue", "#0969da", "#ddf4ff"),
        FlowStatus.STALE: StatusColour("yellow", "#9a6700", "#fff8c5"),
        FlowStatus.STALE_SOURCE_DELAYED: StatusColour("yellow", "#bc4c00", "#fff1e5"),
        FlowStatus.NOT_INITIALIZED: StatusColour("cyan", "#1b7c83", "#d6f5f5"),
        FlowStatus.ERROR: StatusColour("red", "#cf222e", "#ffebe9"),
        FlowStatus.UNKNOWN: StatusColour("magenta", "#8250df", "#fbefff"),
    }
)


def marked(status: FlowStatus) -> str:
    """Return a status in its colour, in the terminal's markup."""
    return f"[{STATUS_COLOURS[status].terminal}]{status}[/]"
