import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.portfolios.rebalancing import Frequency, RebalanceDay, Weekday, rebalance_dates


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


def test_a_week_is_decided_on_its_weekday_or_the_trading_day_before_or_else_the_one_after() -> None:
    # Christmas 2024 is a Wednesday; of the week of 1 January 2025 only Thursday and Friday are traded.
    dates = [dt.date(2024, 12, day) for day in (16, 17, 18, 19, 20, 23, 24, 26, 27)] + [
        dt.date(2025, 1, 2),
        dt.date(2025, 1, 3),
    ]

    def chosen(day: Weekday) -> list[tuple[int, int]]:
        return [(date.month, date.day) for date in rebalance_dates(dates, Frequency.WEEKLY, day)]

    assert chosen(Weekday.WEDNESDAY) == [(12, 18), (12, 24), (1, 2)]
    assert chosen(Weekday.MONDAY) == [(12, 16), (12, 23), (1, 2)]
    assert chosen(Weekday.FRIDAY) == chosen(Weekday.SUNDAY) == [(12, 20), (12, 27), (1, 3)]


def test_a_month_is_decided_on_its_day_or_the_trading_day_before() -> None:
    dates = days(dt.date(2024, 1, 1), 91)  # 1 January to 31 March, weekdays

    def chosen(day: int) -> list[tuple[int, int]]:
        return [(date.month, date.day) for date in rebalance_dates(dates, Frequency.MONTHLY, day)]

    assert chosen(15) == [(1, 15), (2, 15), (3, 15)]
    assert chosen(17) == [(1, 17), (2, 16), (3, 15)]  # 17 February and March lie on weekends
    assert chosen(1) == [(1, 1), (2, 1), (3, 1)]
    assert chosen(31) == [(1, 31), (2, 29), (3, 29)]
    assert chosen(30) == [(1, 30), (2, 29), (3, 29)]
    assert rebalance_dates(dates[1:], Frequency.MONTHLY, 1)[0] == dt.date(2024, 1, 2)  # the first that there is


def test_a_day_counts_when_it_can_be_known() -> None:
    dates = days(dt.date(2024, 6, 3), 2)  # Monday and Tuesday

    assert rebalance_dates(dates, Frequency.WEEKLY, Weekday.TUESDAY) == [dt.date(2024, 6, 4)]
    assert rebalance_dates([*days(dt.date(2024, 5, 27), 5), *dates], Frequency.WEEKLY, Weekday.WEDNESDAY) == [
        dt.date(2024, 5, 29)
    ]


DAYS_OF: dict[Frequency, st.SearchStrategy[RebalanceDay | None]] = {
    Frequency.WEEKLY: st.none() | st.sampled_from(Weekday),
    Frequency.MONTHLY: st.none() | st.integers(1, 31),
}


@given(st.sets(st.integers(0, 400), min_size=1), st.sampled_from(Frequency), st.data())
def test_later_dates_take_no_date_away(offsets: set[int], frequency: Frequency, data: st.DataObject) -> None:
    # Weekdays only, as a set of days on which a market was open; all five weekdays have been seen.
    first = days(dt.date(2020, 1, 6), 5)
    dates = sorted({*first, *days_at(offsets)})
    seen = data.draw(st.integers(len(first), len(dates)))

    day = data.draw(DAYS_OF.get(frequency, st.none()))

    early = rebalance_dates(dates[:seen], frequency, day)

    assert rebalance_dates(dates, frequency, day)[: len(early)] == early


def days_at(offsets: set[int]) -> list[dt.date]:
    every = (dt.date(2020, 1, 13) + dt.timedelta(days=i) for i in offsets)
    return [day for day in every if day.weekday() < 5]
