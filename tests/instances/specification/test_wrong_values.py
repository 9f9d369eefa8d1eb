"""Every field of every spec, block and definition with wrong, huge and missing values: a sentence each, and no more."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from definitions.contract import Definition
from definitions.errors import DefinitionError
from definitions.registry import default_registry
from flows.reading.block_reader import BlockMistakes, specs_of
from instances.specification.types import DEFAULT_PARTS, TYPES

DEEP: Any = []
for _ in range(500):
    DEEP = [DEEP]
WRONG: list[Any] = [
    *(None, "", " ", "Wrong, too!", "../..", "a\0b", "\ud800", "9" * 10_000, "n" * 100_000, "2024-02-30", "1e999"),
    *(-1, 0, 0.5, 2**31, 2**63, 10**400, -(10**30) - 1, float("nan"), float("inf"), 1e308, True),
    *([], ["x"], [None], {}, {"x": 1}, {1: 2}, {"": {}}, DEEP, {"instance": "n" * 100}),
]
Place = tuple[str, ...]


def places(model: type[BaseModel], at: Place = ()) -> Iterator[Place]:
    """Yield the place of each field, those of nested models too."""
    for name, field in model.model_fields.items():
        yield (*at, name)
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from places(inner, (*at, name))


def with_value(place: Place, value: Any) -> dict[str, Any]:
    for name in reversed(place):
        value = {name: value}
    return value  # type: ignore[no-any-return]


def check(told: list[str], started: float, about: object) -> None:
    assert told, about
    for each in told:
        assert 0 < len(each) <= 500, (about, each)
        assert "Traceback" not in each
        each.encode()  # a terminal can show it
    assert time.process_time() - started < 2, about


@pytest.mark.parametrize("type_", sorted(TYPES))
def test_each_field_of_a_block_says_what_is_wrong_with_it(type_: str) -> None:
    instance_type = TYPES[type_]
    least: dict[str, Any] = {"definition": "x", "assets": {"instance": "prices"}, "optimizer": "o"}
    least = {at: value for at, value in least.items() if at in instance_type.spec.model_fields}
    least |= {at: {"definition": "x"} for at in instance_type.parts}
    for place in places(instance_type.spec):
        if place[0] in ("name", "type"):
            continue
        for value in WRONG:
            started = time.process_time()
            try:
                specs_of(type_, "name", least | with_value(place, value), {})
            except BlockMistakes as error:
                check([str(error)], started, (place, str(value)[:50]))
        required = instance_type.spec.model_fields[place[0]].is_required()
        if len(place) == 1 and required and place[0] in least and place[0] not in DEFAULT_PARTS:
            with pytest.raises(BlockMistakes, match=f"{place[0]}: is missing"):
                specs_of(type_, "name", {at: each for at, each in least.items() if at != place[0]}, {})


@pytest.mark.parametrize("definition", default_registry().all(), ids=lambda each: each.ref)
def test_each_parameter_of_a_definition_says_what_is_wrong_with_it(definition: Definition) -> None:
    for place in places(definition.parameters):
        for value in WRONG:
            if value is DEEP or (isinstance(value, str) and "\ud800" in value):
                continue  # no config holds them: the spec says so
            started = time.process_time()
            try:
                definition.parse(with_value(place, value))
            except DefinitionError as error:
                check([str(error)], started, (definition.ref, place, str(value)[:50]))
