"""Moments from Prefect are plain datetimes with a time zone by the time that anything judges them."""

import datetime as dt

import pytest
from prefect.states import Completed
from prefect.types._datetime import now as now_of_prefect

from flows.integrations.prefect_api import moment_of, plain
from instances.world.moments import NaiveMoment

HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    "text", ["2026-03-29T01:30:00.123456Z", "2026-03-29T01:30:00.123456+00:00", "2026-03-29T03:30:00.123456+02:00"]
)
def test_a_moment_of_the_api_is_a_plain_one_in_utc(text: str) -> None:
    moment = moment_of(text)
    assert type(moment) is dt.datetime
    assert moment.tzinfo is dt.UTC
    assert moment == dt.datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=dt.UTC)


def test_a_moment_without_a_time_zone_names_none() -> None:
    with pytest.raises(NaiveMoment):
        moment_of("2026-03-29T01:30:00")


@pytest.mark.parametrize("theirs", [now_of_prefect("UTC"), now_of_prefect("Europe/London"), Completed().timestamp])
def test_a_moment_of_a_model_of_prefect_becomes_plain(theirs: dt.datetime) -> None:
    moment = plain(theirs)
    assert type(moment) is dt.datetime
    assert moment.tzinfo is dt.UTC
    assert moment == theirs
    assert (moment - (moment - 3 * HOUR)) // HOUR == 3
