"""Evidently's page, with a view of a workspace that outlives all that happens there.

Started as `python -m prefect_optaic.stack.servers.evidently_page`.

Evidently 0.7 watches the files of its workspace from one thread. A project deleted through the page itself is
unknown by the time that its file's deletion is seen, and a file may be seen before all of it is written; either
error ends the thread, and no project made later shows until the server is started again.
"""

import logging
from pathlib import Path
from typing import Any
from uuid import UUID

import evidently.ui.service.storage.local.watcher as evidently_watcher
from evidently.cli import app
from evidently.cli.ui import ui  # noqa: F401 - registers the command
from watchdog.events import EVENT_TYPE_DELETED, FileSystemEvent

log = logging.getLogger(__name__)


class Watcher(evidently_watcher.WorkspaceDirHandler):  # type: ignore[misc]  # Evidently has no types
    """Evidently's handler of changed files, which goes on after an event that it can't handle."""

    def dispatch(self, event: FileSystemEvent) -> None:
        """Handle an event; an error is logged."""
        try:
            super().dispatch(event)
        except Exception:
            log.warning("%s of %s could not be followed", event.event_type, event.src_path, exc_info=True)

    def on_project_event(self, event: FileSystemEvent) -> None:
        """Know a project and its snapshots, or know neither."""
        state: Any = self.state
        project_id = UUID(Path(str(event.src_path)).parent.name)
        if event.event_type == EVENT_TYPE_DELETED:
            state.projects.pop(project_id, None)
            state.snapshots.pop(project_id, None)
            return
        state.snapshots.setdefault(project_id, {})  # Evidently does so at the first event alone, which may fail
        super().on_project_event(event)


def main() -> None:
    """Serve the page until it is stopped; the arguments are those of `evidently ui`."""
    evidently_watcher.WorkspaceDirHandler = Watcher
    app()


if __name__ == "__main__":
    main()
