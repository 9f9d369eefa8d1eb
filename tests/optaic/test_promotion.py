"""Promotion: what is refused before anything is asked of a server."""

from types import SimpleNamespace

import pytest

from instances.errors import InvalidSpec
from instances.specs import ExperimentSpec, SignalSpec
from optaic.promotion import CannotPromote, bounds_of, previous_version, signal_of

EXPERIMENT = ExperimentSpec.model_validate({"name": "trend", "config": {"expression": "close"}})
_WRONG = "must be of lowercase letters, digits and dashes, 63 at most, and end in no dash"


def test_a_name_that_no_instance_can_have_is_told_once() -> None:
    with pytest.raises(InvalidSpec) as caught:
        signal_of(EXPERIMENT, "Bad Name", SignalSpec())
    assert caught.value.problems == (f"Bad Name: {_WRONG}, not 'Bad Name'",)


def test_bounds_that_no_value_can_keep_are_told() -> None:
    assert bounds_of("momentum", least=-1, most=None) == SignalSpec(min=-1)
    with pytest.raises(InvalidSpec) as caught:
        bounds_of("momentum", least=5, most=1)
    assert caught.value.problems == ("momentum: min 5.0 is greater than max 1.0",)


def test_a_signal_and_its_parts_are_what_the_experiment_is() -> None:
    specs = signal_of(EXPERIMENT, "momentum", SignalSpec(max=2))
    assert [spec.type for spec in specs] == ["pipeline", "store", "accessor", "signal"]


def test_what_is_no_experiment_and_no_model_is_named_by_its_type() -> None:
    class Repository:
        def spec(self, name: str) -> ExperimentSpec:
            return EXPERIMENT

    session = SimpleNamespace(services=SimpleNamespace(repository=Repository()))
    with pytest.raises(CannotPromote, match=r"'trend' is an experiment; say which model"):
        previous_version(session, "trend")  # type: ignore[arg-type]
