"""Where MLflow and Evidently are, as the Platform block keeps it."""

from pydantic import SecretStr

from blocks import Platform
from blocks.platform import connector_for

DATABASE = connector_for("postgresql+psycopg://db.example/optaic")
URI = "postgresql+psycopg://me:hidden-word@db.example/mlflow"


def test_a_platform_of_before_has_neither() -> None:
    platform = Platform(database=DATABASE, data_root="/data")
    assert (platform.tracking_uri, platform.evidently_workspace) == (None, None)


def test_the_password_of_mlflow_is_not_shown() -> None:
    platform = Platform(database=DATABASE, data_root="/data", mlflow_tracking_uri=SecretStr(URI))
    assert platform.tracking_uri == URI
    assert "hidden-word" not in repr(platform)
    assert "mlflow_tracking_uri" in Platform.model_json_schema()["secret_fields"]


def test_artifacts_lie_where_the_block_says_or_under_the_data() -> None:
    assert Platform(database=DATABASE, data_root="s3://quant/data/").artifacts == "s3://quant/data/_mlflow"
    assert Platform(database=DATABASE, data_root="/data", mlflow_artifacts="/models").artifacts == "/models"
