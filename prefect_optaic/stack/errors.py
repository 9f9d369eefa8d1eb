"""Errors of the local stack: what, which value, and the remedy."""

from collections.abc import Sequence
from pathlib import Path

from definitions.addresses import redacted
from instances.errors import OptaicError


class StackError(OptaicError):
    """Base of what can go wrong around the stack."""


class NoStack(StackError):
    """Nothing to talk to: no stack runs in this home, and no address is set."""

    def __init__(self, home: Path, because: Exception | None = None) -> None:
        why = "" if because is None else f"\n{because}"
        super().__init__(f"no stack runs here ({home}): run `optaic up`, or set PREFECT_API_URL.{why}")


class ServiceDied(StackError):
    """A process of the stack ended while it was needed."""

    def __init__(self, name: str, pid: int, log: Path, tail: Sequence[str], code: int | None = None) -> None:
        self.name = name
        how = "" if code is None else f" with exit code {code}"
        super().__init__(f"{name} (pid {pid}) has died{how}. {log_end(log, tail)}")


class ServiceSlow(StackError):
    """A process of the stack runs, but does not answer in time."""

    def __init__(self, name: str, seconds: float, log: Path, tail: Sequence[str]) -> None:
        super().__init__(
            f"{name} did not answer within {seconds:.0f} s: run `optaic down`, then `optaic up`. {log_end(log, tail)}"
        )


class PortTaken(StackError):
    """Another process was quicker to listen on the port that the server was to have."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} was taken by another process while the server started: run `optaic up` again.")


class StepFailed(StackError):
    """A command that the stack ran to its end failed."""

    def __init__(self, what: str, code: int, log: Path, tail: Sequence[str]) -> None:
        super().__init__(f"{what} failed with exit code {code}. {log_end(log, tail)}")


class ForeignPackages(StackError):
    """The folder in which runs are to work has packages with the names of ours."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        super().__init__(
            f"{folder} has packages of its own named {', '.join(names)}, which runs that work there would import "
            "instead of this project's: run `optaic up` in another folder."
        )


class HalfExternal(StackError):
    """A database of one's own, but no Prefect server."""

    def __init__(self) -> None:
        super().__init__(
            "OPTAIC_DATABASE_URL is set, but PREFECT_API_URL is not: set both to use servers of your own, "
            "or unset OPTAIC_DATABASE_URL for the embedded stack."
        )


class Unreachable(StackError):
    """A server of one's own that does not answer."""

    def __init__(self, variable: str, value: str, why: str) -> None:
        super().__init__(
            f"{variable}={redacted(value)} does not answer ({redacted(why)}). Start that server or correct the "
            "address; unset PREFECT_API_URL and OPTAIC_DATABASE_URL to use the embedded stack."
        )


class HomeBusy(StackError):
    """Another command is at work in this home."""

    def __init__(self, home: Path, seconds: float) -> None:
        super().__init__(
            f"another `optaic up` or `optaic down` has been at work in {home} for more than {seconds:.0f} s: "
            "wait for its end, or end it, and run this again."
        )


class UnreadableState(StackError):
    """The state file is not what this code writes."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"cannot read the state file {path} ({why}). Remove it after ending the processes it names.")


class NoSystemUser(StackError):
    """Postgres refuses to run as root, and no user for it could be had."""

    def __init__(self, user: str, why: str) -> None:
        super().__init__(
            f"PostgreSQL does not run as root, and it could not run as the system user {user!r} ({why}). "
            "Run this as an ordinary user."
        )


def log_end(log: Path, tail: Sequence[str]) -> str:
    """Return the sentence that shows where a log is and how it ends."""
    if not tail:
        return f"Its log, {log}, is empty."
    return f"The end of its log, {log}:\n" + "\n".join(f"  | {line}" for line in tail)
