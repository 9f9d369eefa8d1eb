"""Tables in Markdown, as the artifacts of runs and plans have them."""

import re
from collections.abc import Iterable, Sequence

import polars as pl

# The backslashes before a mark are doubled: after an even number of them it would not be escaped.
_PIPE = re.compile(r"(\\*)\|")
_MARK = re.compile(r"(\\*)([|`])")


class Code(str):
    """Text of a cell that is shown as code; its backticks become apostrophes."""


def markdown_table(header: Sequence[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the lines of a table. Whatever a cell holds, it stays one cell of one line."""
    return [_line(header), "|" + " --- |" * len(header), *map(_line, rows)]


def frame_table(frame: pl.DataFrame) -> list[str]:
    """Return a frame as the lines of a table, with its columns for the header."""
    return markdown_table(frame.columns, frame.iter_rows())


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(value: object) -> str:
    text = " ".join(str(value).splitlines())
    if not isinstance(value, Code):
        return _MARK.sub(r"\1\1\\\2", text)
    text = _PIPE.sub(r"\1\1\\|", text).replace("`", "'")
    return f"`{text}`" if text else ""
