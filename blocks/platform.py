"""The platform block: where the extension database, the data, MLflow and Evidently are."""

from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector
from pydantic import ConfigDict, Field, SecretStr, field_validator
from sqlalchemy import Engine, create_engine, make_url

from blocks.base import OurBlock, documentation, logo
from instances.specification.platform_settings import PUBLIC, PlatformSettings, require_public


class Platform(OurBlock):
    """What all instances share: the extension database, the data root, MLflow and Evidently."""

    _block_type_name = "Platform"
    _block_type_slug = "optaic-platform"
    _description = "What all instances share: the extension database, the root of the data, MLflow and Evidently."
    _logo_url = logo("platform")
    _documentation_url = documentation("instances.md#the-platform")
    _code_example = """
```python
from blocks import Platform

platform = Platform.load("default")
engine = platform.engine()
```"""

    model_config = ConfigDict(hide_input_in_errors=True)  # it may hold a password

    database: SqlAlchemyConnector = Field(description="The Postgres database that holds the extension data.")
    data_root: str = Field(description="The folder, or S3 URL, under which the stores of all instances lie.")
    mlflow_tracking_uri: SecretStr | None = Field(
        default=None,
        title="MLflow Tracking URI",
        description="Where MLflow tracks models: the URL of its server or of its Postgres database; kept as a "
        "secret, as it may hold a password.",
    )
    mlflow_artifacts: str | None = Field(
        default=None,
        title="MLflow Artifacts",
        description="The folder, or S3 URL, for models and pictures where the tracking URI is that of a database; "
        "left out, they lie under the data root. A server of MLflow decides by itself.",
    )
    evidently_workspace: str | None = Field(
        default=None,
        description="Where Evidently keeps its projects: a folder, or the URL of its service.",
    )
    mlflow_page: str | None = Field(
        default=None,
        description="The address at which people see MLflow, for links; `optaic up --with-ui` fills it in. Left "
        "out, it is the tracking URI where that is the URL of a server.",
    )
    evidently_page: str | None = Field(
        default=None,
        description="The address at which people see Evidently, for links; `optaic up --with-ui` fills it in. Left "
        "out, it is the workspace where that is the URL of a service.",
    )

    @field_validator(*PUBLIC)
    @classmethod
    def _without_password(cls, address: str | None) -> str | None:
        return require_public(address)

    def engine(self) -> Engine:
        """Return a new engine of the extension database."""
        return create_engine(self.database_url, pool_pre_ping=True)

    @property
    def database_url(self) -> str:
        """The URL of the extension database, password included."""
        return connector_url(self.database)

    @property
    def settings(self) -> PlatformSettings:
        """What the block says, without Prefect, passwords included."""
        uri = self.mlflow_tracking_uri
        return PlatformSettings(
            database_url=self.database_url,
            data_root=self.data_root,
            mlflow_tracking_uri=uri.get_secret_value() if uri else None,
            mlflow_artifacts=self.mlflow_artifacts,
            evidently_workspace=self.evidently_workspace,
            mlflow_page=self.mlflow_page,
            evidently_page=self.evidently_page,
        )


def connector_url(connector: SqlAlchemyConnector) -> str:
    """Return a connector's URL, password included."""
    info = connector.connection_info
    url = info.create_url() if isinstance(info, ConnectionComponents) else make_url(str(info))
    return url.render_as_string(hide_password=False)


def connector_for(url: str) -> SqlAlchemyConnector:
    """Return a connector for a SQLAlchemy URL; one on a Unix socket, without a host, works too."""
    parts = make_url(url)
    return SqlAlchemyConnector(
        connection_info=ConnectionComponents(
            driver=parts.drivername,
            database=parts.database,
            username=parts.username,
            password=str(parts.password) if parts.password else None,
            host=parts.host,
            port=str(parts.port) if parts.port else None,
            query={key: value if isinstance(value, str) else ",".join(value) for key, value in parts.query.items()}
            or None,
        )
    )
