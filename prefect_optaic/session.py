"""A session with the servers that a command talks to: found, opened, and closed again."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from definitions.addresses import redacted
from instances.errors import OptaicError
from prefect_optaic.stack import Target, connect, use

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from flows.integrations.services import Services


class ServerSilent(OptaicError):
    """The Prefect server does not answer."""

    def __init__(self, target: Target, error: Exception) -> None:
        remedy = "Look at `optaic stack`." if target.embedded else "Check PREFECT_API_URL, and whether it runs."
        super().__init__(f"the Prefect server at {redacted(target.api_url)} does not answer: {error}. {remedy}")


@dataclass(frozen=True)
class Session:
    """Open servers: the target they were found by, a Prefect client, and the platform."""

    target: Target
    client: "PrefectClient"
    services: "Services"


@asynccontextmanager
async def session() -> AsyncIterator[Session]:
    """Open the servers for the length of a block. Raises `NoStack`, `ServerSilent`, `NoPlatform`, `NotMigrated`."""
    target = connect()
    use(target)
    # The logs of flows that run in this process go to the server, not to the terminal.
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    for handler in logging.getLogger().handlers:  # where Prefect has set up its logging already
        handler.setLevel(logging.CRITICAL)

    import httpx
    from prefect.client.orchestration import get_client

    from flows.integrations.services import load_platform, opened

    try:
        async with get_client() as client:
            with opened(await load_platform()) as services:
                yield Session(target, client, services)
    except httpx.TransportError as error:
        raise ServerSilent(target, error) from error
