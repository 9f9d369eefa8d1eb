import datetime as dt

import pytest

from instances.world.calendars import CalendarError, Session, last_session
from instances.world.moments import NaiveMoment
from tests.instances.sample_world import hours, minutes, utc

AT_ONCE = dt.timedelta(0)


def session(date: str, close: str) -> Session:
    return Session(dt.date.fromisoformat(date), utc(close))


def test_a_session_counts_from_its_close_on() -> None:
    wednesday = session("2026-03-11", "2026-03-11 20:00")  # 16:00 in New York, which is on summer time
    assert last_session("XNYS", utc("2026-03-11 20:00"), AT_ONCE) == wednesday
    assert last_session("XNYS", utc("2026-03-11 19:59:59"), AT_ONCE).date == dt.date(2026, 3, 10)


def test_data_is_due_only_some_time_after_the_close() -> None:
    assert last_session("XNYS", utc("2026-03-11 21:30"), minutes(90)).date == dt.date(2026, 3, 11)
    assert last_session("XNYS", utc("2026-03-11 21:29"), minutes(90)).date == dt.date(2026, 3, 10)


def test_the_close_follows_daylight_saving() -> None:
    assert last_session("XNYS", utc("2026-03-07 00:00"), AT_ONCE) == session("2026-03-06", "2026-03-06 21:00")
    assert last_session("XNYS", utc("2026-03-10 00:00"), AT_ONCE) == session("2026-03-09", "2026-03-09 20:00")
    assert last_session("XLON", utc("2026-03-28 00:00"), AT_ONCE) == session("2026-03-27", "2026-03-27 16:30")
    assert last_session("XLON", utc("2026-03-31 00:00"), AT_ONCE) == session("2026-03-30", "2026-03-30 15:30")


def test_weekends_and_holidays_have_no_session() -> None:
    assert last_session("XNYS", utc("2026-03-15 12:00"), AT_ONCE).date == dt.date(2026, 3, 13)
    assert last_session("XNYS", utc("2025-11-28 00:00"), AT_ONCE).date == dt.date(2025, 11, 26)  # Thanksgiving
    assert last_session("XLON", utc("2026-04-07 06:00"), AT_ONCE).date == dt.date(2026, 4, 2)  # Good Friday to Monday
    assert last_session("XNYS", utc("2026-04-07 06:00"), AT_ONCE).date == dt.date(2026, 4, 6)  # open on Easter Monday


def test_half_days_close_early() -> None:
    after_thanksgiving = session("2025-11-28", "2025-11-28 18:00")
    assert last_session("XNYS", utc("2025-11-28 18:00"), AT_ONCE) == after_thanksgiving
    christmas_eve = session("2025-12-24", "2025-12-24 12:30")
    assert last_session("XLON", utc("2025-12-24 12:30"), AT_ONCE) == christmas_eve
    assert last_session("XLON", utc("2025-12-29 08:00"), AT_ONCE) == christmas_eve  # the 25th and 26th are holidays


def test_the_first_days_of_a_year_look_back_into_the_last() -> None:
    assert last_session("XNYS", utc("2026-01-01 12:00"), AT_ONCE) == session("2025-12-31", "2025-12-31 21:00")
    assert last_session("XNYS", utc("2026-01-01 00:30"), hours(4)) == session("2025-12-30", "2025-12-30 21:00")


def test_an_unknown_exchange_says_what_to_do() -> None:
    with pytest.raises(CalendarError) as caught:
        last_session("NYSE-MOON", utc("2026-03-11 18:00"), AT_ONCE)
    message = str(caught.value)
    assert message.startswith("the calendar 'NYSE-MOON' cannot be read for 2026: ")
    assert message.endswith(
        "Use a code that exchange_calendars knows, like XNYS or XLON, or upgrade exchange-calendars."
    )


def test_a_date_after_the_end_of_the_calendar_is_not_guessed() -> None:
    with pytest.raises(CalendarError, match=r"^the calendar 'XKRX' c.*2070.*pgrade exchange-calendars"):
        last_session("XKRX", utc("2070-06-01 12:00"), AT_ONCE)


def test_a_naive_moment_is_rejected() -> None:
    with pytest.raises(NaiveMoment, match=r"^before has no time zone: 2026-03-11T18:00:00\."):
        last_session("XNYS", dt.datetime(2026, 3, 11, 18), AT_ONCE)  # noqa: DTZ001
