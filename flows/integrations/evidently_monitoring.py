"""Evidently: the project of each model instance, with the snapshots and reports of its monitoring runs."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from definitions.addresses import redacted, served
from definitions.work.models.drift import Drift
from definitions.work.models.model_settings import DriftSettings
from flows.integrations.evidently_drift import compare, read
from instances.errors import OptaicError
from research.errors import first_line

if TYPE_CHECKING:
    import pandas as pd
    from evidently.core.report import Snapshot
    from evidently.ui.workspace import Project as EvidentlyProject
    from evidently.ui.workspace import WorkspaceBase

_WRITTEN_WITHIN = 2.0  # seconds


class MonitoringError(OptaicError):
    """Evidently does not answer, or does not do what is asked of it."""

    def __init__(self, workspace: str, doing: str, why: str) -> None:
        super().__init__(
            f"Evidently at {redacted(workspace)} could not {doing}: {redacted(why).strip().rstrip('.')}. Check that it "
            "can be reached and written to; the field evidently_workspace of the Platform block says where it is."
        )


@dataclass(frozen=True)
class Project:
    """A project that this installation made; `whole` when its dashboard has all panels."""

    id: UUID
    name: str
    whole: bool = True


class Monitoring:
    """Evidently in one workspace: a folder, or the URL of a service.

    A project's id follows from the installation and the name, so that whoever makes it, and however many at
    once, there is one. All methods raise `MonitoringError` when Evidently does not answer.
    """

    def __init__(self, workspace: str, *, owner_tag: str) -> None:
        self._at = workspace
        self._owner_tag = owner_tag
        with self._translated("be opened"):
            self._workspace = _opened(workspace)

    def project_id(self, name: str) -> UUID:
        """Return the id that the project of that name has, made or not."""
        return uuid5(NAMESPACE_URL, f"optaic:{self._owner_tag}/{name}")

    def projects(self) -> Mapping[str, Project]:
        """Return those that this installation made, by name."""
        with self._translated("list projects"):
            return {
                found.name: _project(found)
                for found in self._all()
                if f"[{self._owner_tag}]" in (found.description or "")
            }

    def find(self, name: str) -> Project | None:
        """Return our project of that name."""
        with self._translated(f"look for the project {name!r}"):
            found = self._get(self.project_id(name))
            return None if found is None else _project(found)

    def ensure(self, name: str) -> Project:
        """Return our project of that name: found, made whole, or made."""
        from evidently.sdk.models import ProjectModel

        with self._translated(f"make the project {name!r}"):
            project = self._get(self.project_id(name))
            if project is None:
                about = f"Monitoring of the model instance {name} [{self._owner_tag}]"
                wanted = ProjectModel(id=self.project_id(name), name=name, description=about)
                project = self._workspace.add_project(wanted)
            for panel in _missing_panels(project):
                project.dashboard.add_panel(panel)
            return Project(project.id, name)

    def delete(self, name: str) -> None:
        """Delete our project of that name with its snapshots and reports; nothing where there is none."""
        with self._translated(f"delete the project {name!r}"):
            if self.find(name) is not None:
                self._workspace.delete_project(self.project_id(name))

    def check(
        self,
        name: str,
        *,
        prefect_run: UUID,
        current: "pd.DataFrame",
        reference: "pd.DataFrame",
        features: Sequence[str],
        rules: DriftSettings,
    ) -> Drift:
        """Compare current rows with the reference, and keep snapshot and report in the project of that name.

        Both frames have the columns `features`, `prediction` and `target` (NaN where it is not known yet).
        In a folder, a Prefect run tried again replaces its snapshot and its report; a service keeps both.
        Raises `NothingToCompare`.
        """
        project = self.ensure(name)
        metadata = {"prefect_run": str(prefect_run)}
        snapshot = compare(current, reference, features=features, rules=rules, metadata=metadata)
        snapshot.set_name(f"monitor {str(prefect_run)[:8]}")
        share, scores, performance = read(snapshot)
        with self._translated(f"keep what was found for the project {name!r}"):
            snapshot_id, page = self._keep(project, prefect_run, snapshot)
        return Drift(
            drifted=share >= rules.share,
            share=share,
            drifted_columns=tuple(name for name in features if scores[name] >= rules.column_threshold),
            scores=scores,
            performance=performance,
            rows=len(current),
            reference_rows=len(reference),
            snapshot_id=snapshot_id,
            page=page,
            threshold=rules.column_threshold,
            share_threshold=rules.share,
        )

    def _keep(self, project: Project, prefect_run: UUID, snapshot: "Snapshot") -> tuple[UUID, str]:
        """Store a snapshot and return its id with the path or URL of its report."""
        from evidently.ui.workspace import Workspace

        if not isinstance(self._workspace, Workspace):
            kept = self._workspace.add_run(project.id, snapshot)
            return UUID(str(kept.id)), kept.url
        state = self._workspace.state
        state.write_snapshot(project.id, prefect_run, snapshot.to_snapshot_model())
        state.location.makedirs(f"{project.id}/reports")
        with state.location.open(f"{project.id}/reports/{prefect_run}.html", "w") as file:
            file.write(snapshot.get_html_str(as_iframe=False))
        return prefect_run, f"{self._at.rstrip('/')}/{project.id}/reports/{prefect_run}.html"

    def _get(self, project_id: UUID) -> "EvidentlyProject | None":
        from evidently.errors import EvidentlyError

        try:
            return self._workspace.get_project(project_id)
        except EvidentlyError as error:
            if "not found" in str(error):
                return None
            raise
        except ValueError:  # half a file, by a process that was killed: as good as none
            return None

    def _all(self) -> "Iterator[EvidentlyProject]":
        from evidently.ui.workspace import Workspace

        if isinstance(self._workspace, Workspace):
            found = map(self._get, self._workspace.state.list_projects())
            yield from (project for project in found if project is not None)
        else:
            yield from self._workspace.list_projects()

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        from evidently.errors import EvidentlyError

        try:
            yield
        except (EvidentlyError, OSError, ValueError) as error:
            raise MonitoringError(self._at, doing, first_line(error)) from error


def _opened(workspace: str) -> "WorkspaceBase":
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from evidently.ui.workspace import RemoteWorkspace, Workspace

    if served(workspace):
        return RemoteWorkspace(workspace, secret=os.environ.get("EVIDENTLY_SECRET"))
    try:
        return Workspace.create(workspace)
    except ValueError:
        set_aside_half_files(workspace)
        return Workspace.create(workspace)


def set_aside_half_files(workspace: str) -> None:
    """Rename what a killed process has left half written: Evidently opens no workspace that holds such a file.

    Its project is not there then, and the next apply makes it again; its snapshot, the next monitoring. A file
    that may still be written is waited for.
    """
    folder = Path(workspace)
    for file in (*folder.glob("*/metadata.json"), *folder.glob("*/snapshots/*.json")):
        while not _is_json(file):
            if time.time() - file.stat().st_mtime > _WRITTEN_WITHIN:
                file.rename(file.with_name(f"{file.name}.half"))
                break
            time.sleep(0.1)


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text())
    except FileNotFoundError:
        return True  # somebody was faster
    except ValueError:
        return False
    return True


def _project(found: "EvidentlyProject") -> Project:
    return Project(found.id, found.name, whole=not _missing_panels(found))


def _missing_panels(project: "EvidentlyProject") -> list[Any]:
    there = {panel.title for panel in project.dashboard.model().panels}
    return [panel for panel in _panels() if panel.title not in there]


def _panels() -> list[Any]:
    """What a project's dashboard shows over time."""
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel

    drifted = PanelMetric(legend="share", metric="DriftedColumnsCount", metric_labels={"value_type": "share"})
    errors = [
        PanelMetric(legend="rmse", metric="RMSE"),
        PanelMetric(legend="mae", metric="MAE", metric_labels={"value_type": "mean"}),
    ]
    return [
        line_plot_panel("Share of drifted columns", [drifted], size="half"),
        line_plot_panel("Errors of prediction", errors, size="half"),
    ]
