import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from definitions.contract import FlowKind
from instances.specification.fields import Assets, FlowSettings, SignalSpec, Universe, UpdateFrequency, UpstreamRef
from instances.specification.schedules import RetryPolicy, Schedule
from instances.specification.specs import BacktestSpec, spec_adapter
from instances.specification.values import Duration
from tests.instances.catalogue import component, dataset
from tests.instances.sample_world import days, hours, minutes

durations: TypeAdapter[dt.timedelta] = TypeAdapter(Duration)


def problem(make: Any, **fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        make(**fields)
    assert caught.value.error_count() == 1
    return caught.value.errors()[0]["msg"]


# Durations


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("45s", dt.timedelta(seconds=45)),
        ("15m", minutes(15)),
        ("2h", hours(2)),
        ("7d", days(7)),
        ("2w", days(14)),
        (" 1 h ", hours(1)),
        ("PT90M", minutes(90)),
        ("1 days 06:00:00", hours(30)),
        (hours(3), hours(3)),
    ],
)
def test_durations_are_read_with_their_unit(text: object, length: dt.timedelta) -> None:
    assert durations.validate_python(text) == length


@pytest.mark.parametrize("number", [15, 1.5])
def test_a_duration_without_a_unit_is_rejected(number: float) -> None:
    with pytest.raises(ValidationError, match="a duration needs a unit: write '15m', '2h' or '7d'"):
        durations.validate_python(number)


@pytest.mark.parametrize("text", ["15", "1.5", "-1h", "-PT1H", "soon", "", "1h30m", "5 fortnights", True, None])
def test_what_is_no_duration_is_rejected(text: object) -> None:
    with pytest.raises(ValidationError):
        durations.validate_python(text)


def test_a_duration_that_is_too_long_is_rejected() -> None:
    with pytest.raises(ValidationError, match="'99999999999d' is longer than any date can tell"):
        durations.validate_python("99999999999d")


@pytest.mark.parametrize("length", ["PT1.5S", dt.timedelta(milliseconds=1)])
def test_parts_of_a_second_are_rejected(length: object) -> None:
    with pytest.raises(ValidationError, match="a duration is in whole seconds"):
        durations.validate_python(length)


@given(
    st.timedeltas(min_value=days(0), max_value=days(99_999)).map(
        lambda t: t - dt.timedelta(microseconds=t.microseconds)
    )
)
def test_a_duration_is_written_so_that_it_reads_the_same(length: dt.timedelta) -> None:
    assert durations.validate_json(durations.dump_json(length)) == length


@pytest.mark.parametrize(
    ("length", "text"),
    [(days(14), "2w"), (days(8), "8d"), (hours(36), "36h"), (minutes(90), "90m"), (dt.timedelta(seconds=61), "61s")],
)
def test_a_duration_is_written_in_the_largest_unit_that_divides_it(length: dt.timedelta, text: str) -> None:
    assert durations.dump_python(length) == text


# Names


@pytest.mark.parametrize("name", ["a", "prices", "sp500-prices", "7-days", "a" * 63])
def test_names_are_those_that_prefect_takes(name: str) -> None:
    assert dataset(name).name == name


@pytest.mark.parametrize("name", ["", "Prices", "a_b", "-a", "a-", "a b", "a.b", "a" * 64, "prices\n", "préis"])
def test_other_names_are_rejected(name: str) -> None:
    assert problem(dataset, name=name).startswith("String should match pattern")


# Schedules


def test_a_schedule_is_manual_where_nothing_is_said() -> None:
    assert not Schedule().ticks
    assert not Schedule(expression="0 18 * * *").ticks


def test_a_schedule_ticks_while_it_is_enabled() -> None:
    assert Schedule(type="cron", expression="0 18 * * 1-5").ticks
    assert Schedule(type="interval", interval_minutes=5).ticks
    assert not Schedule(type="cron", expression="0 18 * * 1-5", enabled=False).ticks


def test_a_schedule_that_cannot_tick_says_why() -> None:
    assert problem(Schedule, type="cron") == "Value error, a cron schedule needs an expression, like '0 18 * * 1-5'"
    assert problem(Schedule, type="interval") == "Value error, an interval schedule needs interval_minutes"
    assert problem(Schedule, type="cron", expression="0 25 * * *") == (
        "Value error, '0 25 * * *' is not a cron expression: Bad hour"
    )
    assert problem(Schedule, timezone="London") == (
        "Value error, unknown timezone 'London': use an IANA name like Europe/London"
    )
    assert problem(Schedule, timezone="../etc") == (
        "Value error, unknown timezone '../etc': use an IANA name like Europe/London"
    )
    assert problem(Schedule, type="interval", interval_minutes=0) == "Input should be greater than or equal to 1"


def test_an_interval_may_be_kept_within_hours_of_the_day() -> None:
    hours = {"type": "interval", "interval_minutes": 30, "start_time": "9:30", "end_time": 960}  # as YAML reads 16:00
    assert Schedule.model_validate(hours).window == (dt.time(9, 30), dt.time(16))
    for change, told in (
        ({"end_time": None}, "start_time and end_time go together: give both"),
        ({"end_time": "09:30"}, "start_time and end_time are both 09:30; write a cron expression for one tick a day"),
        ({"interval_minutes": 420}, "interval_minutes 420 is longer than the hours from 09:30 to 16:00: for one tick"),
        ({"interval_minutes": 25}, "interval_minutes 25 with start_time: it must divide an hour, like 15, or be whole"),
        ({"type": "manual"}, "start_time and end_time are of an interval; a manual schedule has none"),
        ({"end_time": "24:00"}, "'24:00' is no time of the day: write it as '16:00'"),
        ({"end_time": 57600}, "57600 is no time of the day: write it as '16:00'"),
        ({"end_time": "4 pm"}, "'4 pm' is no time of the day: write it as '16:00'"),
    ):
        assert told in problem(Schedule, **{**hours, **change})


def test_a_frequency_of_updates_that_cannot_be_meant_says_why() -> None:
    for fields, told in (
        ({"frequency": "yearly"}, "Input should be 'daily', 'weekly', 'monthly', 'quarterly' or 'irregular'"),
        ({"frequency": "weekly"}, "day_of_week, like friday, is what a weekly source needs, and no other takes"),
        ({"frequency": "daily", "day_of_week": "friday"}, "day_of_week, like friday, is what a weekly source needs"),
        (
            {"frequency": "quarterly", "day_of_month": 5},
            "day_of_month is of a monthly source; a quarterly one takes",
        ),
        ({"frequency": "irregular", "grace_period_days": 5}, "an irregular source has no dates: leave"),
        ({"frequency": "daily", "timezone": "London"}, "unknown timezone 'London': use an IANA name"),
        ({"frequency": "weekly", "day_of_week": 5}, "Input should be 'monday', 'tuesday'"),
    ):
        assert told in problem(UpdateFrequency, **fields)


def test_a_cron_expression_has_no_seconds() -> None:
    # Prefect takes five fields only.
    assert problem(Schedule, type="cron", expression="0 30 18 * * 1-5") == (
        "Value error, '0 30 18 * * 1-5' is not a cron expression: it has 6 fields, not 5"
    )


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("0 18 L * *", "'L' is read by some only; use numbers, names, commas, ranges and steps"),
        ("0 18 ? * 1", "'?' is read by some only; use numbers, names, commas, ranges and steps"),
        ("0 18 1W * *", "'W' is read by some only; use numbers, names, commas, ranges and steps"),
        ("0 18 * * fri#2", "'#' is read by some only; use numbers, names, commas, ranges and steps"),
        ("0 18 */2 * 1-5", "with both a day of the month and a weekday, neither may hold '*'"),
        ("5/15 * * * *", "the step of '5/15' needs a range, from where to where"),
        ("0 18 * * mon-1", "'MON-1' is a range with one end only; write MON"),
        ("0 18 */10 * *", "with days up to 31 some leave out March 1; let them end at 28, like 1-28/10"),
        ("0 18 2,31 * *", "with days up to 31 some leave out March 2; let them end at 28, like 1-28/10"),
        ("0 18 1,30 2-4 *", "with days up to 30 some leave out March 1; let them end at 28, like 1-28/10"),
        ("0 9-09 * * *", "'9-09' is a range with one end only; write 9"),
    ],
)
def test_a_cron_expression_that_not_all_read_alike_is_rejected(expression: str, why: str) -> None:
    assert problem(Schedule, type="cron", expression=expression) == (
        f"Value error, {expression!r} is not a cron expression that all read alike: {why}"
    )


@pytest.mark.parametrize("weekday", ["*", "0", "mon-fri"])
def test_a_date_that_never_comes_is_rejected_beside_a_weekday_too(weekday: str) -> None:
    assert "is not a cron expression: " in problem(Schedule, type="cron", expression=f"0 18 30 2 {weekday}")


@pytest.mark.parametrize(
    "expression",
    [
        "0 18 * jul wed",
        "0 18 1,15 * 1-5",
        "5-59/15 9-17 * * MON-FRI",
        "*/10 * * * *",
        "0 0 1-28/10 * *",
        "0 0 31 * *",
        "0 0 */2 * *",
    ],
)
def test_the_usual_cron_expressions_are_taken(expression: str) -> None:
    assert Schedule(type="cron", expression=expression).ticks


def test_retries_have_bounds() -> None:
    assert RetryPolicy().max_retries == 0
    assert problem(RetryPolicy, max_retries=21) == "Input should be less than or equal to 20"


# Others


def test_an_upstream_is_required_and_strict_where_nothing_is_said() -> None:
    ref = UpstreamRef(instance="prices")
    assert (ref.flow, ref.role, ref.required, ref.max_age) == (None, "input", True, None)


def test_signal_bounds_are_in_order() -> None:
    assert problem(SignalSpec, min=1, max=0) == "Value error, min 1.0 is greater than max 0.0"
    assert SignalSpec(min=0, max=0).min == 0


def test_retries_wait_as_long_each_time_or_twice_as_long() -> None:
    def waits(**policy: Any) -> list[float]:
        return [wait.total_seconds() for wait in RetryPolicy.model_validate(policy).waits]

    assert waits(max_retries=2, backoff="5m") == [300, 300]
    assert waits(max_retries=8, backoff="exponential") == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert waits(backoff="exponential") == []


def test_a_name_alone_is_a_benchmark_and_a_secondary_signal() -> None:
    given = {"name": "b", "type": "backtest", "assets": {"instance": "p"}}
    short = given | {"signals": {"primary": "m", "secondary": "r"}, "benchmark": "index"}
    long = given | {"signals": {"primary": "m", "secondary": ["r"]}, "benchmark": {"instance": "index", "entity": None}}
    assert spec_adapter.validate_python(short) == spec_adapter.validate_python(long)


def test_a_name_alone_is_a_universe_and_a_list_is_entities() -> None:
    assert Assets.model_validate({"instance": "p", "universe": "sp500"}).universe == Universe(instance="sp500")
    assert problem(Assets, instance="p", universe=["A"]) == (
        "Value error, is a dataset of constituents by date; a list of entities is written in 'entities'"
    )
    assert problem(Assets, instance="p", entities="sp500") == (
        "Value error, is a list of entities; a dataset of constituents by date is written in 'universe'"
    )
    assert problem(Assets, instance="p", entities=["A"], universe="sp500") == (
        "Value error, entities and universe both say what may be held: leave one of them out"
    )


def test_a_backtest_reads_its_universe() -> None:
    given = {"name": "b", "type": "backtest", "assets": {"instance": "p", "universe": "sp500"}, "optimizer": "w"}
    spec = spec_adapter.validate_python(given)
    assert isinstance(spec, BacktestSpec)
    assert [(ref.instance, ref.role) for ref in spec.references()] == [
        ("p", "assets"),
        ("sp500", "universe"),
        ("w", "weights"),
    ]


def test_unknown_fields_are_rejected() -> None:
    assert problem(UpstreamRef, instance="prices", maxage="1d") == "Extra inputs are not permitted"


def test_specs_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        component("csv", "pipeline", "csv").__setattr__("name", "other")


def test_the_settings_of_a_flow_are_those_of_its_instance() -> None:
    spec = dataset("prices", on_stale="warn", auto=False, source_retry="5m", freshness={"max_age": "2d"})
    settings = spec.flow_settings(FlowKind.REFRESH)
    assert settings == FlowSettings.model_validate(
        {"on_stale": "warn", "auto": False, "source_retry": "5m", "freshness": {"max_age": "2d"}}
    )
    assert FlowSettings.model_validate(settings.model_dump(mode="json")) == settings


# Names and text that the servers take


@pytest.mark.parametrize("field", ["work_pool", "work_queue", "project"])
def test_a_name_that_prefect_refuses_is_rejected(field: str) -> None:
    def with_name(name: str) -> Any:
        return dataset("prices", **{field: name})

    assert problem(lambda: with_name("a/b")) == ("Value error, a name can't hold '/': Prefect takes no / % & < >")
    assert problem(lambda: with_name(" ")) == "Value error, a name can't be empty"
    assert getattr(with_name("Äquity long-only_2"), field) == "Äquity long-only_2"


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_text_that_postgres_cannot_store_is_rejected(text: str) -> None:
    told = "Value error, {} holds a NUL or half a character, which can't be stored: take it out"
    assert problem(lambda: dataset("prices", description=text)) == told.format("description")
    config = {"a": [{"b": text}]}
    assert problem(lambda: component("p", "pipeline", "csv", config=config)) == told.format("config.a.0.b")
    assert problem(lambda: component("p", "pipeline", "csv", config={text: 1})) == told.format("config")
    assert dataset("prices", description="é\n𝄞").description == "é\n𝄞"
