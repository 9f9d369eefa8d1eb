"""Texts of the expression language: read by Python's own parser, with the places of what is wrong in them."""

import ast
from dataclasses import dataclass

from research.errors import ResearchError

_SHOWN = 120  # letters of a text at most, those around the place


@dataclass(frozen=True)
class Place:
    """Where in the text something stands: its first column, from 0, and its length in characters."""

    start: int
    length: int = 1


class ExpressionError(ResearchError):
    """An expression that can't be read or evaluated; shows the place."""

    def __init__(self, text: str, place: Place, problem: str, *, within: str = "the expression") -> None:
        first = max(0, place.start - _SHOWN // 2) if len(text) > _SHOWN else 0
        before, after = "... " if first else "", " ..." if len(text) > first + _SHOWN else ""
        marks = "^" * max(1, min(place.length, first + _SHOWN - place.start))
        shown = f"{before}{text[first : first + _SHOWN]}{after}"
        at = " " * (len(before) + place.start - first)
        super().__init__(f"in {within}, at column {place.start + 1}:\n  {shown}\n  {at}{marks}\n{problem}")


def one_line(text: str) -> str:
    """Return the text with its line breaks as spaces."""
    return "".join(" " if char.isspace() else char for char in text).strip()


def read(line: str, *, within: str = "the expression") -> ast.expr:
    """Return Python's syntax tree of a text of one line; nothing of it is ever run.

    Raises `ExpressionError` where it is empty, or not of Python's syntax.
    """

    def error(start: int, problem: str) -> ExpressionError:
        return ExpressionError(line, Place(start), problem, within=within)

    if not line:
        raise error(0, "it is empty: write one, like REF(close, 1)")
    if (comment := line.find("#")) >= 0:
        raise error(comment, "a comment has no place here: leave it out")
    try:
        return ast.parse(line, mode="eval").body
    except SyntaxError as problem:
        if not problem.offset and problem.msg == "invalid syntax":
            raise error(len(line), "it ends too early: something is missing here") from problem
        raise error(max(problem.offset or 0, 1) - 1, f"it can't be read: {problem.msg}") from problem
    except (ValueError, RecursionError, MemoryError) as problem:
        raise error(0, "it can't be read: write it more simply") from problem


def place_in(line: str, tree: ast.expr) -> Place:
    """Return where in its text a syntax tree stands."""
    # Python counts bytes of UTF-8.
    data = line.encode()
    start = len(data[: tree.col_offset].decode())
    return Place(start, len(data[tree.col_offset : tree.end_col_offset].decode()))
