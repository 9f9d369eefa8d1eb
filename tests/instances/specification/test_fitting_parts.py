"""Whether a dataset's accessor is for the rows of its pipeline, told in the plan where their columns are known."""

from typing import Any

import pytest

from definitions.registry import default_registry
from instances.errors import InvalidSpec
from instances.specification.resolution import resolve
from instances.specification.specs import AnySpec, ComponentSpec, DatasetSpec

NO_DATE = (
    "x: the rows have no knowledge_date, which the accessor 'point-in-time' reads by: use the accessor 'simple', or "
    "give the pipeline the column that says when a row became known"
)
REVISED = (
    "x: the rows have a knowledge_date, so they may be revised, and the accessor 'simple' can't say which revision to "
    "read: use the accessor 'point-in-time'"
)
EXPRESSION = {"expression": "close"}
CSV = {"path": "a.csv"}


def specs(pipeline: str, config: dict[str, Any], accessor: str) -> list[AnySpec]:
    reads = ({"instance": "source"},) if pipeline == "expression" else ()
    parts = {"pipeline_instance": "p", "store_instance": "s", "accessor_instance": "a"}
    source = {"pipeline_instance": "source-p", "store_instance": "s", "accessor_instance": "simple"}
    return [
        ComponentSpec(name="p", type="pipeline", definition=pipeline, config=config),
        ComponentSpec(name="s", type="store", definition="delta"),
        ComponentSpec(name="a", type="accessor", definition=accessor),
        ComponentSpec(name="simple", type="accessor", definition="simple"),
        ComponentSpec(name="source-p", type="pipeline", definition="sp500-sample"),
        DatasetSpec.model_validate({"name": "source", **source}),
        DatasetSpec.model_validate({"name": "x", "upstream_refs": reads, **parts}),
    ]


@pytest.mark.parametrize(
    ("pipeline", "config", "accessor", "problem"),
    [
        ("sp500-sample", {}, "point-in-time", NO_DATE),
        ("sp500-index-sample", {}, "point-in-time", NO_DATE),
        ("expression", EXPRESSION, "point-in-time", NO_DATE),
        ("csv", {**CSV, "knowledge_date": "known"}, "simple", REVISED),
        ("parquet", {"path": "a.parquet", "knowledge_date": "known", "values": ["close"]}, "simple", REVISED),
        ("csv", {**CSV, "knowledge_date": "known"}, "point-in-time", None),
        ("csv", CSV, "point-in-time", None),  # the file may have the column
        ("csv", {**CSV, "values": ["close"]}, "simple", None),
        ("expression", EXPRESSION, "simple", None),
    ],
)
def test_an_accessor_that_is_not_for_the_rows_is_refused_in_the_plan(
    pipeline: str, config: dict[str, Any], accessor: str, problem: str | None
) -> None:
    described = specs(pipeline, config, accessor)
    if problem is None:
        assert {each.spec.name for each in resolve(described, default_registry())} >= {"x"}
        return
    with pytest.raises(InvalidSpec) as caught:
        resolve(described, default_registry())
    assert caught.value.problems == (problem,)
