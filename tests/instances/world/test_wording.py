import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from instances.world.wording import a, moment, short, span, version_of
from tests.instances.sample_world import NOW, days, hours, minutes, run_id, utc


def test_a_moment_of_today_is_told_by_its_time() -> None:
    assert moment(utc("2026-03-11 09:05"), NOW) == "09:05 UTC"


def test_a_moment_of_another_day_is_told_with_its_date() -> None:
    assert moment(utc("2026-03-10 23:59"), NOW) == "2026-03-10 23:59 UTC"
    assert moment(utc("2026-03-12 00:00"), NOW) == "2026-03-12 00:00 UTC"


def test_moments_are_told_in_utc() -> None:
    assert moment(dt.datetime(2026, 3, 12, 0, 30, tzinfo=ZoneInfo("Asia/Tokyo")), NOW) == "15:30 UTC"


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (days(7), "7 days"),
        (days(1), "1 day"),
        (hours(36), "36 hours"),
        (minutes(90), "90 minutes"),
        (hours(1), "1 hour"),
        (dt.timedelta(seconds=61), "61 seconds"),
        (dt.timedelta(0), "0 seconds"),
    ],
)
def test_a_span_is_told_in_the_largest_unit_that_divides_it(length: dt.timedelta, told: str) -> None:
    assert span(length) == told


def test_versions_that_are_numbers_get_a_v() -> None:
    assert version_of("12") == "v12"
    assert version_of("2026-03-11") == "2026-03-11"


def test_nouns_get_their_article() -> None:
    assert [a("store"), a("accessor")] == ["a store", "an accessor"]


def test_ids_are_told_by_their_first_8_digits() -> None:
    run = run_id("any")
    assert short(run) == str(run)[:8]
