"""The platform, opened: MLflow and Evidently only when they are asked for."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from flows.integrations.services import NotConfigured, Services, opened
from instances.specification.platform_settings import PlatformSettings


@pytest.fixture
def within(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let something be done with the services of a platform with these settings; Prefect is never asked."""
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    url = database.url.render_as_string(hide_password=False)

    def run(act: Callable[[Services], None], **fields: str) -> None:
        async def main() -> None:
            settings = {"database_url": url, "data_root": "/data", **fields}
            async with opened(PlatformSettings.model_validate(settings)) as services:
                act(services)

        asyncio.run(main())

    return run


def test_what_is_not_configured_says_which_field_to_set(within: Callable[..., None]) -> None:
    def act(services: Services) -> None:
        with pytest.raises(NotConfigured) as caught:
            assert services.tracking
        assert str(caught.value) == (
            "no MLflow is configured: set the field mlflow_tracking_uri of the Platform block. `optaic up` sets it, "
            "with servers of your own to OPTAIC_MLFLOW_TRACKING_URI."
        )
        with pytest.raises(NotConfigured, match="no Evidently is configured: set the field evidently_workspace"):
            assert services.monitoring

    within(act)


def test_both_are_opened_once_and_carry_the_mark_of_the_database(within: Callable[..., None], tmp_path: Path) -> None:
    def make(services: Services) -> None:
        assert services.tracking is services.tracking
        assert services.tracking.ensure("alpha").ours
        assert services.monitoring is services.monitoring
        assert services.monitoring.ensure("alpha").name == "alpha"
        assert services.owner_tag.startswith("optaic-")

    def find(services: Services) -> None:
        assert list(services.tracking.experiments()) == list(services.monitoring.projects()) == ["alpha"]

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    fields = {"mlflow_tracking_uri": uri, "mlflow_artifacts": str(tmp_path), "evidently_workspace": f"{tmp_path}/ev"}
    within(make, **fields)
    within(find, **fields)
