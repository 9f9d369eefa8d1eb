"""What Prefect's blocks say of the platform, and the secrets in them: read as JSON, without the blocks themselves."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pydantic import ValidationError
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from definitions.errors import MissingSecret
from definitions.known_words import unknown_word
from flows.integrations.prefect_api import Json, PrefectAddress, PrefectApi
from instances.documents.spec_errors import spec_problems
from instances.errors import OptaicError
from instances.specification.platform_settings import PLATFORM, PlatformSettings

# The slugs of the types of blocks that are read here.
PLATFORM_TYPE, CONNECTOR_TYPE, SECRET_TYPE = "optaic-platform", "sqlalchemy-connector", "secret"
_FIELDS = {*PlatformSettings.model_fields, "database"} - {"database_url"}  # of the block
T = TypeVar("T")


class NoPlatform(OptaicError):
    """The Platform block is not there, so nobody knows where the extension data is."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no Platform block named {name!r} on this Prefect server. "
            "Run `optaic up`; with PREFECT_API_URL and OPTAIC_DATABASE_URL set it prepares servers of your own."
        )


class UnreadablePlatform(OptaicError):
    """The Platform block says nothing that can be used."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"the Platform block {name!r} can't be read: {problem}. Edit it in the Prefect UI.")


async def read_platform(prefect: PrefectApi, name: str | None = None) -> PlatformSettings:
    """Return what the platform block says. Raises `NoPlatform`, `UnreadablePlatform`."""
    wanted = name or os.environ.get("OPTAIC_PLATFORM", PLATFORM)
    data = await prefect.block_with_secrets(PLATFORM_TYPE, wanted)
    if data is None:
        raise NoPlatform(wanted)
    if unknown := [word for word in data if word not in _FIELDS]:
        raise UnreadablePlatform(wanted, f"{unknown[0]}: {unknown_word(unknown[0], _FIELDS)}")
    try:
        return platform_settings(data)
    except ValidationError as error:
        problem = "; ".join(": ".join(filter(None, each)) for each in spec_problems(error))
        raise UnreadablePlatform(wanted, problem) from None  # the error itself would show passwords
    except ValueError as error:
        raise UnreadablePlatform(wanted, f"database: {error}") from None


def platform_settings(data: Json) -> PlatformSettings:
    """Return the settings that the data of a platform block holds. Raises `ValueError`."""
    known = {name: value for name, value in data.items() if name in PlatformSettings.model_fields}
    return PlatformSettings.model_validate(known | {"database_url": connector_url(data.get("database"))})


def connector_url(data: object) -> str:
    """Return the URL in the data of a `SqlAlchemyConnector`, password included. Raises `ValueError`."""
    info = data.get("connection_info") if isinstance(data, Mapping) else None
    try:
        url = make_url(info) if isinstance(info, str) else _url_of(info)
        waits = not url.get_dialect().is_async
    except ArgumentError:
        raise ValueError("its connection_info is not a URL that SQLAlchemy knows") from None  # it may hold a password
    if not waits:
        raise ValueError(f"its driver {url.drivername} is an asynchronous one: take one like postgresql+psycopg")
    return url.render_as_string(hide_password=False)


def _url_of(components: object) -> URL:
    if not isinstance(components, Mapping) or not components.get("driver"):
        raise ValueError("it has no connection_info with a driver")
    given = {name: components.get(name) for name in ("username", "database", "host", "port", "query")}
    given |= {"password": components.get("password") or None}
    return URL.create(components["driver"], **{name: value for name, value in given.items() if value is not None})


class BlockCredentials:
    """Secrets from Prefect blocks, read when they are asked for."""

    def __init__(self, address: PrefectAddress) -> None:
        self.address = address

    def secret(self, block_name: str) -> str:
        data = self._data(SECRET_TYPE, block_name)
        if data is None or "value" not in data:
            raise MissingSecret("Secret", block_name)
        return str(data["value"])

    def database_url(self, block_name: str) -> str:
        data = self._data(CONNECTOR_TYPE, block_name)
        try:
            return connector_url(data)
        except ValueError as error:
            raise MissingSecret("SqlAlchemyConnector", block_name) from error

    def _data(self, slug: str, name: str) -> Json | None:
        return _ask_alone(self.address, lambda prefect: prefect.block_with_secrets(slug, name))


def _ask_alone(address: PrefectAddress, question: Callable[[PrefectApi], Awaitable[T]]) -> T:
    """Ask in a thread of its own: whoever needs the answer may be in an event loop, where it can't wait for another."""

    async def ask() -> T:
        async with PrefectApi(address) as prefect:
            return await question(prefect)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, ask()).result()
