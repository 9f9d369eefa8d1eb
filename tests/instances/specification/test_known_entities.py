"""Entities that a backtest names, checked in the plan where a dataset's definition says which it has."""

from typing import Any

import pytest

from definitions.registry import default_registry
from instances.specification.resolution import resolution
from instances.specification.specs import AnySpec, spec_adapter


def dataset(name: str, definition: str, **config: Any) -> list[AnySpec]:
    parts = {"pipeline": definition, "store": "delta", "accessor": "simple"}
    entries: list[dict[str, Any]] = [
        {"name": f"{name}-{type_}", "type": type_, "definition": used, "config": config if type_ == "pipeline" else {}}
        for type_, used in parts.items()
    ]
    entries.append({"name": name, "type": "dataset", **{f"{type_}_instance": f"{name}-{type_}" for type_ in parts}})
    return [spec_adapter.validate_python(entry) for entry in entries]


INDEX = dataset("index", "sp500-index-sample")
FILE = dataset("file", "csv", path="prices.csv")


def problems(*datasets: AnySpec, **fields: Any) -> list[str]:
    given = {"name": "b", "type": "backtest", "optimizer": "index", **fields}
    found = resolution([*datasets, *INDEX, *FILE, spec_adapter.validate_python(given)], default_registry())
    return [str(problem) for problem in found.problems]


@pytest.mark.parametrize(
    ("config", "fields", "told"),
    [
        ({}, {"assets": {"instance": "prices", "entities": ["AAPL"]}}, None),
        ({"tickers": ["AAPL"]}, {"benchmark": {"instance": "prices", "entity": "AAPL"}}, None),
        ({}, {"benchmark": "index"}, None),
        ({}, {"benchmark": {"instance": "file", "entity": "ANY"}}, None),
        ({}, {"benchmark": "file"}, None),
        (
            {},
            {"assets": {"instance": "prices", "entities": ["AAPL", "APPL"]}},
            "b: assets.entities: prices has no APPL; its entities are AAPL, AMD, BAC, BBY, CVX, GE, HD, JNJ, JPM, KO "
            "and 10 more. Did you mean 'AAPL'?",
        ),
        (
            {"tickers": ["AAPL", "XOM"]},
            {"benchmark": {"instance": "prices", "entity": "MSFT"}},
            "b: benchmark.entity: prices has no MSFT; its entities are AAPL, XOM.",
        ),
        (
            {},
            {"benchmark": {"instance": "index", "entity": "SP"}},
            "b: benchmark.entity: index has no SP; its entities are SPX. Did you mean 'SPX'?",
        ),
        (
            {"tickers": ["AAPL", "XOM"]},
            {"benchmark": "prices"},
            "b: benchmark: prices has 2 entities: choose one, like {instance: prices, entity: AAPL}",
        ),
    ],
)
def test_an_entity_that_is_known_not_to_be_there_is_told_in_the_plan(
    config: dict[str, Any], fields: dict[str, Any], told: str | None
) -> None:
    found = problems(*dataset("prices", "sp500-sample", **config), **{"assets": {"instance": "prices"}, **fields})
    assert found == ([] if told is None else [told])
