"""Promotion: what is refused before anything is asked of a server."""

from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine

from definitions.contract import FlowKind, Kind
from flows.running.run_starter import CascadeResult
from instances.errors import InvalidSpec, UnknownInstance
from instances.rules.cascade import decide
from instances.rules.readiness import assess
from instances.specification.fields import SignalSpec
from instances.specification.resolution import resolve
from instances.specification.specs import ExperimentSpec
from instances.storage.repository import Repository
from instances.storage.writer import Writer
from instances.world.facts import Clock, FlowFacts, Policy
from prefect_optaic.promotion import (
    CannotPromote,
    Promotable,
    bounds_of,
    column_to_promote,
    not_started,
    signal_of,
    training_flow,
)
from tests.instances.catalogue import ExpressionParameters, FewDefinitions, definition
from tests.instances.sample_world import NOW, completed, flow, strict, world

EXPERIMENT = ExperimentSpec.model_validate({"name": "trend", "config": {"expression": "close"}})
_WRONG = "must be of lowercase letters, digits and dashes, 63 at most, and end in no dash"


def test_a_name_that_no_instance_can_have_is_told_once() -> None:
    with pytest.raises(InvalidSpec) as caught:
        signal_of(Promotable.experiment(EXPERIMENT), "Bad Name", SignalSpec())
    assert caught.value.problems == (f"Bad Name: {_WRONG}, not 'Bad Name'",)


def test_bounds_that_no_value_can_keep_are_told() -> None:
    assert bounds_of("momentum", least=-1, most=None) == SignalSpec(min=-1)
    with pytest.raises(InvalidSpec) as caught:
        bounds_of("momentum", least=5, most=1)
    assert caught.value.problems == ("momentum: min 5.0 is greater than max 1.0",)


def test_a_signal_and_its_parts_are_what_the_experiment_is() -> None:
    specs = signal_of(Promotable.experiment(EXPERIMENT), "momentum", SignalSpec(max=2))
    assert [spec.type for spec in specs] == ["pipeline", "store", "accessor", "signal"]


COLUMNS: dict[str, Any] = {
    "date": pl.Date(),
    "entity": pl.String(),
    "knowledge_date": pl.Date(),
    "close": pl.Float64(),
    "volume": pl.Int64(),
    "sector": pl.String(),
    "adj close": pl.Float64(),
}


def test_the_column_of_a_dataset_is_the_one_that_is_asked_for_or_its_only_one_of_numbers() -> None:
    assert column_to_promote("prices", COLUMNS, "volume") == "volume"
    assert column_to_promote("prices", {name: COLUMNS[name] for name in ("date", "close", "sector")}, "") == "close"


@pytest.mark.parametrize(
    ("columns", "asked", "error"),
    [
        (
            COLUMNS,
            "",
            "'prices' has not just one column of numbers, but: close, volume, adj close; say which with --column.",
        ),
        ({"sector": pl.String()}, "", "'prices' has not just one column of numbers, but: none; give its pipeline one."),
        (
            COLUMNS,
            "clse",
            "'prices' has no column of numbers 'clse'. Did you mean 'close'? "
            "Its columns of numbers are: close, volume, adj close.",
        ),
        (
            COLUMNS,
            "sector",
            "'prices' has no column of numbers 'sector'. Its columns of numbers are: close, volume, adj close.",
        ),
        (
            COLUMNS,
            "adj close",
            "an expression can't name the column 'adj close' of 'prices': call it otherwise in its pipeline, with "
            "letters, digits and underscores.",
        ),
    ],
)
def test_a_column_that_can_be_no_signal_is_told_with_the_remedy(columns: Any, asked: str, error: str) -> None:
    with pytest.raises(CannotPromote) as caught:
        column_to_promote("prices", columns, asked)
    assert str(caught.value) == error


def test_what_is_no_experiment_and_no_model_is_named_by_its_type(database: Engine) -> None:
    previewed = definition(Kind.PIPELINE, "expression", parameters=ExpressionParameters, flows=(FlowKind.PREVIEW,))
    Writer(database).save(resolve([EXPERIMENT], FewDefinitions(previewed)), NOW)
    services: Any = SimpleNamespace(repository=Repository(database))
    with pytest.raises(CannotPromote, match=r"'trend' is an experiment; say which model"):
        training_flow(services, "trend")
    with pytest.raises(UnknownInstance, match=r"there is no instance named 'trent'; did you mean 'trend'\?"):
        training_flow(services, "trent")


TRAIN = flow("returns.train", completed(version="2"))
BY_CLOCK: dict[str, Any] = {
    "edges": [strict("returns.train")],
    "auto": False,
    "policy": Policy(clock=Clock(cron="0 20 * * *")),
}
_LEFT = (
    "returns.infer was not started: it is not kept ready automatically; run it by hand, by its schedule, or set auto "
    "on returns. Until its next run, at 20:00 UTC, "
)


def looked_at(infer: FlowFacts, *, failed: str | None = None) -> list[str]:
    facts = world(TRAIN, infer)
    failures = {infer.flow_id: failed} if failed else {}
    return list(not_started(CascadeResult(facts, (decide(infer, facts, NOW),), {}, failures), NOW))


def test_an_infer_that_waits_for_its_own_schedule_is_told() -> None:
    infer = flow("returns.infer", completed(inputs={"returns.train": "1"}), **BY_CLOCK)
    assert looked_at(infer) == [f"{_LEFT}its predictions stay those of the champion before."]
    assert looked_at(flow("returns.infer", **BY_CLOCK)) == [f"{_LEFT}there are no predictions."]


def test_an_infer_that_has_predicted_with_the_champion_or_starts_is_not_told() -> None:
    infer = flow("returns.infer", **BY_CLOCK)
    same = assess(infer, world(TRAIN, infer), NOW).fingerprint
    assert looked_at(flow("returns.infer", completed(fingerprint=same), **BY_CLOCK)) == []
    follows = flow("returns.infer", edges=[strict("returns.train")])
    assert looked_at(follows) == []
    assert looked_at(follows, failed="the server is gone") == [
        "returns.infer was not started: the server is gone. Until its next run, there are no predictions."
    ]
