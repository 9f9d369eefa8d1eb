import asyncio
import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st
from prefect.server.schemas.schedules import CronSchedule
from pydantic import ValidationError

from instances.specification.schedules import Schedule
from instances.world.clock import ORIGIN, ClockError, crons, last_tick, next_tick
from instances.world.facts import Clock
from instances.world.moments import NaiveMoment
from tests.instances.sample_world import days, hours, minutes, utc
from tests.properties import examples

LONDON = "Europe/London"
NEW_YORK = "America/New_York"
ZONES = ("UTC", LONDON, NEW_YORK, "Asia/Tokyo", "Australia/Sydney", "Australia/Lord_Howe")
CRONS = ("30 1 * * *", "0 18 * * 1-5", "*/20 * * * *", "15 */4 * * *", "0 2 1 * *", "59 23 L * *", "30 2 * * 0")

CHANGES = tuple(  # of the clocks in ZONES, to summer time and back
    utc(text)
    for text in (
        "2026-03-08 07:00",
        "2026-03-29 01:00",
        "2026-04-04 16:00",
        "2026-10-03 16:00",
        "2026-10-25 01:00",
        "2026-11-01 06:00",
    )
)

near_changes = st.builds(
    lambda change, away: change + away,
    st.sampled_from(CHANGES),
    st.timedeltas(min_value=-hours(4), max_value=hours(4)),
)
moments = near_changes | st.timedeltas(min_value=days(0), max_value=days(1500)).map(lambda age: utc("2024-01-01") + age)
cron_clocks = st.builds(Clock, cron=st.sampled_from(CRONS), timezone=st.sampled_from(ZONES))
interval_clocks = st.builds(Clock, interval=st.integers(1, 10_000).map(minutes), timezone=st.sampled_from(ZONES))


def ticks(clock: Clock, start: dt.datetime, count: int) -> list[str]:
    found = []
    for _ in range(count):
        tick = next_tick(clock, start)
        assert tick is not None
        found.append(f"{tick:%m-%d %H:%M}")
        start = tick
    return found


def test_a_tick_is_at_its_own_moment_the_last_one() -> None:
    clock = Clock(cron="0 18 * * *")
    assert last_tick(clock, utc("2026-03-11 18:00")) == utc("2026-03-11 18:00")
    assert last_tick(clock, utc("2026-03-11 17:59:59.999999")) == utc("2026-03-10 18:00")
    assert last_tick(clock, utc("2026-03-11 18:00:00.000001")) == utc("2026-03-11 18:00")


def test_the_next_tick_is_after_the_moment() -> None:
    clock = Clock(cron="0 18 * * *")
    assert next_tick(clock, utc("2026-03-11 18:00")) == utc("2026-03-12 18:00")
    assert next_tick(clock, utc("2026-03-11 17:59:59.999999")) == utc("2026-03-11 18:00")


def test_weekdays_leave_out_the_weekend() -> None:
    assert last_tick(Clock(cron="0 18 * * 1-5"), utc("2026-03-15 12:00")) == utc("2026-03-13 18:00")


def test_cron_is_read_in_its_time_zone() -> None:
    assert last_tick(Clock(cron="0 18 * * *", timezone=NEW_YORK), utc("2026-01-10 23:00")) == utc("2026-01-10 23:00")
    assert last_tick(Clock(cron="0 18 * * *", timezone=NEW_YORK), utc("2026-07-10 22:00")) == utc("2026-07-10 22:00")
    assert last_tick(Clock(cron="0 9 * * *", timezone="Asia/Tokyo"), utc("2026-07-10 00:00")) == utc("2026-07-10 00:00")


def test_the_moment_may_come_in_any_time_zone() -> None:
    moment = dt.datetime(2026, 7, 10, 20, 0, tzinfo=ZoneInfo("Asia/Tokyo"))  # 11:00 UTC
    assert last_tick(Clock(cron="0 11 * * *"), moment) == utc("2026-07-10 11:00")


def test_a_time_in_the_gap_of_spring_ticks_as_early_as_the_gap_is_long() -> None:
    london = Clock(cron="30 1 * * *", timezone=LONDON)  # 01:00 becomes 02:00 on 29 March, at 01:00 UTC
    assert ticks(london, utc("2026-03-27 12:00"), 4) == ["03-28 01:30", "03-29 00:30", "03-30 00:30", "03-31 00:30"]
    new_york = Clock(cron="30 2 * * *", timezone=NEW_YORK)  # 02:00 becomes 03:00 on 8 March, at 07:00 UTC
    assert ticks(new_york, utc("2026-03-06 12:00"), 3) == ["03-07 07:30", "03-08 06:30", "03-09 06:30"]
    assert last_tick(new_york, utc("2026-03-08 06:30")) == utc("2026-03-08 06:30")
    assert last_tick(new_york, utc("2026-03-08 06:29")) == utc("2026-03-07 07:30")


def test_a_time_that_autumn_repeats_fires_once_the_first_time() -> None:
    london = Clock(cron="30 1 * * *", timezone=LONDON)  # 02:00 becomes 01:00 on 25 October, at 01:00 UTC
    assert ticks(london, utc("2026-10-23 12:00"), 3) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]
    for time in ("00:30", "01:10", "01:30", "01:45", "02:30"):  # the second hour of 01:00 begins at 01:00 UTC
        assert last_tick(london, utc(f"2026-10-25 {time}")) == utc("2026-10-25 00:30")
    new_york = Clock(cron="30 1 * * *", timezone=NEW_YORK)  # 02:00 becomes 01:00 on 1 November, at 06:00 UTC
    assert ticks(new_york, utc("2026-10-30 12:00"), 3) == ["10-31 05:30", "11-01 05:30", "11-02 06:30"]


def test_the_hour_that_autumn_repeats_has_its_ticks_once() -> None:
    clock = Clock(cron="*/30 * * * *", timezone=LONDON)
    assert ticks(clock, utc("2026-10-25 00:00"), 3) == ["10-25 00:30", "10-25 02:00", "10-25 02:30"]
    assert last_tick(clock, utc("2026-10-25 01:10")) == utc("2026-10-25 00:30")


@examples(60)
@given(clock=cron_clocks, start=moments)
def test_cron_ticks_are_those_of_prefects_scheduler(clock: Clock, start: dt.datetime) -> None:
    assert clock.cron is not None
    start -= hours(12)  # where Prefect starts to count within a repeated hour it ticks a second time
    end = start + days(3)
    schedule = CronSchedule(cron=clock.cron.replace("L", "28"), timezone=clock.timezone)
    theirs = asyncio.run(schedule.get_dates(n=1000, start=start, end=end))
    ours, tick = [], start - dt.timedelta(microseconds=1)
    same = Clock(cron=schedule.cron, timezone=clock.timezone)
    while (following := next_tick(same, tick)) is not None and following <= end:
        ours.append(following)
        tick = following
    assert ours == sorted(tick.astimezone(dt.UTC) for tick in theirs)


# Cron expressions of the whole grammar, of which most are refused: what is left must tick as Prefect's does.

BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
MONTHS = ("jan", "Feb", "MAR", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "DEC")
WEEKDAYS = ("sun", "MON", "Tue", "wed", "thu", "fri", "sat")


def values(place: int) -> st.SearchStrategy[str]:
    """Return what may stand in a field: numbers within and just beyond its bounds, and names."""
    low, high = BOUNDS[place]
    numbers = st.integers(low, high).map(str) | st.sampled_from((str(low), str(high), f"0{low}", str(high + 1), "0"))
    names = {3: MONTHS, 4: WEEKDAYS}.get(place)
    return numbers | st.sampled_from(names) if names else numbers


def fields(place: int) -> st.SearchStrategy[str]:
    value, step = values(place), st.integers(0, BOUNDS[place][1] + 2)
    spans = st.builds("{}-{}".format, value, value)
    items = st.one_of(
        value,
        spans,
        st.builds("{}/{}".format, spans, step),
        st.builds("*/{}".format, step),
        st.builds("{}/{}".format, value, step),
        st.sampled_from(("*", "L", "W", "?", "1W", "1#2", "5L", "*-5", "1-", "-1")),
    )
    return st.just("*") | value | st.lists(items, min_size=1, max_size=3).map(",".join)


expressions = st.tuples(*(fields(place) for place in range(5))).map(" ".join)


def accepted(expression: str) -> bool:
    try:
        Schedule(type="cron", expression=expression)
    except ValidationError:
        return False
    return True


@examples(200, suppress=[HealthCheck.filter_too_much])
@given(cron=expressions, start=moments, zone=st.sampled_from(("UTC", "Asia/Tokyo")))
def test_what_the_spec_accepts_ticks_as_prefects_schedule_does(cron: str, start: dt.datetime, zone: str) -> None:
    assume(accepted(cron))
    theirs = asyncio.run(CronSchedule(cron=cron, timezone=zone).get_dates(n=30, start=start))
    ours: list[dt.datetime] = []
    tick = start - dt.timedelta(microseconds=1)
    while len(ours) < 30 and (following := next_tick(Clock(cron=cron, timezone=zone), tick)) is not None:
        ours.append(following)
        tick = following
    assert ours == [their.astimezone(dt.UTC) for their in theirs]


WINDOWED = Clock(interval=minutes(15), window=(dt.time(9, 30), dt.time(16)), timezone=NEW_YORK)


def test_an_interval_within_hours_of_the_day_ticks_from_their_start_to_their_end() -> None:
    found = ticks(WINDOWED, utc("2026-01-12 00:00"), 28)  # New York is five hours behind
    assert found[:3] == ["01-12 14:30", "01-12 14:45", "01-12 15:00"]
    assert found[25:] == ["01-12 20:45", "01-12 21:00", "01-13 14:30"]
    assert last_tick(WINDOWED, utc("2026-01-12 14:29")) == utc("2026-01-11 21:00")
    assert ticks(WINDOWED, utc("2026-07-13 00:00"), 1) == ["07-13 13:30"]  # four hours behind


@pytest.mark.parametrize(
    ("start", "end", "interval", "expressions"),
    [
        (dt.time(9), dt.time(16), 60, ["0 9,10,11,12,13,14,15,16 * * *"]),
        (dt.time(9, 30), dt.time(16), 120, ["30 9,11,13,15 * * *"]),
        (dt.time(22), dt.time(2, 30), 90 * 2, ["0 1,22 * * *"]),  # over midnight
        (dt.time(9, 30), dt.time(11), 30, ["30 9,10 * * *", "0 10,11 * * *"]),
    ],
)
def test_an_interval_within_hours_is_a_few_cron_expressions(
    start: dt.time, end: dt.time, interval: int, expressions: list[str]
) -> None:
    assert list(crons(Clock(interval=minutes(interval), window=(start, end)))) == expressions


times_of_day = st.builds(dt.time, st.integers(0, 23), st.integers(0, 59))
intervals = st.sampled_from((1, 5, 10, 12, 15, 20, 30, 60, 120, 180, 420))


@examples(60)
@given(start=times_of_day, end=times_of_day, interval=intervals, moment=moments, zone=st.sampled_from(("UTC", LONDON)))
def test_an_interval_within_hours_ticks_as_prefects_schedules_do(
    start: dt.time, end: dt.time, interval: int, moment: dt.datetime, zone: str
) -> None:
    assume(start != end and moment.astimezone(ZoneInfo(zone)).month in (1, 2, 5, 6, 7, 8, 12))  # no change of the clock
    clock = Clock(interval=minutes(interval), window=(start, end), timezone=zone)
    theirs: set[dt.datetime] = set()
    for cron in crons(clock):
        found = asyncio.run(CronSchedule(cron=cron, timezone=zone).get_dates(n=30, start=moment))
        assert theirs.isdisjoint(found)
        theirs.update(found)
    ours: list[dt.datetime] = []
    tick = moment - dt.timedelta(microseconds=1)
    while len(ours) < 30 and (following := next_tick(clock, tick)) is not None:
        ours.append(following)
        tick = following
    assert ours == [their.astimezone(dt.UTC) for their in sorted(theirs)[:30]]


def test_intervals_count_from_their_origin() -> None:
    clock = Clock(interval=minutes(90))
    assert last_tick(clock, ORIGIN) == ORIGIN
    assert last_tick(clock, ORIGIN + minutes(179)) == ORIGIN + minutes(90)
    assert next_tick(clock, ORIGIN + minutes(90)) == ORIGIN + minutes(180)


def test_before_the_origin_an_interval_has_not_ticked() -> None:
    assert last_tick(Clock(interval=hours(1)), ORIGIN - minutes(1)) is None
    assert next_tick(Clock(interval=hours(1)), ORIGIN - hours(100)) == ORIGIN


def test_a_date_that_never_comes_has_no_tick() -> None:
    assert last_tick(Clock(cron="0 0 30 2 *"), utc("2026-03-11 18:00")) is None
    assert next_tick(Clock(cron="0 0 30 2 *"), utc("2026-03-11 18:00")) is None


def test_naive_moments_are_rejected() -> None:
    naive = dt.datetime(2026, 3, 11, 18, 0)  # noqa: DTZ001
    with pytest.raises(NaiveMoment) as caught:
        last_tick(Clock(cron="0 18 * * *"), naive)
    assert str(caught.value) == (
        "before has no time zone: 2026-03-11T18:00:00. Pass an aware datetime, like datetime.now(datetime.UTC)."
    )
    with pytest.raises(NaiveMoment, match=r"^after has no time zone"):
        next_tick(Clock(interval=hours(1)), naive)


@pytest.mark.parametrize("ticking", [last_tick, next_tick])
def test_a_clock_that_cannot_be_read_says_why(ticking: Callable[[Clock, dt.datetime], object]) -> None:
    now = utc("2026-03-11 18:00")
    with pytest.raises(ClockError, match=r"^'61 \* \* \* \*' is not a cron expression: Bad minute"):
        ticking(Clock(cron="61 * * * *"), now)
    with pytest.raises(ClockError, match=r"^unknown timezone 'Mars/Olympus': use an IANA name like Europe/London$"):
        ticking(Clock(cron="0 18 * * *", timezone="Mars/Olympus"), now)
    with pytest.raises(ClockError, match=r"is not a clock: set either a cron expression or an interval above 0$"):
        ticking(Clock(), now)
    with pytest.raises(ClockError, match="is not a clock"):
        ticking(Clock(interval=dt.timedelta(0)), now)
    with pytest.raises(ClockError, match="is not a clock"):
        ticking(Clock(cron="0 18 * * *", interval=hours(1)), now)


@examples(300)
@given(clock=cron_clocks | interval_clocks, moment=moments)
def test_last_and_next_tick_enclose_the_moment_with_nothing_between(clock: Clock, moment: dt.datetime) -> None:
    last, following = last_tick(clock, moment), next_tick(clock, moment)
    assert last is not None
    assert following is not None
    assert last <= moment < following
    assert next_tick(clock, last) == following
    assert last_tick(clock, following) == following
    assert last_tick(clock, following - dt.timedelta(microseconds=1)) == last


@examples(60)
@given(zone=st.sampled_from(ZONES), hour=st.integers(0, 23), minute=st.integers(0, 59), moment=moments)
def test_a_daily_time_ticks_once_on_every_local_date(zone: str, hour: int, minute: int, moment: dt.datetime) -> None:
    clock = Clock(cron=f"{minute} {hour} * * *", timezone=zone)
    local = []
    for _ in range(10):
        tick = next_tick(clock, moment)
        assert tick is not None
        local.append(tick.astimezone(ZoneInfo(zone)).date())
        moment = tick
    assert local == [local[0] + dt.timedelta(days=n) for n in range(10)]
