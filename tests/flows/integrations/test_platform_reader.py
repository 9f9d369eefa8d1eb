"""The Platform block and secrets, read as JSON: the same as Prefect's own way to them gives."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from prefect.blocks.system import Secret
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector
from pydantic import SecretStr

from blocks.platform import Platform, connector_for, connector_url
from definitions.errors import MissingSecret
from flows.integrations import platform_reader
from flows.integrations.platform_reader import BlockCredentials, NoPlatform, UnreadablePlatform, read_platform
from flows.integrations.prefect_api import PrefectAddress, PrefectApi
from instances.specification.platform_settings import PlatformSettings
from prefect_optaic.stack import Target

T = TypeVar("T")
PLAIN = "postgresql+psycopg://user:p%40ss%2Fword@db.example:5433/optaic?application_name=a+b&sslmode=require"
URLS = [
    PLAIN,
    "postgresql+psycopg://postgres@/optaic?host=%2Ftmp%2Fdata&port=5432",
    "postgresql+psycopg://db.example/optaic",
    "sqlite:////tmp/optaic.db",
]


def asked(question: Callable[[PrefectApi], Awaitable[T]]) -> T:
    async def main() -> T:
        async with PrefectApi() as prefect:
            return await question(prefect)

    return asyncio.run(main())


def read(name: str) -> PlatformSettings:
    return asked(lambda prefect: read_platform(prefect, name))


def save(block: Any) -> str:
    """Save a block under a name of its own."""
    name = f"of-test-{uuid4().hex[:8]}"
    asyncio.run(block.save(name, _sync=False))
    return name


def test_the_slugs_are_those_of_the_blocks() -> None:
    slugs = (platform_reader.PLATFORM_TYPE, platform_reader.CONNECTOR_TYPE, platform_reader.SECRET_TYPE)
    blocks = (Platform, SqlAlchemyConnector, Secret)
    assert slugs == tuple(block.get_block_type_slug() for block in blocks)


@pytest.mark.parametrize("url", URLS)
def test_the_settings_are_those_that_the_block_yields(stack: Target, url: str) -> None:
    platform = Platform(
        database=connector_for(url),
        data_root="s3://quant/data",
        mlflow_tracking_uri=SecretStr(PLAIN),
        evidently_workspace="/evidently",
        mlflow_page="https://mlflow.example",
    )
    settings = read(save(platform))
    assert settings == platform.settings
    assert settings.database_url == url
    assert settings.mlflow_tracking_uri == PLAIN
    assert "p%40ss" not in repr(settings)


def test_a_connector_may_be_a_block_of_its_own_or_hold_a_url(stack: Target) -> None:
    async def referring(connector: SqlAlchemyConnector) -> Platform:
        name = f"of-test-{uuid4().hex[:8]}"
        await connector.save(name, _sync=False)
        found = await SqlAlchemyConnector.aload(name)
        assert isinstance(found, SqlAlchemyConnector)
        return Platform(database=found, data_root="/data")

    for connector in (connector_for(PLAIN), SqlAlchemyConnector(connection_info=PLAIN)):
        platform = asyncio.run(referring(connector))
        assert read(save(platform)) == platform.settings
        assert platform.settings.database_url == PLAIN


@pytest.mark.parametrize(
    "components",
    [
        {"driver": "postgresql+psycopg", "database": "optaic", "username": "me", "password": "", "host": "db.example"},
        {"driver": "postgresql+psycopg", "database": "optaic", "port": 5432, "query": {}},
        {"driver": "mssql+pyodbc", "query": {"odbc_connect": "DRIVER={x};PWD=é"}},
        {"driver": "postgresql+psycopg", "host": "::1", "username": "a:b@c", "password": "1e5"},
    ],
)
def test_odd_components_make_the_same_url(stack: Target, components: dict[str, Any]) -> None:
    platform = Platform.model_construct(
        database=SqlAlchemyConnector.model_construct(connection_info=ConnectionComponents.model_validate(components)),
        data_root="/data",
    )
    told = {"data_root": "/data", "database": {"connection_info": components}}
    assert platform_reader.platform_settings(told).database_url == connector_url(platform.database)


def test_a_platform_of_the_first_days_has_no_more_than_it_had(stack: Target) -> None:
    settings = read("default")
    assert settings.data_root == str(stack.home.data)
    data = {"database": {"connection_info": PLAIN, "fetch_size": 1}, "data_root": "/data"}
    assert platform_reader.platform_settings(data) == PlatformSettings(database_url=PLAIN, data_root="/data")


def test_a_platform_that_is_not_there_is_told(stack: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTAIC_PLATFORM", "no/such block")
    with pytest.raises(NoPlatform, match="there is no Platform block named 'no/such block' on this Prefect server"):
        asked(read_platform)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"data_root": None}, "data_root: must be text, not None"),
        ({"mlflow_pge": "x"}, "mlflow_pge: is not a field that there is; did you mean 'mlflow_page'?"),
        ({"database": {}}, "database: it has no connection_info with a driver"),
        ({"database": {"connection_info": "hidden-word"}}, "database: its connection_info is not a URL"),
        ({"database": {"connection_info": "nosuch://me:hidden-word@h"}}, "database: its connection_info is not a URL"),
        (
            {"database": {"connection_info": {"driver": "postgresql+asyncpg", "password": "hidden-word"}}},
            "database: its driver postgresql+asyncpg is an asynchronous one: take one like postgresql+psycopg",
        ),
        ({"mlflow_page": "https://me:hidden-word@mlflow.example"}, "mlflow_page: the address holds a user or a pass"),
    ],
)
def test_a_platform_that_cannot_be_read_is_told_without_its_passwords(
    stack: Target, changed: dict[str, Any], problem: str
) -> None:
    name = save(Platform(database=connector_for(PLAIN), data_root="/data"))

    async def edit(prefect: PrefectApi) -> None:
        path = f"/block_types/slug/{platform_reader.PLATFORM_TYPE}/block_documents/name/{name}"
        document = await prefect.ask("GET", path, include_secrets="true")
        update = {"data": document["data"] | changed, "block_schema_id": document["block_schema_id"]}
        await prefect.ask("PATCH", f"/block_documents/{document['id']}", update | {"merge_existing_data": False})

    asked(edit)
    with pytest.raises(UnreadablePlatform) as caught:
        read(name)
    assert str(caught.value).startswith(f"the Platform block {name!r} can't be read: {problem}")
    assert "hidden-word" not in str(caught.value)
    assert caught.value.__cause__ is None


# Secrets


@pytest.mark.parametrize("value", ["a word", "1e5", "true", '{"user": "me"}', "päss\nword"])
def test_a_secret_is_the_text_that_was_saved(stack: Target, value: str) -> None:
    """Prefect's own `Secret.get` makes another text of one that can be read as JSON: 100000.0 of 1e5."""
    assert BlockCredentials(PrefectAddress.current()).secret(save(Secret(value=value))) == value


@pytest.mark.parametrize("url", URLS)
def test_a_connector_gives_its_url_also_within_an_event_loop(stack: Target, url: str) -> None:
    name = save(connector_for(url))

    async def within() -> str:
        await asyncio.sleep(0)
        return BlockCredentials(PrefectAddress.current()).database_url(name)

    assert asyncio.run(within()) == url


def test_secrets_that_are_not_there_are_told(stack: Target) -> None:
    credentials = BlockCredentials(PrefectAddress.current())
    with pytest.raises(MissingSecret, match="there is no Secret block named 'nosuch'"):
        credentials.secret("nosuch")
    with pytest.raises(MissingSecret, match="there is no SqlAlchemyConnector block named 'nosuch'"):
        credentials.database_url("nosuch")
