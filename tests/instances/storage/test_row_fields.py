"""What a row is to hold is what it holds, once it was saved: else a plan would never come to rest."""

from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import Engine

from definitions.contract import FlowKind
from instances.plans.plan import Action, compare
from instances.specification.specs import ComponentSpec, DatasetSpec
from instances.storage.row_fields import desired_row, recorded_rows, without_flows
from instances.storage.writer import Writer
from tests.instances.catalogue import LOOSE_PART, component, dataset, resolved, signal
from tests.instances.database import saved, statements
from tests.instances.sample_world import NOW
from tests.properties import examples

NAMES = ["a", "b", "c", "d"]
SCHEDULES = st.sampled_from(
    [
        {},
        {"type": "cron", "expression": "0 18 * * 1-5", "timezone": "Europe/London"},
        {"type": "interval", "interval_minutes": 90, "retry_policy": {"max_retries": 2, "backoff": "1m"}},
    ]
)
EDGE = st.fixed_dictionaries({}, optional={"max_age": st.sampled_from(["1d", "90m", "36h"]), "required": st.booleans()})
OTHERS = st.fixed_dictionaries(
    {},
    optional={
        "description": st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5),
        "project": st.sampled_from(["default", "lab"]),
        "protect": st.booleans(),
        "on_stale": st.sampled_from(["block", "refresh", "warn"]),
        "auto": st.sampled_from([None, True, False]),
        "freshness": st.sampled_from([{}, {"max_age": "36h"}, {"calendar": {"exchange": "XNYS", "after_close": "2h"}}]),
        "job_variables": st.sampled_from([{}, {"env": {"A": "1"}}]),
        "concurrency": st.integers(1, 3),
        "schedule": SCHEDULES,
    },
)


@st.composite
def worlds(draw: st.DrawFn) -> list[ComponentSpec | DatasetSpec]:
    """Draw datasets and signals over each other, and a pipeline with a config of its own."""
    specs: list[ComponentSpec | DatasetSpec] = [
        LOOSE_PART,
        component("own", "pipeline", "csv", config={"path": draw(st.sampled_from(["a.csv", "b.csv"]))}, protect=True),
    ]
    for number, name in enumerate(NAMES[: draw(st.integers(1, 4))]):
        edges: list[Any] = []
        for upstream in NAMES[:number]:
            if draw(st.booleans()):
                edges.append({"instance": upstream, **draw(EDGE)})
        make = dataset if number % 2 == 0 else signal
        pipelines = ["loose"] if edges else ["csv", "own"]
        fields = draw(OTHERS) | {"pipeline_instance": draw(st.sampled_from(pipelines))}
        specs.append(make(name, *edges, **fields))
    return specs


@examples(40, suppress=[HealthCheck.function_scoped_fixture])
@given(first=worlds(), second=worlds())
def test_rows_hold_what_they_are_to_hold_whatever_they_held_before(
    database: Engine, first: list[ComponentSpec | DatasetSpec], second: list[ComponentSpec | DatasetSpec]
) -> None:
    for specs in (first, second):
        instances = resolved(*specs)
        wanted = {instance.spec.name: desired_row(instance) for instance in instances}
        Writer(database).save(instances, NOW)
        on_record = recorded_rows(database)
        assert {name: on_record[name] for name in wanted} == wanted
        assert {step.action for step in compare("instance", wanted, on_record)} == {Action.UNCHANGED}
    Writer(database).remove(list(recorded_rows(database)))
    assert recorded_rows(database) == {}


def test_a_row_tells_its_flows_with_what_they_read(database: Engine) -> None:
    saved(
        database, dataset("a"), dataset("s", {"instance": "a", "max_age": "1d"}, {"instance": "a", "role": "universe"})
    )
    reads = recorded_rows(database)["s"]["flows"]["refresh"]["reads"]
    assert reads == {
        "a.refresh as input": {"required": True, "max_age_seconds": 86400.0},
        "a.refresh as universe": {"required": True, "max_age_seconds": None},
    }


def test_the_newest_version_is_what_is_applied_where_none_is_pinned(database: Engine) -> None:
    saved(database, dataset("a"), component("pinned", "pipeline", "csv", definition_version=1))
    rows = recorded_rows(database)
    assert (rows["csv"]["definition_version"], rows["csv"]["applied_version"]) == (None, 2)
    assert (rows["pinned"]["definition_version"], rows["pinned"]["applied_version"]) == (1, 1)


def test_reading_costs_the_same_number_of_statements_however_many_rows(database: Engine) -> None:
    counts = []
    for number in (1, 20):
        saved(database, *(dataset(f"d{n}") for n in range(number)))
        with statements(database) as sent:
            recorded_rows(database)
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert counts[0] <= 6


def test_flows_that_go_in_steps_of_their_own_are_left_out() -> None:
    rows: dict[str, Any] = {"a": {"x": 1, "flows": {"refresh": {}, "train": {}}}, "b": {"flows": {"refresh": {}}}}
    assert without_flows(rows, [("a", FlowKind.TRAIN)]) == {
        "a": {"x": 1, "flows": {"refresh": {}}},
        "b": {"flows": {"refresh": {}}},
    }
    assert rows["a"]["flows"] == {"refresh": {}, "train": {}}
