"""What `up` and `down` show while they work: one line per step, with its time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape


@dataclass
class Step:
    """A step under way; `detail` is shown when it is done."""

    detail: str = ""


class Progress:
    """Steps that may run side by side, on one console."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(quiet=True)
        self._status = self.console.status("")
        self._running: list[str] = []
        self._lock = threading.Lock()

    @contextmanager
    def step(self, what: str) -> Iterator[Step]:
        """Show a step while it runs, and its time when it is done; a failed one leaves no line."""
        step, started = Step(), time.monotonic()
        self._update(add=what)
        try:
            yield step
        finally:
            self._update(remove=what)
        seconds = time.monotonic() - started
        detail = escape(step.detail)
        self.console.print(
            f"[green]✓[/] {escape(what):<22} [dim]{seconds:5.1f} s[/]  {detail}", highlight=False, soft_wrap=True
        )

    def note(self, text: str) -> None:
        """Say something that is not a step."""
        self.console.print(f"[yellow]•[/] {escape(text)}", highlight=False, soft_wrap=True)

    def _update(self, *, add: str | None = None, remove: str | None = None) -> None:
        with self._lock:
            if add:
                self._running.append(add)
            if remove:
                self._running.remove(remove)
            if not self._running:
                self._status.stop()
                return
            self._status.update(escape(", ".join(self._running)) + " ...")
            self._status.start()
