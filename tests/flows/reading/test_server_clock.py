"""The clock of Prefect's server, as far as its answers tell."""

import asyncio
import datetime as dt
from email.utils import format_datetime

import pytest

from flows.integrations.prefect_api import PrefectApi
from flows.reading.server_clock import ServerClock, ahead_of_us, server_clock
from prefect_optaic.stack import Target
from tests.instances.sample_world import NOW, hours, minutes

MOMENT = dt.timedelta(milliseconds=30)  # that a question and its answer take
SECOND = dt.timedelta(seconds=1)


def told(ahead: dt.timedelta, own: dt.datetime = NOW) -> dt.timedelta:
    """Return by how much a server seems to be ahead that is so much ahead."""
    answered = (own + ahead).replace(microsecond=0)
    return ahead_of_us(format_datetime(answered, usegmt=True), sent=own, received=own + MOMENT)


@pytest.mark.parametrize("part", [0, 1, 400, 999])
def test_clocks_that_agree_as_far_as_an_answer_tells_are_left_as_they_are(part: int) -> None:
    assert told(dt.timedelta(0), NOW + dt.timedelta(milliseconds=part)) == dt.timedelta(0)
    assert told(-SECOND, NOW + dt.timedelta(milliseconds=part)) == dt.timedelta(0)  # a header that is a second old


@pytest.mark.parametrize("ahead", [hours(-3), minutes(-5), minutes(5), hours(3)])
def test_a_clock_that_is_wrong_is_made_good_to_two_seconds(ahead: dt.timedelta) -> None:
    assert abs(told(ahead) - ahead) <= 2 * SECOND + MOMENT


def test_without_a_time_of_day_our_own_clock_counts() -> None:
    assert ahead_of_us(None, sent=NOW, received=NOW) == dt.timedelta(0)
    assert abs(ServerClock(hours(1)).now() - dt.datetime.now(dt.UTC) - hours(1)) < SECOND


def test_the_real_server_tells_the_time_of_day(stack: Target) -> None:
    async def ask() -> tuple[bool, ServerClock]:
        async with PrefectApi() as prefect:
            return await prefect.date() is not None, await server_clock(prefect)

    there, clock = asyncio.run(ask())
    assert there
    assert clock == ServerClock()  # both are on one machine
