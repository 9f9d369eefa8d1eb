"""Errors of the control plane: what, which value, and the remedy."""

from collections.abc import Sequence

from research.errors import nearest

SHOWN = 10  # names in a message at most


class OptaicError(Exception):
    """Base of the errors that a caller can act on; the message says what, which value, and the remedy."""


class InvalidSpec(OptaicError):
    """What the user describes cannot exist; all problems are reported together."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(
            f"{head}, nothing was written:\n"
            + "\n".join("  - " + problem.replace("\n", "\n    ") for problem in self.problems)
        )


class UnknownInstance(OptaicError):
    """No instance of that name is on record; `known` are those that could be meant."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        near = nearest(name, known)
        listed = ", ".join(sorted(known)[:SHOWN]) or "none"
        more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
        hint = f"did you mean {near!r}?" if near is not None else f"there are: {listed}{more}."
        super().__init__(
            f"there is no instance named {name!r}; {hint} Apply a manifest that describes it, or correct the name."
        )


class UnknownFlow(OptaicError):
    """The instance has no flow of that kind."""

    def __init__(self, instance: str, flow: str, known: Sequence[str]) -> None:
        listed = ", ".join(known) or "none (it is a part of other instances)"
        problem = f"has no flow {flow!r}" if flow else "has not just one flow: say which"
        super().__init__(f"instance {instance!r} {problem}; its flows are: {listed}.")


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
