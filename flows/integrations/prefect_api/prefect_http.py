"""Plain HTTP to the Prefect server: one question, one answer as JSON, or one of three errors.

As Prefect's own client does, it asks again where the server was only busy or away for a moment, and brings a
token where the server protects itself against forged requests (CSRF). It goes by urllib3 in threads, as httpx takes
three times as long to import, which `optaic status` would feel.
"""

import asyncio
import datetime as dt
import json
import random
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass
from uuid import UUID, uuid4

from pydantic_core import from_json
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, make_headers
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, ProtocolError, TimeoutError

from definitions.addresses import redacted, without_user
from flows.integrations.prefect_api.prefect_address import PrefectAddress
from instances.errors import OptaicError

Json = Mapping[str, Any]
_T = TypeVar("_T")

_TRY_AGAIN = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
_CUT_OFF = (TimeoutError, ProtocolError, NewConnectionError)
_JITTER = 0.2  # of a wait, so that many who wait don't all come back at once
_AT_ONCE, _KEPT = 16, 8  # more connections at once make the server slower
_ONCE = Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5, raise_on_redirect=False)


class PrefectError(OptaicError):
    """Base of what can go wrong when Prefect is asked for something."""


class PrefectSilent(PrefectError):
    """The Prefect server gives no answer, or none that is one of its own."""

    def __init__(self, api_url: str, why: str) -> None:
        self.why = why
        super().__init__(
            f"the Prefect server at {redacted(api_url)} does not answer: {why}. "
            "Check PREFECT_API_URL, and whether it runs."
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
        self._api_url = without_user(address.api_url)
        self._pool = _pool(address)
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._csrf: dict[str, str] = {}
        self._was_connected = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.clear()

    async def ask(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Return what the server answers, from JSON; None where it answers nothing.

        Raises `PrefectSilent`, `NotInPrefect`, `PrefectRefusal`.
        """
        content = None if body is None else json.dumps(body, default=_plain, allow_nan=False)
        response = await self._answer(method, path, content, query)
        if _is_success(response):
            return self._parsed(response)
        kind = NotInPrefect if response.status == HTTPStatus.NOT_FOUND else PrefectRefusal
        raise kind(f"{method} {path}", response.status, _why(response))

    async def _answer(self, method: str, path: str, content: str | None, query: Mapping[str, str]) -> BaseHTTPResponse:
        """Return the first answer that another try would not better."""
        for attempt in range(1, self.address.retries + 1):
            wait: float | None = None
            try:
                response = await self._send(method, path, content, query)
            except PrefectSilent as error:
                if not self._may_come_back(error):
                    raise
            else:
                if response.status not in _TRY_AGAIN:
                    return response
                wait = _asked_to_wait(response)
            await asyncio.sleep((2**attempt if wait is None else wait) * random.uniform(1, 1 + _JITTER))
        return await self._send(method, path, content, query)

    def _may_come_back(self, error: PrefectSilent) -> bool:
        """Say whether it is worth asking again: where nobody ever answered, the address is wrong."""
        cause = error.__cause__
        return isinstance(cause, _CUT_OFF) and (self._was_connected or not isinstance(cause, NewConnectionError))

    async def _send(self, method: str, path: str, content: str | None, query: Mapping[str, str]) -> BaseHTTPResponse:
        response = await self._once(method, path, content, query)
        if response.status != HTTPStatus.FORBIDDEN or b"CSRF" not in response.data:
            return response
        name = str(uuid4())
        token = await self._once("GET", "/csrf-token", None, {"client": name})
        if not _is_success(token):
            return token
        self._csrf = {"prefect-csrf-client": name, "prefect-csrf-token": self._parsed(token)["token"]}
        return await self._once(method, path, content, query)

    async def _once(self, method: str, path: str, content: str | None, query: Mapping[str, str]) -> BaseHTTPResponse:
        self.requests += 1
        url = self._api_url + path
        if query:
            url += f"{'&' if '?' in path else '?'}{urlencode(query)}"
        headers = {**self._pool.headers, **self._csrf}
        if content is not None:
            headers["content-type"] = "application/json"
        # Where no certificate is checked, being led elsewhere could lead to anybody.
        redirect = urlsplit(url).scheme == "https"
        try:
            async with self._places:
                answer = await _in_thread(
                    lambda: self._pool.request(
                        method, url, body=content, headers=headers, redirect=redirect, retries=_ONCE
                    )
                )
        except (HTTPError, OSError, ValueError) as error:
            cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
            raise PrefectSilent(self.address.api_url, _why_silent(cause)) from cause
        self._was_connected = True
        return answer

    def _parsed(self, response: BaseHTTPResponse) -> Any:
        if not response.data:
            return None
        try:
            return _from_json(response.data)
        except ValueError as error:
            raise PrefectSilent(self.address.api_url, "what answers there is not a Prefect server") from error


def _pool(address: PrefectAddress) -> PoolManager:
    """Return the connections to a server, by the proxy that the environment names for it, if it names one."""
    url = urlsplit(address.api_url)
    if url.scheme not in {"http", "https"}:
        raise PrefectSilent(address.api_url, "an address begins with http:// or https://")
    headers = {**make_headers(accept_encoding="gzip, deflate"), **address.headers}
    if url.username and "authorization" not in headers:
        headers |= make_headers(basic_auth=unquote(f"{url.username}:{url.password or ''}"))
    options: dict[str, Any] = {
        "maxsize": _KEPT,
        "timeout": address.patience_seconds,
        "headers": headers,
        "ssl_context": _certificates(address) if url.scheme == "https" else None,
    }
    proxy = None if not url.hostname or proxy_bypass(url.hostname) else getproxies().get(url.scheme)
    return ProxyManager(proxy, **options) if proxy else PoolManager(**options)


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Return what the work gives; a thread whose answer nobody waits for any more keeps no process from ending."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[_T] = loop.create_future()

    def settle(answer: _T | None, error: BaseException | None) -> None:
        if result.done():  # cancelled
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(cast("_T", answer))

    def run() -> None:
        answer, problem = None, None
        try:
            answer = work()
        except BaseException as error:
            problem = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, answer, problem)

    threading.Thread(target=run, daemon=True).start()
    return await result


def _is_success(response: BaseHTTPResponse) -> bool:
    return HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES


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


def _asked_to_wait(response: BaseHTTPResponse) -> float | None:
    """Return for how many seconds the server asks us to wait, if it says so in seconds."""
    try:
        return float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None


def _why_silent(error: Exception) -> str:
    """Return why there was no answer, without the names of urllib3's own objects."""
    text = str(error.__cause__ if isinstance(error, NewConnectionError) and error.__cause__ else error)
    return text.partition("): ")[2] or text or type(error).__name__


def _why(response: BaseHTTPResponse) -> str:
    """Return what the server says of a request that it did not take."""
    try:
        said = response.json()
    except ValueError:
        return response.data.decode(errors="replace") or str(response.reason)
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
