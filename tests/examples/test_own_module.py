"""The package in examples/own_module: its module comes through its entry point, trains, and predicts."""

import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import yaml

from definitions.contract import FlowKind, Kind
from definitions.errors import InvalidConfig
from definitions.registry import Registry
from definitions.work.models.prediction import predict
from definitions.work.models.training import train
from definitions.work.models.training_table import training_table
from research.models.labels import TargetSpec
from research.models.walk_forward import Validation
from tests.definitions.resources import make
from tests.definitions.work.models.training_samples import features_of, prices_input, real_prices
from tests.examples.installed_package import installed

PACKAGE = Path(__file__).parents[2] / "examples" / "own_module"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with installed(PACKAGE, tmp_path, monkeypatch) as found:
        yield found


def the_instance() -> dict[str, Any]:
    """Return the instance that the README describes."""
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (instance,) = yaml.safe_load(shown)
    assert isinstance(instance, dict)
    return instance


def test_the_instance_of_the_readme_fits_the_definition(registry: Registry) -> None:
    instance = the_instance()
    definition = registry.get(Kind.ML_MODULE, instance["definition"])

    definition.parse(instance["config"])
    assert {ref["role"] for ref in instance["upstream_refs"]} <= {role.name for role in definition.roles}
    assert definition.flows == (FlowKind.TRAIN, FlowKind.INFER, FlowKind.MONITOR)


def test_it_trains_and_predicts(registry: Registry) -> None:
    prices = real_prices()
    features = features_of(prices)
    table = training_table(features, prices_input(prices), target=TargetSpec(horizon=5, column="close"))

    result = train(
        make(Kind.ML_MODULE, "ic-weighted", {}),
        table,
        Validation(train_days=504, test_days=252, embargo_days=0, expanding=True),
    )
    loaded = pickle.loads(pickle.dumps(result.model))
    predicted = predict(loaded, features, result.feature_names, since=prices["date"].sort()[-21])

    assert result.metrics["ic_dates"] > 1000
    assert predicted.filter(pl.col("prediction").is_finite()).height == 20


def test_the_weights_are_rank_correlations(registry: Registry) -> None:
    random = np.random.default_rng(0)
    features = pd.DataFrame(random.normal(size=(500, 3)), columns=["good", "noise", "bad"])
    features["none"] = np.nan
    target = pd.Series(features["good"] - features["bad"] / 2 + random.normal(size=500))

    model = make(Kind.ML_MODULE, "ic-weighted", {"least_ic": 0.2}).fit(features, target)

    weights = features["good"].rank().corr(target.rank()), 0.0, features["bad"].rank().corr(target.rank()), 0.0
    assert list(model.weights) == pytest.approx(weights)
    assert model.weights["bad"] < 0 < model.weights["good"]
    assert np.corrcoef(model.predict(features), target)[0, 1] > 0.6
    assert model.predict(features).mean() == pytest.approx(target.mean())


def test_its_errors_say_what(registry: Registry) -> None:
    with pytest.raises(InvalidConfig, match=r"config\.least_ic: Input should be greater than or equal to 0 \(got -1\)"):
        make(Kind.ML_MODULE, "ic-weighted", {"least_ic": -1})
