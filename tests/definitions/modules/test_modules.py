import pickle
from importlib import util
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from definitions.contract import FlowKind, Kind, Role
from definitions.errors import InvalidConfig
from definitions.modules import installed
from definitions.registry import default_registry
from tests.definitions.resources import make

MODULES: dict[str, dict[str, Any]] = {
    "ridge": {},
    "hist-gradient-boosting": {"max_iter": 20},
    "lightgbm": {"n_estimators": 20, "subsample": 0.7},
}


def learnable(rows: int = 2000) -> "tuple[pd.DataFrame, pd.Series[float]]":
    """Return features with holes, one of them without any value, and a target that follows the first."""
    random = np.random.default_rng(0)
    features = pd.DataFrame(random.normal(size=(rows, 3)), columns=["a", "b", "c"])
    target = pd.Series(features["a"] * 0.1 + random.normal(0, 0.05, size=rows), name="target")
    return features.mask(random.random((rows, 3)) < 0.05).assign(c=np.nan), target


@pytest.mark.parametrize("name", MODULES)
def test_it_learns_copes_with_holes_and_can_be_pickled(name: str) -> None:
    features, target = learnable()
    model = make(Kind.ML_MODULE, name, MODULES[name]).fit(features, target)
    again = make(Kind.ML_MODULE, name, MODULES[name]).fit(features, target)
    predicted = model.predict(features)

    assert predicted.shape == (2000,)
    assert np.corrcoef(predicted, target)[0, 1] > 0.7
    assert np.isfinite(model.predict(features.assign(a=np.nan, b=np.nan))).all()
    assert np.array_equal(again.predict(features), predicted)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(features), predicted)


@pytest.mark.parametrize("name", MODULES)
def test_its_definition_is_that_of_a_module(name: str) -> None:
    definition = default_registry().get(Kind.ML_MODULE, name)

    assert definition.flows == (FlowKind.TRAIN, FlowKind.INFER, FlowKind.MONITOR)
    assert definition.roles == (Role("features", required=True, many=True), Role("prices", required=True))
    assert all(field["description"] for field in definition.schema["properties"].values())


@pytest.mark.parametrize("name", ["hist-gradient-boosting", "lightgbm"])
def test_another_random_state_is_taken(name: str) -> None:
    features, target = learnable()
    config = {"lightgbm": {"subsample": 0.5}}.get(name, {})
    models = [make(Kind.ML_MODULE, name, {**config, "random_state": n}).fit(features, target) for n in (0, 1)]

    assert [model.get_params()["random_state"] for model in models] == [0, 1]


def test_ridge_is_ridge_on_scaled_features() -> None:
    features, target = learnable()
    whole = features[["a", "b"]].fillna(features[["a", "b"]].median())
    scaled = (whole - whole.mean()) / whole.std(ddof=0)
    expected = Ridge(alpha=7.0).fit(scaled, target).predict(scaled)

    model = make(Kind.ML_MODULE, "ridge", {"alpha": 7.0}).fit(features, target)

    assert model.predict(features) == pytest.approx(expected)


def test_lightgbm_is_there_only_when_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.name for one in installed.definitions()] == ["ridge", "hist-gradient-boosting", "lightgbm"]
    monkeypatch.setattr(installed, "find_spec", lambda name: None if name == "lightgbm" else util.find_spec(name))
    assert [one.name for one in installed.definitions()] == ["ridge", "hist-gradient-boosting"]


def test_a_config_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"config\.alpha: Input should be greater than or equal to 0 \(got -1\)"):
        make(Kind.ML_MODULE, "ridge", {"alpha": -1})
