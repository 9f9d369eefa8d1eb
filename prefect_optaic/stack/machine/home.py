"""The home of a stack: the folder that holds all its state, data and logs."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect_optaic.stack.errors import HomeBusy

_PATIENCE_SECONDS = 180.0


@dataclass(frozen=True)
class Home:
    """One folder, one stack."""

    root: Path

    @classmethod
    def current(cls) -> "Home":
        """Return the home that OPTAIC_HOME names, or else `.optaic` in the current folder."""
        return cls(Path(os.environ.get("OPTAIC_HOME") or ".optaic").expanduser().absolute())

    @property
    def state_file(self) -> Path:
        """What `up` started, and how to know it again."""
        return self.root / "stack.json"

    @property
    def postgres(self) -> Path:
        """The folder of the database cluster."""
        return self.root / "postgres"

    @property
    def prefect(self) -> Path:
        """The PREFECT_HOME of the server, the worker and the clients."""
        return self.root / "prefect"

    @property
    def data(self) -> Path:
        """The root of the stores, unless the Platform block says otherwise."""
        return self.root / "data"

    @property
    def mlflow(self) -> Path:
        """Where MLflow's models and pictures lie, unless the Platform block says otherwise."""
        return self.root / "mlflow"

    @property
    def evidently(self) -> Path:
        """Where Evidently's projects lie, unless the Platform block says otherwise."""
        return self.root / "evidently"

    def log(self, name: str) -> Path:
        """Return the path of a process's log."""
        return self.root / "logs" / f"{name}.log"

    def create(self) -> None:
        """Make the folders; git ignores them."""
        for folder in (self.root, self.root / "logs", self.prefect, self.data):
            folder.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")

    @contextmanager
    def lock(self, note: Callable[[str], None]) -> Iterator[None]:
        """Let one `up` or `down` at a time work here; the others wait, and say so. Raises `HomeBusy`."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as file:
            if not _locked(file.fileno()):
                note(f"another command is at work in {self.root}; waiting for its end")
                deadline = time.monotonic() + _PATIENCE_SECONDS
                while not _locked(file.fileno()):
                    if time.monotonic() > deadline:
                        raise HomeBusy(self.root, _PATIENCE_SECONDS)
                    time.sleep(0.1)
            yield


def _locked(descriptor: int) -> bool:
    """Try to take the lock; it goes with the descriptor, so no crash can leave it behind."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
