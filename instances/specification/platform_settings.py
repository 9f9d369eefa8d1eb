"""The settings of the platform: where the extension database, the data, MLflow and Evidently are.

The Platform block holds them for people, and yields them; they themselves need no Prefect.
"""

from pydantic import ConfigDict, Field, field_validator

from definitions.addresses import served, without_user
from instances.specification.values import Spec

PLATFORM = "default"  # the name of the block, unless OPTAIC_PLATFORM says another one
PUBLIC = ("evidently_workspace", "mlflow_page", "evidently_page")  # addresses that everybody reads


class PlatformSettings(Spec):
    """What all instances share. URLs include their passwords, and are not shown with the others."""

    model_config = ConfigDict(hide_input_in_errors=True)

    database_url: str = Field(repr=False)
    data_root: str
    mlflow_tracking_uri: str | None = Field(default=None, repr=False)
    mlflow_artifacts: str | None = None
    evidently_workspace: str | None = None
    mlflow_page: str | None = None
    evidently_page: str | None = None

    _public = field_validator(*PUBLIC)(lambda address: require_public(address))

    @property
    def artifacts(self) -> str:
        """Where the artifacts of an MLflow lie that is a database only."""
        return self.mlflow_artifacts or f"{self.data_root.rstrip('/')}/_mlflow"  # no instance has a name like that

    @property
    def mlflow_link(self) -> str | None:
        """The address at which people see MLflow, where one is known."""
        uri = self.mlflow_tracking_uri
        return self.mlflow_page or (without_user(uri) if uri is not None and served(uri) else None)

    @property
    def evidently_link(self) -> str | None:
        """The address at which people see Evidently, where one is known."""
        workspace = self.evidently_workspace
        return self.evidently_page or (workspace if workspace is not None and served(workspace) else None)


def require_public(address: str | None) -> str | None:
    """Return an address that everybody may read. Raises `ValueError` for one that holds a user or a password."""
    if address is not None and served(address) and address != without_user(address):
        raise ValueError(
            "the address holds a user or a password, which everybody could read: leave them out. "
            "The secret of Evidently's service is the variable EVIDENTLY_SECRET."
        )
    return address
