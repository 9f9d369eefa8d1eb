from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.plans.plan import ABSENT, Action, Change, Fields, Plan, Step, compare

KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "x"])
VALUES = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=2), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
FIELDS = st.dictionaries(KEYS, VALUES, max_size=3)
THINGS = st.dictionaries(st.sampled_from(["one", "two", "three"]), FIELDS, max_size=3)


def only(desired: Fields, actual: Fields) -> Step:
    (step,) = compare("thing", {"x": desired}, {"x": actual})
    return step


def changed(desired: Fields, actual: Fields) -> dict[str, tuple[Any, Any]]:
    return {change.field: (change.before, change.after) for change in only(desired, actual).changes}


# Each action


def test_what_is_not_there_is_created_with_its_fields() -> None:
    (step,) = compare("thing", {"x": {"a": 1, "b": None}}, {})
    assert step == Step("thing", "x", Action.CREATE, (Change("a", None, 1),), {"a": 1, "b": None})
    assert step.label == "thing x"


def test_what_is_there_as_it_should_be_is_unchanged() -> None:
    assert only({"a": {"b": [1]}}, {"a": {"b": [1]}}) == Step("thing", "x", Action.UNCHANGED, (), {"a": {"b": [1]}})


def test_a_field_that_differs_is_an_update() -> None:
    step = only({"a": 1, "b": 2}, {"a": 1, "b": 3})
    assert step == Step("thing", "x", Action.UPDATE, (Change("b", 3, 2),), {"a": 1, "b": 2})


def test_what_is_gone_is_deleted_where_it_is_there() -> None:
    steps = compare("thing", {"y": {}}, {"x": {"a": 1}, "y": {}}, deleted=["x", "y", "z"])
    assert steps[1:] == (Step("thing", "x", Action.DELETE, (Change("a", 1, None),), {}),)
    assert steps[0].action is Action.UNCHANGED  # described, so not gone


def test_what_is_neither_described_nor_gone_is_left_alone() -> None:
    assert compare("thing", {}, {"x": {"a": 1}}) == ()


# Nested changes


def test_a_change_inside_a_mapping_shows_only_itself() -> None:
    assert changed({"s": {"cron": {"at": 2, "zone": "UTC"}}}, {"s": {"cron": {"at": 1, "zone": "UTC"}}}) == {
        "s.cron.at": (1, 2)
    }


def test_keys_that_come_and_go_are_changes_from_and_to_nothing() -> None:
    assert changed({"s": {"new": 1}}, {"s": {"old": 2}}) == {"s.new": (ABSENT, 1), "s.old": (2, ABSENT)}


def test_a_key_that_holds_nothing_is_not_one_that_is_not_there() -> None:
    assert changed({"s": {}}, {"s": {"gone": None}}) == {"s.gone": (None, ABSENT)}
    assert changed({"s": {"new": None}}, {"s": {}}) == {"s.new": (ABSENT, None)}
    assert only({"s": {"new": None}}, {"s": {}}).changes[0].plain() == {"field": "s.new", "after": None}
    plans = [Plan(compare("thing", {"x": {"s": {}}}, {"x": {"s": was}})) for was in ({}, {"gone": None})]
    assert plans[0].digest != plans[1].digest


def test_a_mapping_in_place_of_a_value_is_shown_whole() -> None:
    assert changed({"s": {"a": 1}}, {"s": [1]}) == {"s": ([1], {"a": 1})}
    assert changed({"s": None}, {"s": {"a": 1}}) == {"s": ({"a": 1}, None)}


def test_lists_are_compared_whole() -> None:
    assert changed({"s": [1, 2]}, {"s": [2, 1]}) == {"s": ([2, 1], [1, 2])}


# Plans


def step(name: str, action: Action, **after: Any) -> Step:
    return Step("thing", name, action, tuple(Change(field, None, value) for field, value in after.items()), after)


PLAN = Plan(
    (
        step("a", Action.CREATE, x=1),
        step("b", Action.UPDATE, x=2),
        step("c", Action.UNCHANGED, x=3),
        replace(step("d", Action.DELETE), kind="other"),
    )
)


def test_a_plan_counts_and_chooses_its_steps() -> None:
    assert PLAN.summary == "1 to create, 1 to update, 1 to delete, 1 unchanged"
    assert [each.name for each in PLAN.changes] == ["a", "b", "d"]
    assert [each.name for each in PLAN.of("thing")] == ["a", "b"]
    assert Plan(()).summary == "0 to create, 0 to update, 0 to delete, 0 unchanged"


def test_the_digest_is_of_what_a_plan_does() -> None:
    unchanged = replace(PLAN, steps=(*PLAN.steps, step("e", Action.UNCHANGED)), warnings=("w",))
    assert unchanged.digest == PLAN.digest


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAN.steps[1], name="z"),
        replace(PLAN.steps[1], kind="other"),
        replace(PLAN.steps[1], action=Action.CREATE),
        replace(PLAN.steps[1], changes=(Change("x", 7, 2),)),
        replace(PLAN.steps[1], after={"x": 2, "y": 1}),
    ],
)
def test_it_differs_when_anything_of_that_does(other: Step) -> None:
    assert Plan((PLAN.steps[0], other, *PLAN.steps[2:])).digest != PLAN.digest
    assert Plan(PLAN.steps[:1]).digest != PLAN.digest


# Properties


def applied(steps: tuple[Step, ...], actual: Mapping[str, Fields]) -> dict[str, Fields]:
    """Do what the steps say, by their changes only: what a plan shows is all that it does."""
    world: dict[str, Fields] = {name: _copy(fields) for name, fields in actual.items()}
    for each in steps:
        if each.action is Action.DELETE:
            del world[each.name]
        else:
            fields = world.setdefault(each.name, {})
            for change in each.changes:
                _put(fields, change.field.split("."), change.after)
    return world


def _copy(value: Any) -> Any:
    return {key: _copy(each) for key, each in value.items()} if isinstance(value, dict) else value


def _put(fields: Fields, path: list[str], value: Any) -> None:
    for key in path[:-1]:
        fields = fields[key]
    if value is ABSENT:
        del fields[path[-1]]
    else:
        fields[path[-1]] = _copy(value)


def without_nothing(world: Mapping[str, Fields]) -> dict[str, Fields]:
    """Return the things without fields that hold nothing, which are as good as none; their keys may."""
    return {name: {k: v for k, v in fields.items() if v is not None} for name, fields in world.items()}


@given(desired=THINGS, actual=THINGS, deleted=st.sets(st.sampled_from(["one", "two", "three", "four"])))
def test_the_changes_of_a_plan_make_the_world_as_desired(
    desired: dict[str, Fields], actual: dict[str, Fields], deleted: set[str]
) -> None:
    steps = compare("thing", desired, actual, deleted=deleted)
    after = applied(steps, actual)
    expected = {name: fields for name, fields in actual.items() if name not in deleted} | desired
    assert without_nothing(after) == without_nothing(expected)
    assert [each for each in compare("thing", desired, after) if each.action is not Action.UNCHANGED] == []
    assert all(
        bool(each.changes) == (each.action is Action.UPDATE) for each in steps if each.name in actual and each.after
    )


@given(desired=THINGS, actual=THINGS)
def test_every_change_is_a_difference_and_comparing_changes_neither(
    desired: dict[str, Fields], actual: dict[str, Fields]
) -> None:
    before = repr((desired, actual))
    for each in compare("thing", desired, actual):
        assert all(change.before != change.after for change in each.changes)
    assert repr((desired, actual)) == before
