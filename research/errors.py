"""Errors of the data plane's plain functions: what, which value, and the remedy; and what the errors of all floors say.

A floor's own errors are in its own `errors`.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ResearchError(ValueError):
    """Base of every error that a function of research raises on bad input."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`; None when none is much like it."""
    return next(iter(get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence, to put after another one, that asks for the nearest known name; nothing when none is near."""
    near = nearest(name, known)
    return f" Did you mean {near!r}?" if near is not None else ""


def shown(value: object, letters: int = 60) -> str:
    """Return a value as a message shows it: as Python writes it, and not all of a long one."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # of more digits, or levels, than Python writes
        return "a value without end"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= letters else f"{text[:letters]} ..."


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
