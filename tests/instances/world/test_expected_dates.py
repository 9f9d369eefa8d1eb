"""Expected dates by a frequency: which date data must reach, and from when on."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.world.calendars import CalendarError
from instances.world.expected_dates import expected_after, last_expected, next_expected
from instances.world.facts import Calendar, SourceFrequency, UpdateDates
from tests.instances.oracle import updates
from tests.instances.sample_world import utc
from tests.properties import examples

DAILY, WEEKLY, MONTHLY = (
    UpdateDates(SourceFrequency.DAILY),
    UpdateDates(SourceFrequency.WEEKLY, day=4),
    UpdateDates(SourceFrequency.MONTHLY),
)
QUARTERLY, IRREGULAR = UpdateDates(SourceFrequency.QUARTERLY), UpdateDates(SourceFrequency.IRREGULAR)


@pytest.mark.parametrize(
    ("source", "now", "date", "due"),
    [
        (DAILY, "2026-03-11 18:00", "2026-03-10", "2026-03-11 00:00"),
        (DAILY, "2026-03-09 18:00", "2026-03-08", "2026-03-09 00:00"),  # a Monday: the Sunday before
        (UpdateDates(SourceFrequency.DAILY, business_days=True), "2026-03-09 18:00", "2026-03-06", "2026-03-07 00:00"),
        (UpdateDates(SourceFrequency.DAILY, grace_days=2), "2026-03-11 18:00", "2026-03-08", "2026-03-11 00:00"),
        (WEEKLY, "2026-03-13 23:59", "2026-03-06", "2026-03-07 00:00"),  # this Friday is not over
        (WEEKLY, "2026-03-14 00:00", "2026-03-13", "2026-03-14 00:00"),
        (MONTHLY, "2026-03-11 18:00", "2026-02-28", "2026-03-01 00:00"),
        (
            UpdateDates(SourceFrequency.MONTHLY, business_days=True),
            "2026-06-03 18:00",
            "2026-05-29",
            "2026-05-30 00:00",
        ),
        (UpdateDates(SourceFrequency.MONTHLY, day=30), "2026-03-11 18:00", "2026-02-28", "2026-03-01 00:00"),
        (UpdateDates(SourceFrequency.MONTHLY, day=5), "2026-03-11 18:00", "2026-03-05", "2026-03-06 00:00"),
        (QUARTERLY, "2026-03-31 18:00", "2025-12-31", "2026-01-01 00:00"),
        (QUARTERLY, "2026-04-01 00:00", "2026-03-31", "2026-04-01 00:00"),
        (
            UpdateDates(SourceFrequency.DAILY, timezone="America/New_York"),
            "2026-03-11 03:00",
            "2026-03-09",
            "2026-03-10 04:00",
        ),
    ],
)
def test_the_newest_date_that_is_due(source: UpdateDates, now: str, date: str, due: str) -> None:
    expected = last_expected(source, utc(now))
    assert expected is not None
    assert (expected.date.isoformat(), expected.due) == (date, utc(due))
    assert expected.name == f"the {source.frequency} date {date}"


def test_of_an_irregular_source_no_date_is_expected() -> None:
    now = utc("2026-03-11 18:00")
    found = last_expected(IRREGULAR, now), next_expected(IRREGULAR, now), expected_after(IRREGULAR, now.date())
    assert found == (None, None, None)


def test_an_exchange_expects_its_sessions() -> None:
    expected = last_expected(Calendar("XNYS", dt.timedelta(hours=2)), utc("2026-03-11 23:00"))
    assert expected is not None
    assert expected.name == "the XNYS session of 2026-03-11"
    assert expected.due == utc("2026-03-11 22:00")


sources = st.builds(
    UpdateDates,
    st.sampled_from(
        [each for each in SourceFrequency if each not in (SourceFrequency.IRREGULAR, SourceFrequency.WEEKLY)]
    ),
    st.integers(0, 20),
    st.booleans(),
    timezone=st.sampled_from(("UTC", "Europe/London", "Asia/Tokyo")),
) | st.builds(UpdateDates, st.just(SourceFrequency.WEEKLY), st.integers(0, 9), st.booleans(), st.integers(0, 6))
moments = st.timedeltas(min_value=dt.timedelta(0), max_value=dt.timedelta(days=1200)).map(utc("2024-01-01").__add__)


@examples(100)
@given(source=sources, now=moments)
def test_dates_are_those_of_a_plain_walk_over_the_days(source: UpdateDates, now: dt.datetime) -> None:
    walked = dict.fromkeys(updates(source, now.date()))
    last, following = last_expected(source, now), next_expected(source, now)
    assert last is not None
    assert following is not None
    assert (last.date, last.due) == [each for each in walked if each[1] <= now][-1]
    assert (following.date, following.due) == next(each for each in walked if each[1] > now)
    assert expected_after(source, last.date) == following


def test_beyond_the_last_date_there_is_one_error() -> None:
    with pytest.raises(CalendarError, match=r"^no date is expected after 9999-12-31: no calendar reaches as far$"):
        expected_after(DAILY, dt.date.max)
    with pytest.raises(CalendarError, match=r"^unknown timezone 'Mars'"):
        last_expected(UpdateDates(SourceFrequency.DAILY, timezone="Mars"), utc("2026-03-11 18:00"))
