"""Where MLflow and Evidently are, as the Platform block keeps it."""

import pytest
from pydantic import SecretStr, ValidationError

from blocks import Platform
from blocks.platform import connector_for
from instances.specification.platform_settings import PlatformSettings

DATABASE = connector_for("postgresql+psycopg://db.example/optaic")
URI = "postgresql+psycopg://me:hidden-word@db.example/mlflow"


def test_a_platform_of_before_has_neither() -> None:
    platform = Platform(database=DATABASE, data_root="/data")
    told = platform.settings
    assert (told.mlflow_tracking_uri, told.evidently_workspace) == (None, None)


def test_the_password_of_mlflow_is_not_shown() -> None:
    platform = Platform(database=DATABASE, data_root="/data", mlflow_tracking_uri=SecretStr(URI))
    assert platform.settings.mlflow_tracking_uri == URI
    assert "hidden-word" not in repr(platform)
    assert "hidden-word" not in repr(platform.settings)
    assert "mlflow_tracking_uri" in Platform.model_json_schema()["secret_fields"]


def test_artifacts_lie_where_the_block_says_or_under_the_data() -> None:
    assert Platform(database=DATABASE, data_root="s3://quant/data/").settings.artifacts == "s3://quant/data/_mlflow"
    assert Platform(database=DATABASE, data_root="/data", mlflow_artifacts="/models").settings.artifacts == "/models"


@pytest.mark.parametrize("field", ["evidently_workspace", "mlflow_page", "evidently_page"])
def test_addresses_that_everybody_reads_hold_no_password(field: str) -> None:
    fields = {"database": DATABASE, "data_root": "/data", field: "https://me:hidden-word@evidently.example"}
    with pytest.raises(ValidationError, match="holds a user or a password, which everybody could read") as caught:
        Platform.model_validate(fields)
    assert "hidden-word" not in str(caught.value)
    plain = {"database_url": "postgresql+psycopg://db.example/optaic", "data_root": "/data", field: fields[field]}
    with pytest.raises(ValidationError, match="holds a user or a password, which everybody could read") as caught:
        PlatformSettings.model_validate(plain)
    assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "links"),
    [
        ({}, (None, None)),
        ({"mlflow_tracking_uri": URI, "evidently_workspace": "/evidently"}, (None, None)),
        (
            {
                "mlflow_tracking_uri": "https://me:hidden-word@mlflow.example:5000/base",
                "evidently_workspace": "http://evidently.example:8000",
            },
            ("https://mlflow.example:5000/base", "http://evidently.example:8000"),
        ),
        (
            {
                "mlflow_tracking_uri": "https://mlflow.internal",
                "mlflow_page": "https://mlflow.example",
                "evidently_workspace": "/evidently",
                "evidently_page": "https://evidently.example",
            },
            ("https://mlflow.example", "https://evidently.example"),
        ),
    ],
)
def test_links_lead_to_the_pages_or_to_servers_of_ones_own(
    given: dict[str, str], links: tuple[str | None, str | None]
) -> None:
    platform = Platform.model_validate({"database": DATABASE, "data_root": "/data", **given})
    assert (platform.settings.mlflow_link, platform.settings.evidently_link) == links
