"""The Platform block as `optaic up` makes it, and keeps it where the user has changed it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from instances.specification.platform_settings import PLATFORM
from prefect_optaic.stack.target import Target

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from blocks.platform import Platform

MLFLOW_DATABASE = "mlflow"
# Where MLflow keeps the absolute paths of artifacts.
_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


async def save_platform(target: Target, client: "PrefectClient") -> "tuple[Platform, str]":
    """Save the Platform block where it is missing or outdated; return it, and what became of it."""
    from blocks.platform import Platform

    try:
        known = await Platform.aload(PLATFORM, client=client)
    except ValueError:
        known = None
    wanted = platform_for(target, known)
    if known is not None and _settings_of(known) == _settings_of(wanted):
        return known, f"Platform {PLATFORM!r} unchanged"
    if known is not None and known.mlflow_artifacts not in (None, wanted.mlflow_artifacts):
        move_artifacts(
            wanted.settings.mlflow_tracking_uri or "",
            before=str(known.mlflow_artifacts),
            after=str(wanted.mlflow_artifacts),
        )
    await wanted.save(PLATFORM, overwrite=True, client=client)
    return wanted, f"Platform {PLATFORM!r} {'created' if known is None else 'updated'}, data in {wanted.data_root}"


def platform_for(target: Target, known: "Platform | None") -> "Platform":
    """Return the block as it is to be.

    The environment comes first, then what the user has set; what lay in a home that has moved moves with it.
    """
    from blocks.platform import Platform, connector_for

    assert target.database_url is not None
    home, own = target.home, target.embedded
    return Platform(
        database=connector_for(target.database_url),
        data_root=_place(target, home.data, known.data_root if known else None) or str(home.data),
        mlflow_tracking_uri=_tracking_uri(target, known),
        mlflow_artifacts=_place(target, home.mlflow if own else None, known.mlflow_artifacts if known else None),
        evidently_workspace=os.environ.get("OPTAIC_EVIDENTLY_WORKSPACE")
        or _place(target, home.evidently if own else None, known.evidently_workspace if known else None),
        mlflow_page=known.mlflow_page if known else None,
        evidently_page=known.evidently_page if known else None,
    )


async def note_pages(platform: "Platform", addresses: Mapping[str, str]) -> None:
    """Note in the block at which addresses people see MLflow and Evidently, where it does not say so yet."""
    pages = {f"{name}_page": address for name, address in addresses.items()}
    if any(getattr(platform, field) != address for field, address in pages.items()):
        await platform.model_copy(update=pages).save(PLATFORM, overwrite=True)


def _place(target: Target, usual: Path | None, known: str | None) -> str | None:
    """Return where something lies: where the user has put it, unless that was in a home that has moved."""
    if usual is None:
        return known
    if known is None:
        return str(usual)
    moved = target.embedded and Path(known).name == usual.name and not Path(known).parent.exists()
    return str(usual) if moved and "://" not in known else known


def _tracking_uri(target: Target, known: "Platform | None") -> str | None:
    """Return MLflow's tracking URI; as long as it is the database beside ours, it goes where ours goes."""
    chosen = os.environ.get("OPTAIC_MLFLOW_TRACKING_URI") or (known.settings.mlflow_tracking_uri if known else None)
    beside = _beside(known.database_url) if known else None
    if target.embedded and chosen in (None, beside):
        return _beside(target.database_url or "")
    return chosen


def _beside(database_url: str) -> str:
    from sqlalchemy import make_url

    return make_url(database_url).set(database=MLFLOW_DATABASE).render_as_string(hide_password=False)


def _settings_of(platform: "Platform") -> tuple[object, ...]:
    from sqlalchemy import make_url

    settings = platform.settings
    places = (settings.data_root, settings.mlflow_artifacts, settings.evidently_workspace)
    return make_url(settings.database_url), settings.mlflow_tracking_uri, *places


def move_artifacts(uri: str, *, before: str, after: str) -> None:
    """Tell MLflow, where it is a database, that the folder of its artifacts has moved: it keeps absolute paths."""
    from sqlalchemy import create_engine, inspect, text

    if not uri.startswith("postgresql"):
        return
    engine = create_engine(uri)
    tables = set(inspect(engine).get_table_names())
    with engine.begin() as connection:
        for table, column in _PATHS:
            if table in tables:
                connection.execute(
                    text(
                        f"UPDATE {table} SET {column} = :after || substr({column}, length(:before) + 1) "
                        f"WHERE starts_with({column}, :before || '/')"
                    ),
                    {"before": before, "after": after},
                )
    engine.dispose()
