import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.portfolios.rebalancing import Frequency, rebalance_dates


def days(first: dt.date, count: int, weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)) -> list[dt.date]:
    every = (first + dt.timedelta(days=i) for i in range(count))
    return [day for day in every if day.weekday() in weekdays]


def test_a_month_ends_on_its_last_weekday_at_once() -> None:
    dates = days(dt.date(2024, 11, 1), 29)  # to Friday the 29th; the 30th is a Saturday

    assert rebalance_dates(dates, Frequency.MONTHLY) == [dt.date(2024, 11, 29)]
    assert rebalance_dates(dates[:-1], Frequency.MONTHLY) == []


def test_a_month_that_a_holiday_ends_counts_on_the_next_date() -> None:
    dates = [day for day in days(dt.date(2024, 3, 1), 32) if day != dt.date(2024, 3, 29)]  # Good Friday

    assert dates[-1] == dt.date(2024, 4, 1)
    assert rebalance_dates(dates[:-1], Frequency.MONTHLY) == []
    assert rebalance_dates(dates, Frequency.MONTHLY) == [dt.date(2024, 3, 28)]


def test_weeks_that_are_traded_on_sundays_end_there() -> None:
    dates = days(dt.date(2024, 6, 3), 14, weekdays=(0, 1, 2, 3, 4, 5, 6))

    assert rebalance_dates(dates, Frequency.WEEKLY) == [dt.date(2024, 6, 9), dt.date(2024, 6, 16)]


@pytest.mark.parametrize(
    ("frequency", "count"),
    [(Frequency.DAILY, 522), (Frequency.WEEKLY, 104), (Frequency.MONTHLY, 24), (Frequency.QUARTERLY, 8)],
)
def test_two_years(frequency: Frequency, count: int) -> None:
    chosen = rebalance_dates(days(dt.date(2023, 1, 1), 731), frequency)

    assert len(chosen) == count


def test_the_turn_of_the_year_lies_within_one_week() -> None:
    dates = days(dt.date(2024, 12, 27), 9)

    assert rebalance_dates(dates, Frequency.WEEKLY) == [dt.date(2024, 12, 27), dt.date(2025, 1, 3)]


@given(st.sets(st.integers(0, 400), min_size=1), st.sampled_from(Frequency), st.data())
def test_later_dates_take_no_date_away(offsets: set[int], frequency: Frequency, data: st.DataObject) -> None:
    # Weekdays only, as a set of days on which a market was open; all five weekdays have been seen.
    first = days(dt.date(2020, 1, 6), 5)
    dates = sorted({*first, *days_at(offsets)})
    seen = data.draw(st.integers(len(first), len(dates)))

    early = rebalance_dates(dates[:seen], frequency)

    assert rebalance_dates(dates, frequency)[: len(early)] == early


def days_at(offsets: set[int]) -> list[dt.date]:
    every = (dt.date(2020, 1, 13) + dt.timedelta(days=i) for i in offsets)
    return [day for day in every if day.weekday() < 5]
