import datetime as dt
from typing import Any

import pytest

from instances.plans.plan_warnings import advice
from instances.specification.specs import DatasetSpec
from tests.instances.catalogue import dataset, resolved

NOW = dt.datetime(2024, 3, 4, 12, tzinfo=dt.UTC)  # a Monday


def of(max_age: str | None, *others: DatasetSpec, **upstream: Any) -> tuple[str, ...]:
    """Return the advice on a reader that asks for less age than `max_age`."""
    reader = dataset("reader", {"instance": "prices", "max_age": max_age})
    return advice(resolved(dataset("prices", **upstream), reader, *others), NOW)


DAILY = {"type": "cron", "expression": "0 18 * * *"}
WEEKDAYS = {"type": "cron", "expression": "0 18 * * 1-5"}


def test_an_upstream_that_counts_as_fresh_for_longer_than_is_asked_for() -> None:
    assert of("1d", freshness={"max_age": "3d"}) == (
        "reader asks that prices is at most 1 day old, but it counts as fresh for 3 days; "
        "raise max_age on the edge, or refresh the upstream more often",
    )


def test_a_schedule_that_leaves_longer_gaps_than_is_asked_for() -> None:
    assert of("12h", schedule=DAILY) == (
        "reader asks that prices is at most 12 hours old, but its schedule leaves up to 1 day between two runs; "
        "raise max_age on the edge, or refresh the upstream more often",
    )
    assert of("12h", schedule={"type": "interval", "interval_minutes": 1440}) == of("12h", schedule=DAILY)


def test_the_longest_gap_counts() -> None:
    assert of("2d", schedule=WEEKDAYS) == (
        "reader asks that prices is at most 2 days old, but its schedule leaves up to 3 days between two runs; "
        "raise max_age on the edge, or refresh the upstream more often",
    )
    assert of("3d", schedule=WEEKDAYS) == ()


def test_both_are_said() -> None:
    assert len(of("1h", schedule=DAILY, freshness={"max_age": "3d"})) == 2


@pytest.mark.parametrize(
    ("max_age", "upstream"),
    [
        (None, {"schedule": WEEKDAYS, "freshness": {"max_age": "9d"}}),  # strict: it must be READY, whatever its age
        ("1h", {}),  # follows its inputs, or is started by hand
        ("1d", {"schedule": DAILY}),
        ("1h", {"schedule": DAILY | {"enabled": False}}),
        ("3d", {"freshness": {"max_age": "3d"}}),
    ],
)
def test_what_can_be_kept_is_no_advice(max_age: str | None, upstream: dict[str, Any]) -> None:
    assert of(max_age, **upstream) == ()


def test_a_gap_of_years_is_found_too() -> None:
    assert of("1h", schedule={"type": "cron", "expression": "0 0 29 2 *"})[0].startswith(
        "reader asks that prices is at most 1 hour old, but its schedule leaves up to 2921 days"  # from 2096 to 2104
    )


def test_a_disabled_schedule_of_what_has_inputs_makes_it_follow_them() -> None:
    prices = dataset("prices", schedule=DAILY | {"enabled": False})
    reader = dataset("reader", {"instance": "prices"}, schedule=DAILY | {"enabled": False})
    assert advice(resolved(prices, reader), NOW) == (
        "reader.refresh has a schedule that is disabled, so it follows its inputs, and runs when they have something "
        "newer; `optaic pause reader` stops it, `auto: false` too",
    )
    for quiet in ({"schedule": DAILY}, {}, {"schedule": DAILY | {"enabled": False}, "auto": False}):
        assert advice(resolved(prices, dataset("reader", {"instance": "prices"}, **quiet)), NOW) == ()
