"""Errors of the control plane: what, which value, and the remedy."""

from collections.abc import Mapping, Sequence
from typing import Self

from research.errors import nearest, shown

SHOWN = 10  # names in a message at most


class OptaicError(Exception):
    """Base of the errors that a caller can act on; the message says what, which value, and the remedy."""


class Problem(str):
    """A sentence that says what is wrong with one instance, and the remedy.

    Text that is no `Problem` tells of what is wrong with the whole: no instance alone can be held back for it.
    """

    instance: str

    def __new__(cls, instance: str, text: str) -> Self:
        problem = super().__new__(cls, text)
        problem.instance = instance
        return problem


def located(problem: Problem, places: Mapping[str, str]) -> Problem:
    """Return a problem with the place where its instance is described, as it is where that is not known or told."""
    place = places.get(problem.instance)
    told = place is None or not place or place in problem
    return problem if told else Problem(problem.instance, f"{problem} ({place})")


class InvalidSpec(OptaicError):
    """What the user describes cannot exist; all problems are reported together."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{_counted(self.problems)}, nothing was written:\n{_listed(self.problems)}")


class LeftOut(OptaicError):
    """Some of what is described has something wrong, and was left out with all that reads it; the rest was not."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            f"{_counted(self.problems)}; what has it is left out, the rest is not:\n{_listed(self.problems)}"
        )


def _counted(problems: Sequence[str]) -> str:
    return "1 problem" if len(problems) == 1 else f"{len(problems)} problems"


def held_text(held: Sequence[str]) -> str:
    """Return a line that names the instances which are left out for the problems of others."""
    return f"left out too, as they read what is wrong or left out: {first_names(held)}"


def first_names(names: Sequence[str]) -> str:
    """Return the names as a message shows them: not all of many."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN]) or 'none'}{more}"


def _listed(problems: Sequence[str]) -> str:
    return "\n".join("  - " + problem.replace("\n", "\n    ") for problem in problems)


class UnknownInstance(OptaicError):
    """No instance of that name is on record; `known` are those that could be meant, `renamed` what was called so."""

    def __init__(self, name: str, known: Sequence[str], renamed: Sequence[str] = ()) -> None:
        if renamed:
            present = " and ".join(map(repr, sorted(renamed)))
            super().__init__(
                f"there is no instance named {name!r} any more: it is called {present} now. Say that name."
            )
            return
        near = nearest(name, known)
        hint = f"did you mean {near!r}?" if near is not None else f"there are: {first_names(sorted(known))}."
        super().__init__(
            f"there is no instance named {shown(name, 80)}; {hint} "
            "Apply a manifest that describes it, or correct the name."
        )


class UnreadableRow(OptaicError):
    """The row of an instance in the extension database holds what no instance can be."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"the row of {name!r} in the extension database can't be read: {why}. `optaic apply` writes it anew from "
            f"its block, or `optaic destroy {name}` removes it."
        )


class UnknownFlow(OptaicError):
    """The instance has no flow of that kind."""

    def __init__(self, instance: str, flow: str, known: Sequence[str]) -> None:
        listed = ", ".join(known) or "none (it is a part of other instances)"
        problem = f"has no flow {shown(flow)}" if flow else "has not just one flow: say which"
        super().__init__(f"instance {shown(instance, 80)} {problem}; its flows are: {listed}.")


class UnknownHandle(OptaicError):
    """A handle that an instance of its type has no place for."""

    def __init__(self, instance: str, type_: str, handle: str, known: Sequence[str]) -> None:
        listed = ", ".join(known) or "none"
        super().__init__(f"{type_} {instance!r} has no handle {handle!r}; its handles are: {listed}. Use one of those.")


class FlowGone(OptaicError):
    """The flow of a run was destroyed while the run was at work."""

    def __init__(self) -> None:
        super().__init__(
            "the instance of this run, or this flow of it, was destroyed while the run was at work: it writes nothing "
            "any more. To have the instance again, apply what describes it, and run it."
        )


class NotMigrated(OptaicError):
    """The extension database is not at the schema version of this code."""

    def __init__(self, found: str | None, wanted: str) -> None:
        super().__init__(
            f"the extension database is at schema version {found or 'none'}, this code needs {wanted}. "
            "Run `optaic up`; with PREFECT_API_URL and OPTAIC_DATABASE_URL set it prepares servers of your own."
        )
