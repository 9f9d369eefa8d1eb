"""What plugins get in tests: a data root, and secrets from a mapping."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from definitions.contract import Kind, Resources, Store
from definitions.errors import MissingSecret
from definitions.registry import default_registry


@dataclass(frozen=True)
class FakeCredentials:
    secrets: Mapping[str, str] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)

    def secret(self, block_name: str) -> str:
        if block_name not in self.secrets:
            raise MissingSecret("Secret", block_name)
        return self.secrets[block_name]

    def database_url(self, block_name: str) -> str:
        if block_name not in self.urls:
            raise MissingSecret("SqlAlchemyConnector", block_name)
        return self.urls[block_name]


def resources(data_root: Path | str = "", credentials: FakeCredentials | None = None) -> Resources:
    return Resources(data_root=str(data_root), instance="prices", credentials=credentials or FakeCredentials())


def make(kind: Kind, name: str, config: Mapping[str, Any], given: Resources | None = None) -> Any:
    """Make a plugin as the platform does: look it up, check its config, call its factory."""
    definition = default_registry().get(kind, name)
    return definition.factory(definition.parse(config), given or resources())


def newest(store: Store) -> str:
    """Return the store's newest version."""
    head = store.head()
    assert head is not None
    return head.version


def number(version: str | None) -> str:
    """Return the number of a Delta table's version, without the mark of the table."""
    assert version is not None
    return version.partition("-")[0]
