import datetime as dt
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.errors import ResearchError
from research.models.walk_forward import Split, TooFewDates, Validation, walk_forward

START = dt.date(2024, 1, 1)
validations = st.builds(
    Validation,
    train_days=st.integers(1, 30),
    test_days=st.integers(1, 15),
    embargo_days=st.integers(0, 5),
    expanding=st.booleans(),
)
# Days between one trading day and the next: weekends and holidays.
steps = st.lists(st.integers(1, 4), max_size=120)


def dated(gaps: list[int]) -> list[dt.date]:
    dates = [START]
    for gap in gaps:
        dates.append(dates[-1] + dt.timedelta(gap))
    return dates


def splits_of(dates: list[dt.date], validation: Validation, horizon: int) -> tuple[Split, ...]:
    try:
        return walk_forward(dates, validation, horizon=horizon)
    except TooFewDates:
        assert len(dates) <= validation.train_days + horizon + validation.embargo_days
        return ()


@given(gaps=steps, validation=validations, horizon=st.integers(1, 10))
def test_what_is_tested_is_never_known_to_the_training(gaps: list[int], validation: Validation, horizon: int) -> None:
    dates = dated(gaps)
    place = {date: number for number, date in enumerate(dates)}
    for split in splits_of(dates, validation, horizon):
        label_ends = place[split.train_last] + horizon
        assert label_ends < place[split.test_first] - validation.embargo_days
        assert split.train_first <= split.train_last < split.test_first <= split.test_last
        assert split.labels_before == dates[place[split.test_first] - validation.embargo_days]


@given(gaps=steps, validation=validations, horizon=st.integers(1, 10))
def test_test_windows_follow_each_other_up_to_the_last_day(
    gaps: list[int], validation: Validation, horizon: int
) -> None:
    dates = dated(gaps)
    place = {date: number for number, date in enumerate(dates)}
    splits = splits_of(dates, validation, horizon)
    for before, after in pairwise(splits):
        assert place[after.test_first] == place[before.test_last] + 1
        assert place[before.test_last] - place[before.test_first] + 1 == validation.test_days
    if splits:
        assert splits[-1].test_last == dates[-1]
        assert place[splits[0].train_last] - place[splits[0].train_first] + 1 == validation.train_days


@given(gaps=steps, validation=validations, horizon=st.integers(1, 10))
def test_training_windows_roll_or_expand(gaps: list[int], validation: Validation, horizon: int) -> None:
    dates = dated(gaps)
    place = {date: number for number, date in enumerate(dates)}
    for split in splits_of(dates, validation, horizon):
        days = place[split.train_last] - place[split.train_first] + 1
        assert split.train_first == dates[0] if validation.expanding else days == validation.train_days
        assert place[split.train_last] == place[split.test_first] - horizon - validation.embargo_days - 1


@given(gaps=steps, more=steps, validation=validations, horizon=st.integers(1, 10))
def test_more_days_change_only_the_last_split(
    gaps: list[int], more: list[int], validation: Validation, horizon: int
) -> None:
    before = splits_of(dated(gaps), validation, horizon)
    after = splits_of(dated(gaps + more), validation, horizon)
    assert after[: max(len(before) - 1, 0)] == before[:-1]


def test_an_example() -> None:
    dates = dated([1] * 11)  # January 1 to 12

    splits = walk_forward(dates, Validation(train_days=4, test_days=3, embargo_days=1, expanding=True), horizon=2)

    def day(n: int) -> dt.date:
        return dt.date(2024, 1, n)

    assert splits == (
        Split(day(1), day(4), day(8), day(10), labels_before=day(7)),
        Split(day(1), day(7), day(11), day(12), labels_before=day(10)),
    )


def test_a_label_that_ends_late_is_purged() -> None:
    split = Split(START, dt.date(2024, 1, 4), dt.date(2024, 1, 8), dt.date(2024, 1, 9), dt.date(2024, 1, 7))
    rows = pl.DataFrame({"date": [START] * 4, "label_end": [dt.date(2024, 1, n) for n in (6, 7, 8)] + [None]})

    assert rows.filter(split.train_rows)["label_end"].to_list() == [dt.date(2024, 1, 6)]


def test_errors_say_what_and_the_remedy() -> None:
    with pytest.raises(TooFewDates) as few:
        walk_forward(dated([1] * 6), Validation(train_days=4, test_days=3, embargo_days=1, expanding=True), horizon=2)
    with pytest.raises(ResearchError, match=r"2024-01-01 comes after 2024-01-01: sort the dates, and keep each once"):
        walk_forward(
            [START, START], Validation(train_days=756, test_days=252, embargo_days=0, expanding=True), horizon=1
        )
    with pytest.raises(ResearchError, match="horizon is 0: a label covers 1 day or more"):
        walk_forward([START], Validation(train_days=756, test_days=252, embargo_days=0, expanding=True), horizon=0)
    with pytest.raises(ResearchError, match="test_days is 0: it must be 1 or more"):
        Validation(test_days=0, train_days=756, embargo_days=0, expanding=True)

    assert str(few.value) == (
        "7 dates are too few to train on 4, wait for 3 (horizon 2, embargo_days 1) and test on one: it takes 8. "
        "Lower train_days, embargo_days or the horizon, or bring more history."
    )
