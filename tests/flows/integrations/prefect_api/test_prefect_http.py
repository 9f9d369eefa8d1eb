"""Questions to a Prefect server: asked again where that helps, and answered with an error that says what is wrong."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from flows.integrations.prefect_api import NotInPrefect, PrefectAddress, PrefectApi, PrefectRefusal, PrefectSilent
from prefect_optaic.stack import Home, Target
from prefect_optaic.stack.machine.ports import choose
from prefect_optaic.stack.machine.processes import spawn, stop, wait_listening
from prefect_optaic.stack.servers import prefect_server
from tests.flows.integrations.prefect_api.between import SLEEP_SECONDS, Trouble, between

PASSWORD = "me:a-word"


def ask(address: PrefectAddress, path: str = "/flows/count", method: str = "POST") -> object:
    return asyncio.run(asked(address, path, method))


async def asked(address: PrefectAddress, path: str = "/flows/count", method: str = "POST") -> object:
    async with PrefectApi(address) as prefect:
        return await prefect.ask(method, path, {} if method == "POST" else None)


@pytest.fixture
def address(stack: Target) -> PrefectAddress:
    return PrefectAddress.current()


# Trouble


def test_a_server_that_is_busy_or_breaks_off_is_asked_again(address: PrefectAddress) -> None:
    with between(address.api_url, "busy", "hangs up", "busy") as server:
        assert isinstance(ask(replace(address, api_url=server.api_url)), int)
        assert server.asked == 4


def test_it_is_asked_only_so_often(address: PrefectAddress) -> None:
    always: list[Trouble] = ["busy"] * 9
    with between(address.api_url, *always) as server:
        with pytest.raises(PrefectRefusal, match=r"^Prefect refused POST /flows/count: Service Unavailable \(HTTP 503"):
            ask(replace(address, api_url=server.api_url, retries=2))
        assert server.asked == 3


def test_where_nobody_ever_answered_is_told_at_once(address: PrefectAddress) -> None:
    nowhere = f"http://127.0.0.1:{choose(45000)}/api"
    started = time.monotonic()
    with pytest.raises(PrefectSilent) as caught:
        ask(replace(address, api_url=nowhere))
    assert time.monotonic() - started < 1.5  # a second try would come after two seconds
    assert str(caught.value).startswith(f"the Prefect server at {nowhere} does not answer: ")
    assert str(caught.value).endswith("Check PREFECT_API_URL, and whether it runs.")


@pytest.mark.parametrize("url", ["prefect.example/api", "ftp://prefect.example/api"])
def test_so_is_an_address_that_is_none(address: PrefectAddress, url: str) -> None:
    with pytest.raises(PrefectSilent, match=f"at {url} does not answer"):
        ask(replace(address, api_url=url))


def test_what_is_no_prefect_server_is_told(address: PrefectAddress) -> None:
    with (
        between(address.api_url, "not prefect") as server,
        pytest.raises(PrefectSilent, match="what answers there is not a Prefect server"),
    ):
        ask(replace(address, api_url=server.api_url))


def test_a_server_that_has_moved_is_not_followed_where_no_certificate_is_checked(address: PrefectAddress) -> None:
    with between(address.api_url, "moved") as server:
        with pytest.raises(PrefectRefusal, match="Set PREFECT_API_URL to where it leads"):
            ask(replace(address, api_url=server.api_url))
        assert server.asked == 1


def test_it_goes_by_the_proxy_of_the_environment(address: PrefectAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    far = replace(address, api_url="http://me:secret@prefect.example/api")
    with between(address.api_url) as server:
        monkeypatch.setenv("http_proxy", server.api_url.removesuffix("/api"))
        assert isinstance(ask(far), int)
        assert server.paths == ["http://prefect.example/api/flows/count"]  # who asks is told in a header
    monkeypatch.setenv("no_proxy", "prefect.example")
    with pytest.raises(PrefectSilent, match=r"the Prefect server at http://me:\*\*\*@prefect.example/api does not"):
        ask(far)


def test_one_who_stops_waiting_does_not_wait_for_the_answer(address: PrefectAddress) -> None:
    with between(address.api_url, "sleeps") as server:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(asked(replace(address, api_url=server.api_url)), 0.5))
        assert time.monotonic() - started < SLEEP_SECONDS / 2


# Answers


def test_what_is_not_there_and_what_is_refused_are_told_apart(address: PrefectAddress) -> None:
    nothing = f"/flow_runs/{uuid4()}"
    with pytest.raises(NotInPrefect) as missing:
        ask(address, nothing, "GET")
    assert (missing.value.status, missing.value.why) == (404, "Flow run not found")
    with pytest.raises(PrefectRefusal) as refused:
        ask(address, "/flow_runs/filter?limit=x", "GET")
    assert not isinstance(refused.value, NotInPrefect)

    async def too_much() -> None:
        async with PrefectApi(address) as prefect:
            await prefect.ask("POST", "/flow_runs/filter", {"limit": 1000})

    with pytest.raises(PrefectRefusal, match="Invalid limit: must be less than or equal to 200"):
        asyncio.run(too_much())


# A server that lets nobody in without a password, and takes no forged requests


@pytest.fixture(scope="module")
def locked(stack: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of another Prefect server on the database of the stack's."""
    home = Home(tmp_path_factory.mktemp("locked"))
    home.create()
    database = make_url(stack.database_url or "").set(drivername="postgresql+asyncpg", database="prefect")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database.render_as_string(hide_password=False),
        "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    port = choose(46000)
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-services", "--port", str(port)]
    record = spawn("locked", command, log=home.log("locked"), cwd=home.root, env=env, port=port)
    try:
        wait_listening(record, prefect_server.healthy, needs=[])
        yield prefect_server.urls(port)[1]
    finally:
        stop(record, prefect_server.STOP_SIGNALS)


def test_a_password_and_a_token_are_brought_where_they_are_asked_for(
    locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", locked)
    with pytest.raises(PrefectRefusal, match="Unauthorized") as caught:
        ask(PrefectAddress.current())
    assert str(caught.value).endswith("Set PREFECT_API_AUTH_STRING, or PREFECT_API_KEY, to what that server asks for.")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", PASSWORD)

    async def main() -> int:
        async with PrefectApi() as prefect:
            flow = await prefect.create_flow("made-behind-the-lock")
            assert await prefect.create_flow("made-behind-the-lock") == flow
            assert "optaic" in {pool["name"] for pool in await prefect.work_pools()}
            return prefect.requests

    assert asyncio.run(main()) == 3 + 2  # one that is sent back, and one for the token
