"""Plain HTTP to the Prefect server: one question, one answer as JSON, or one of three errors.

As Prefect's own client does, it asks again where the server was only busy or away for a moment, and brings a
token where the server protects itself against forged requests (CSRF).
"""

import asyncio
import datetime as dt
import json
import random
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import httpx
from pydantic_core import from_json

from flows.integrations.prefect_api.prefect_address import PrefectAddress
from instances.errors import OptaicError

Json = Mapping[str, Any]

_TRY_AGAIN = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
_CUT_OFF = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.LocalProtocolError)
_JITTER = 0.2  # of a wait, so that many who wait don't all come back at once
# More connections at once make the server slower; a balancer may close them after 30 seconds.
_LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=25)


class PrefectError(OptaicError):
    """Base of what can go wrong when Prefect is asked for something."""


class PrefectSilent(PrefectError):
    """The Prefect server gives no answer, or none that is one of its own."""

    def __init__(self, api_url: str, why: str) -> None:
        self.why = why
        super().__init__(
            f"the Prefect server at {api_url} does not answer: {why}. Check PREFECT_API_URL, and whether it runs."
        )


class PrefectRefusal(PrefectError):
    """The Prefect server does not do what it is asked for; `why` is what it says of that."""

    def __init__(self, asked: str, status: int, why: str) -> None:
        self.status = status
        self.why = why
        super().__init__(f"Prefect refused {asked}: {why} (HTTP {status}). {_remedy(status)}")


class NotInPrefect(PrefectRefusal):
    """What is asked for is not there, or not any more."""


class PrefectHttp:
    """A pool of connections to one server, to be opened with `async with`; `requests` counts what was asked."""

    def __init__(self, address: PrefectAddress) -> None:
        self.address = address
        self.requests = 0
        secure = address.api_url.startswith("https://")
        self._client = httpx.AsyncClient(
            base_url=address.api_url,
            headers=dict(address.headers),
            verify=_certificates(address) if secure else False,
            follow_redirects=secure,  # else one could lead to a server whose certificate is not checked
            timeout=address.patience_seconds,
            limits=_LIMITS,
        )
        self._csrf: dict[str, str] = {}
        self._was_connected = False

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def ask(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Return what the server answers, from JSON; None where it answers nothing.

        Raises `PrefectSilent`, `NotInPrefect`, `PrefectRefusal`.
        """
        content = None if body is None else json.dumps(body, default=_plain, allow_nan=False)
        response = await self._answer(method, path, content, query)
        if response.is_success:
            return self._parsed(response)
        kind = NotInPrefect if response.status_code == HTTPStatus.NOT_FOUND else PrefectRefusal
        raise kind(f"{method} {path}", response.status_code, _why(response))

    async def _answer(self, method: str, path: str, content: str | None, query: Mapping[str, str]) -> httpx.Response:
        """Return the first answer that another try would not better."""
        for attempt in range(1, self.address.retries + 1):
            wait: float | None = None
            try:
                response = await self._send(method, path, content, query)
            except PrefectSilent as error:
                if not self._may_come_back(error):
                    raise
            else:
                if response.status_code not in _TRY_AGAIN:
                    return response
                wait = _asked_to_wait(response)
            await asyncio.sleep((2**attempt if wait is None else wait) * random.uniform(1, 1 + _JITTER))
        return await self._send(method, path, content, query)

    def _may_come_back(self, error: PrefectSilent) -> bool:
        """Say whether it is worth asking again: where nobody ever answered, the address is wrong."""
        cause = error.__cause__
        return isinstance(cause, _CUT_OFF) and (self._was_connected or not isinstance(cause, httpx.ConnectError))

    async def _send(self, method: str, path: str, content: str | None, query: Mapping[str, str]) -> httpx.Response:
        response = await self._once(method, path, content, query)
        if response.status_code != HTTPStatus.FORBIDDEN or "CSRF" not in response.text:
            return response
        name = str(uuid4())
        token = await self._once("GET", "/csrf-token", None, {"client": name})
        if not token.is_success:
            return token
        self._csrf = {"prefect-csrf-client": name, "prefect-csrf-token": self._parsed(token)["token"]}
        return await self._once(method, path, content, query)

    async def _once(self, method: str, path: str, content: str | None, query: Mapping[str, str]) -> httpx.Response:
        self.requests += 1
        headers = self._csrf if content is None else {**self._csrf, "content-type": "application/json"}
        try:
            answer = await self._client.request(method, path, content=content, params=dict(query), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PrefectSilent(self.address.api_url, str(error) or type(error).__name__) from error
        self._was_connected = True
        return answer

    def _parsed(self, response: httpx.Response) -> Any:
        if not response.content:
            return None
        try:
            return _from_json(response.content)
        except ValueError as error:
            raise PrefectSilent(self.address.api_url, "what answers there is not a Prefect server") from error


def _from_json(content: bytes) -> Any:
    """Return what JSON says: a list of blocks has megabytes, which the parser of pydantic reads several times faster.

    It refuses what is nested very deeply, and half characters, which Python's own takes.
    """
    try:
        return from_json(content)
    except ValueError:
        return json.loads(content)


def _certificates(address: PrefectAddress) -> ssl.SSLContext:
    if not address.checks_certificate:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    import certifi

    return ssl.create_default_context(cafile=address.certificates or certifi.where())


def _plain(value: object) -> str:
    """Return what JSON has no form for as Prefect reads it."""
    match value:
        case UUID():
            return str(value)
        case dt.datetime():
            return value.isoformat()
        case _:
            raise TypeError(f"{value!r} can't be sent to Prefect")


def _asked_to_wait(response: httpx.Response) -> float | None:
    """Return for how many seconds the server asks us to wait, if it says so in seconds."""
    try:
        return float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None


def _why(response: httpx.Response) -> str:
    """Return what the server says of a request that it did not take."""
    try:
        said = response.json()
    except ValueError:
        return response.text or response.reason_phrase
    told = ("exception_detail", "detail", "exception_message")
    detail = next((said[name] for name in told if name in said), said) if isinstance(said, dict) else said
    if isinstance(detail, list):  # of pydantic
        return "; ".join(f"{'.'.join(map(str, each.get('loc', ())))}: {each.get('msg', each)}" for each in detail)
    return str(detail)


def _remedy(status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return "Set PREFECT_API_AUTH_STRING, or PREFECT_API_KEY, to what that server asks for."
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "The log of the server says more: `optaic logs server` shows that of the embedded one."
        case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return "Set PREFECT_API_URL to where it leads."
        case _:
            return "Correct what was asked for, and try again."
