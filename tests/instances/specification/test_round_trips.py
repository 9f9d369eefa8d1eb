"""Every field of every spec comes back as it was, through block, row and YAML: else a plan is never quiet."""

import datetime as dt
import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from sqlalchemy import Engine, text

from definitions.numbers import same
from flows.reading.block_reader import specs_of
from instances.plans.plan import Action, compare
from instances.specification.specs import AnySpec, spec_adapter
from instances.specification.types import TYPES, type_of
from prefect_optaic.manifest import read_manifest
from tests.properties import examples

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([1e23, 1e30, -1e300, 5e-324, 1e16, 0.1])
NUMBERS = FLOATS | st.integers(-(2**31), 2**31) | st.sampled_from([0, 1, -1])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | st.dates()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5
)
DURATIONS = st.sampled_from(["0s", "90s", "15m", "36h", "7d", "2w", "99999d", "PT15M"])


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Return values for a field of this type; not all of them are valid together."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values_of(arguments[0])
    if origin in (Union, UnionType):
        return st.one_of(*map(values_of, arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (tuple, list):
        return st.lists(values_of(arguments[0]), max_size=2)
    if origin in (dict, Mapping):
        return st.dictionaries(TEXTS, JSON, max_size=3)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return fields_of(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from(list(annotation)).map(lambda each: each.value)
    return {
        type(None): st.none(),
        bool: st.booleans(),
        int: st.integers(1, 2**31 - 1),
        float: NUMBERS,
        str: NAMES | st.sampled_from(["UTC", "Europe/London", "0 18 * * 1-5", "ic_mean"]) | TEXTS,
        dt.date: st.dates().map(str),
        dt.timedelta: DURATIONS,
        Any: JSON,
    }[annotation]


def fields_of(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    needed = {name: values_of(f.annotation) for name, f in model.model_fields.items() if f.is_required()}
    others = {name: values_of(f.annotation) for name, f in model.model_fields.items() if not f.is_required()}
    return st.fixed_dictionaries(needed, optional=others)


@st.composite
def valid_specs(draw: st.DrawFn) -> AnySpec:
    """Draw a spec, each field of it kept if it is valid beside those before it."""
    type_ = draw(st.sampled_from(sorted(TYPES)))
    model = TYPES[type_].spec
    name = draw(NAMES)
    least: dict[str, Any] = {"name": name, "type": type_}
    for field, about in model.model_fields.items():
        if about.is_required() and field not in least:
            least[field] = {"instance": "prices"} if field == "assets" else draw(NAMES)
    if type_ == "backtest":
        least["optimizer"] = draw(NAMES)
    spec = spec_adapter.validate_python(least)
    for field, value in draw(fields_of(model)).items():
        if field in ("name", "type"):
            continue
        try:
            spec = spec_adapter.validate_python(least | {field: value})
        except ValidationError:
            continue
        least = least | {field: value}
    return spec


def stored(spec: AnySpec) -> Any:
    """Return a spec as JSON, as it is sent everywhere."""
    return json.loads(json.dumps(spec.model_dump(mode="json"), allow_nan=False))


def as_fields(spec: AnySpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", exclude={"name"})


@examples(100, suppress=[HealthCheck.function_scoped_fixture])
@given(valid_specs())
def test_through_a_row(database: Engine, spec: AnySpec) -> None:
    with database.connect() as connection:
        kept = connection.scalar(text("SELECT CAST(:spec AS jsonb)"), {"spec": json.dumps(stored(spec))})
    assert same(as_fields(spec_adapter.validate_python(kept)), as_fields(spec))
    on_record = {name: value for name, value in kept.items() if name != "name"}
    (step,) = compare("instance", {spec.name: as_fields(spec)}, {spec.name: on_record})
    assert step.action is Action.UNCHANGED


@examples(100, suppress=[HealthCheck.function_scoped_fixture])
@given(valid_specs())
def test_through_a_block(database: Engine, spec: AnySpec) -> None:
    parts = type_of(spec).parts
    named = {field: getattr(spec, field) for field in parts}
    data = {name: value for name, value in stored(spec).items() if name not in ("name", "type")}
    with database.connect() as connection:  # Prefect keeps blocks so too
        kept = connection.scalar(text("SELECT CAST(:data AS jsonb)"), {"data": json.dumps(data)})
    nested = {field: {"definition": "x"} for field in parts}
    found, own = specs_of(spec.type, spec.name, kept | nested, named)
    assert same(as_fields(found), as_fields(spec))
    assert own == ()
    (step,) = compare("block", {spec.name: as_fields(spec)}, {spec.name: as_fields(found)})
    assert step.action is Action.UNCHANGED


@examples(100)
@given(valid_specs())
def test_through_yaml(tmp_path_factory: pytest.TempPathFactory, spec: AnySpec) -> None:
    file: Path = tmp_path_factory.mktemp("manifests") / "instances.yaml"
    file.write_text(yaml.safe_dump({"instances": [stored(spec)]}), encoding="utf-8")
    (found,) = read_manifest(file)
    assert found == spec


@pytest.mark.parametrize("limit", [1e23, 1e30, 1.7976931348623157e308])
def test_a_great_limit_of_a_signal_stays_what_it_is(database: Engine, limit: float) -> None:
    """A signal with `max: 1.0e+30` was to be updated in each plan, for ever."""
    parts = {"pipeline_instance": "p", "store_instance": "s", "accessor_instance": "a"}
    fields = {"name": "s", "type": "signal", **parts, "signal_spec": {"max": limit}, "job_variables": {"x": [limit]}}
    test_through_a_row.hypothesis.inner_test(database, spec_adapter.validate_python(fields))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "config.x holds a number that is infinite, or none, or has more than 64 bits"),
        (float("inf"), "config.x holds a number that is infinite, or none, or has more than 64 bits"),
        (10**30 + 1, "config.x holds a number that is infinite, or none, or has more than 64 bits"),
        (b"\xff", "config: holds what JSON has no form for"),
    ],
)
def test_what_would_not_come_back_is_refused(value: object, problem: str) -> None:
    from instances.documents.spec_errors import problem_texts

    with pytest.raises(ValidationError) as caught:
        spec_adapter.validate_python({"name": "p", "type": "pipeline", "definition": "csv", "config": {"x": value}})
    (told,) = problem_texts("p", caught.value)
    assert told.startswith(f"p: {problem}")


def test_a_config_without_end_is_refused() -> None:
    config: dict[str, Any] = {}
    for _ in range(300):
        config = {"in": config}
    with pytest.raises(ValidationError, match="config is more than 50 levels deep: make it flatter"):
        spec_adapter.validate_python({"name": "p", "type": "pipeline", "definition": "csv", "config": config})
