"""The state file: what `up` started here, written before anything is waited for."""

import json
import os
from dataclasses import asdict, dataclass, field

from prefect_optaic.stack.errors import UnreadableState
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.machine.processes import Record

SERVICES = ("postgres", "server", "worker", "mlflow", "evidently")
PAGES = SERVICES[3:]  # only with `--with-ui`


@dataclass
class State:
    """What is recorded of the stack of one home."""

    home: Home
    socket_dir: str | None = None
    services: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def load(cls, home: Home) -> "State":
        """Read the state; that of a home where nothing was started is empty. Raises `UnreadableState`."""
        try:
            raw = json.loads(home.state_file.read_text())
            services = {name: Record(**values) for name, values in raw["services"].items()}
            return cls(home, raw["socket_dir"], services)
        except FileNotFoundError:
            return cls(home)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableState(home.state_file, str(error)) from error

    @property
    def api_url(self) -> str | None:
        """The address of the recorded server's API."""
        server = self.services.get("server")
        return None if server is None else f"http://127.0.0.1:{server.port}/api"

    @property
    def empty(self) -> bool:
        """Is nothing recorded?"""
        return not self.services

    def record(self, service: Record) -> None:
        """Add or replace a service, and write it down."""
        self.services[service.name] = service
        self.save()

    def forget(self, name: str) -> None:
        """Remove a service, and write that down."""
        self.services.pop(name, None)
        self.save()

    def save(self) -> None:
        """Write the file at once or not at all; nothing recorded means no file."""
        path = self.home.state_file
        if self.empty and self.socket_dir is None:
            path.unlink(missing_ok=True)
            return
        content = {"socket_dir": self.socket_dir, "services": {n: asdict(r) for n, r in self.services.items()}}
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(content, indent=2))
        os.replace(draft, path)
