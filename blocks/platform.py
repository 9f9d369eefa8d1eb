"""The platform block: where the extension database, the data, MLflow and Evidently are."""

from prefect.blocks.core import Block
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector
from pydantic import ConfigDict, Field, SecretStr, field_validator
from sqlalchemy import Engine, create_engine, make_url

from blocks.base import documentation, logo
from definitions.addresses import without_user

PLATFORM = "default"


class Platform(Block):
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

    @field_validator("evidently_workspace", "mlflow_page", "evidently_page")
    @classmethod
    def _without_password(cls, address: str | None) -> str | None:
        if address is not None and served(address) and address != without_user(address):
            raise ValueError(
                "the address holds a user or a password, which everybody could read: leave them out. "
                "The secret of Evidently's service is the variable EVIDENTLY_SECRET."
            )
        return address

    def engine(self) -> Engine:
        """Return a new engine of the extension database."""
        return create_engine(self.database_url, pool_pre_ping=True)

    @property
    def database_url(self) -> str:
        """The URL of the extension database, password included."""
        return connector_url(self.database)

    @property
    def tracking_uri(self) -> str | None:
        """MLflow's tracking URI, password included."""
        return self.mlflow_tracking_uri.get_secret_value() if self.mlflow_tracking_uri else None

    @property
    def artifacts(self) -> str:
        """Where the artifacts of an MLflow lie that is a database only."""
        return self.mlflow_artifacts or f"{self.data_root.rstrip('/')}/_mlflow"  # no instance has a name like that

    @property
    def mlflow_link(self) -> str | None:
        """The address at which people see MLflow, where one is known."""
        uri = self.tracking_uri
        return self.mlflow_page or (without_user(uri) if uri is not None and served(uri) else None)

    @property
    def evidently_link(self) -> str | None:
        """The address at which people see Evidently, where one is known."""
        workspace = self.evidently_workspace
        return self.evidently_page or (workspace if workspace is not None and served(workspace) else None)


def served(address: str) -> bool:
    """Is this the URL of a server, not a folder or a database?"""
    return address.startswith(("http://", "https://"))


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
