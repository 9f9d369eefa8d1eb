"""Arguments: what may stand on the command line at all, before any command looks at it."""

from collections.abc import Iterable

from instances.errors import OptaicError
from research.errors import shown

LONGEST = 4096  # letters: those of the longest path that Linux knows
LONGEST_WORD = 200  # of what is no path


class UnusableArgument(OptaicError):
    """An argument that nothing can be called by, and that no number is written like."""


def check_arguments(arguments: Iterable[str]) -> None:
    """Raise `UnusableArgument` for one that holds what is no text, or that has no end."""
    for number, argument in enumerate(arguments, start=1):
        if "\0" in argument or any("\ud800" <= letter <= "\udfff" for letter in argument):
            raise UnusableArgument(f"argument {number}, {shown(argument)}, holds what is no text: write it anew.")
        if len(argument) > (LONGEST if "/" in argument else LONGEST_WORD):
            raise UnusableArgument(
                f"argument {number}, {shown(argument)}, has {len(argument):,} letters; no name or number has more than "
                f"{LONGEST_WORD}, and no path more than {LONGEST:,}: correct it."
            )
