from typing import Any

import pytest

from instances.plans.plan import ABSENT, Action, Change, Step, compare
from instances.plans.plan_text import change_text, changes_to_print, step_text, value_text
from instances.specification.specs import BacktestSpec


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none"),
        (ABSENT, "not there"),
        ("Prices.", "Prices."),
        ("one\ntwo", '"one\\ntwo"'),
        ({"a": [1, "é"]}, '{"a": [1, "é"]}'),
        (True, "true"),
        ("x" * 300, "x" * 200 + " ..."),
    ],
)
def test_a_value_is_one_line(value: object, words: str) -> None:
    assert value_text(value) == words


@pytest.mark.parametrize("field", ["on_record", "id_in_row"])
def test_what_postgres_does_not_know_yet_is_said_in_words(field: str) -> None:
    assert change_text(Change(field, False, True)) == ("noted in Postgres", "no", "yes")


def created(kind: str, **after: Any) -> str:
    return step_text(Step(kind, "x", Action.CREATE, (), after))


def test_what_is_made_is_said_with_what_it_mainly_is() -> None:
    schedule = {"type": "cron", "expression": "0 18 * * 1-5", "timezone": "UTC", "interval_minutes": None}
    refs = [{"instance": "a", "role": "input"}, {"instance": "b"}, {"instance": "a", "role": "other"}]
    assert created("block", type="dataset", upstream_refs=refs, schedule=schedule, work_pool=None) == (
        "block x: dataset, reads a and b, at 0 18 * * 1-5 UTC"
    )
    assert created("block", type="pipeline", definition="csv", config={"path": "a.csv"}, schedule=None) == (
        'block x: pipeline, csv {"path": "a.csv"}'
    )
    schedules = {"x-refresh": {"interval": 5400.0, "timezone": "UTC"}}
    assert created("deployment", schedules=schedules, work_pool="gpu", work_queue="urgent") == (
        "deployment x: every 90 minutes, on gpu/urgent"
    )
    manual = {"type": "manual", "expression": None, "interval_minutes": None, "timezone": "UTC"}
    assert created("block", type="dataset", schedule=manual) == "block x: dataset"
    assert created("automation") == "automation x"
    assert step_text(Step("block", "x", Action.UPDATE, (), {"type": "dataset"})) == "block x"


def test_a_backtest_is_said_with_all_that_it_reads_and_costs() -> None:
    own = {"assets": {"instance": "prices"}, "benchmark": "index"}
    signals = BacktestSpec.model_validate(
        {"name": "b", **own, "signals": {"primary": "momentum", "secondary": ["trend"]}, "config": {"slippage_bps": 2}}
    )
    dates = {"start": "2020-01-01", "end": "2020-12-31"}
    weights = BacktestSpec.model_validate({"name": "b", **own, "optimizer": "prices", "date_range": dates})
    assert created("block", **signals.model_dump(mode="json")) == (
        "block x: backtest, reads prices, momentum, trend and index, costs 0.0005 of the traded value and linear "
        "slippage of 2 basis points"
    )
    assert created("block", **weights.model_dump(mode="json")) == (
        "block x: backtest, reads prices and index, from 2020-01-01 to 2020-12-31, costs 0.0005 of the traded value, "
        "no slippage"
    )
    assert created("block", type="backtest", **own) == "block x: backtest, reads prices and index"
    assert [(field, ref.role) for field, ref in signals.references_by_field()] == [
        ("assets.instance", "assets"),
        ("signals.primary", "primary"),
        ("signals.secondary", "secondary"),
        ("benchmark.instance", "benchmark"),
    ]


def test_data_that_goes_is_said_to_its_last_thing() -> None:
    def deleted(**before: Any) -> str:
        return step_text(*compare("data", {}, {"x": before}, deleted=["x"]))

    assert deleted(versions=["12-1a2b3c4d", "3"]) == "data x: all rows, now at v12 and v3"
    assert deleted(versions=["7"], mlflow_experiment_id="5", evidently_project_id="0a1b") == (
        "data x: all rows, now at v7, MLflow experiment 5 with its runs and registered model, Evidently project 0a1b"
    )
    assert step_text(*compare("block", {}, {"x": {"type": "dataset"}}, deleted=["x"])) == "block x"


def updated(kind: str, name: str, *changes: Change) -> Step:
    return Step(kind, name, Action.UPDATE, changes)


def test_a_change_is_told_once_and_without_hashes() -> None:
    path = Change("pipeline_instance.config.path", "a.csv", "b.csv")
    hashes = Change("flows.refresh.config_hash", "1f", "2e")
    described = Change("description", "Prices.", "Other prices.")
    steps = [
        updated("block", "prices", path, described),
        updated("instance", "prices-pipeline", Change("config.path", "a.csv", "b.csv")),
        updated("instance", "prices", described, hashes),
        updated("deployment", "refresh/prices", described, Change("tags", ["a"], ["b"])),
        updated("instance", "signal", hashes),
        updated("instance", "other", described),
    ]
    told = {step.label: [change.field for change in news] for step, news in changes_to_print(steps)}
    assert told == {
        "block prices": ["pipeline_instance.config.path", "description"],
        "instance prices-pipeline": [],
        "instance prices": [],
        "deployment refresh/prices": ["tags"],
        "instance signal": ["flows.refresh.config_hash"],
        "instance other": ["description"],
    }
    assert change_text(hashes) == ("what refresh computes", "as before", "something else: it turns stale")


def test_another_value_of_the_same_field_is_told() -> None:
    steps = [
        updated("block", "prices", Change("description", "A", "B")),
        updated("instance", "prices", Change("description", "C", "B")),
    ]
    assert [len(news) for _, news in changes_to_print(steps)] == [1, 1]


STATUS = "`optaic why signal refresh` tells its status."


def text_about(*changes: Change) -> Step:
    return updated("deployment", "refresh/signal", *changes)


def test_of_a_changed_text_about_a_deployment_the_changed_paragraphs_are_told() -> None:
    reads = Change("description", f"Twelve months.\n\nReads: px.\n\n{STATUS}", f"Reads: prices.\n\n{STATUS}")
    ((_, (told,)),) = changes_to_print([text_about(reads)])
    assert change_text(told) == ("description", "Twelve months. Reads: px.", "Reads: prices.")
    ((_, (told,)),) = changes_to_print([text_about(Change("description", STATUS, f"Reads: px.\n\n{STATUS}"))])
    assert change_text(told) == ("description", "not there", "Reads: px.")


def test_it_is_not_told_where_the_instance_has_changed() -> None:
    refs = Change("upstream_refs", [{"instance": "px"}], [{"instance": "prices"}])
    reads = Change("description", f"Reads: px.\n\n{STATUS}", f"Reads: prices.\n\n{STATUS}")
    steps = [updated("block", "signal", refs), text_about(reads), updated("deployment", "refresh/other", reads)]
    assert [len(news) for _, news in changes_to_print(steps)] == [1, 0, 1]
    steps = [updated("block", "signal", refs), text_about(reads, Change("concurrency_limit", 1, 2))]
    assert [[change.field for change in news] for _, news in changes_to_print(steps)] == [
        ["upstream_refs"],
        ["concurrency_limit"],
    ]
