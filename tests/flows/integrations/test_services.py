"""The platform, opened: MLflow and Evidently only when they are asked for."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from blocks.platform import Platform, connector_for
from flows.integrations.services import NotConfigured, opened


def platform(database: Engine, **fields: object) -> Platform:
    url = database.url.render_as_string(hide_password=False)
    return Platform.model_validate({"database": connector_for(url), "data_root": "/data", **fields})


def test_what_is_not_configured_says_which_field_to_set(database: Engine) -> None:
    with opened(platform(database)) as services:
        with pytest.raises(NotConfigured) as caught:
            assert services.tracking
        assert str(caught.value) == (
            "no MLflow is configured: set the field mlflow_tracking_uri of the Platform block. `optaic up` sets it, "
            "with servers of your own to OPTAIC_MLFLOW_TRACKING_URI."
        )
        with pytest.raises(NotConfigured, match="no Evidently is configured: set the field evidently_workspace"):
            assert services.monitoring


def test_both_are_opened_once_and_carry_the_mark_of_the_database(database: Engine, tmp_path: Path) -> None:
    uri = SecretStr(f"sqlite:///{tmp_path}/mlflow.db")
    fields = {"mlflow_tracking_uri": uri, "mlflow_artifacts": str(tmp_path), "evidently_workspace": f"{tmp_path}/ev"}
    with opened(platform(database, **fields)) as services:
        assert services.tracking is services.tracking
        assert services.tracking.ensure("alpha").ours
        assert services.monitoring is services.monitoring
        assert services.monitoring.ensure("alpha").name == "alpha"
        assert services.owner_tag.startswith("optaic-")
    with opened(platform(database, **fields)) as again:
        assert list(again.tracking.experiments()) == list(again.monitoring.projects()) == ["alpha"]
