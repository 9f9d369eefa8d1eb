"""A session with the servers that a command talks to: found, opened, and closed again."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from definitions.addresses import redacted
from instances.errors import OptaicError
from prefect_optaic.stack import Target, connect, use

if TYPE_CHECKING:
    from flows.integrations.services import Services


class ServerSilent(OptaicError):
    """The Prefect server does not answer."""

    def __init__(self, target: Target, why: str) -> None:
        remedy = "Look at `optaic stack`." if target.embedded else "Check PREFECT_API_URL, and whether it runs."
        super().__init__(f"the Prefect server at {redacted(target.api_url)} does not answer: {why}. {remedy}")


@asynccontextmanager
async def session() -> "AsyncIterator[Services]":
    """Open the servers for the length of a block. Raises `NoStack`, `ServerSilent`, `NoPlatform`, `NotMigrated`."""
    target = connect()
    use(target)
    # The logs of flows that run in this process go to the server, not to the terminal.
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    for handler in logging.getLogger().handlers:  # where Prefect has set up its logging already
        handler.setLevel(logging.CRITICAL)

    from flows.integrations.prefect_api import PrefectSilent
    from flows.integrations.services import opened

    try:
        async with opened() as services:
            yield services
    except PrefectSilent as error:
        raise ServerSilent(target, error.why) from error
