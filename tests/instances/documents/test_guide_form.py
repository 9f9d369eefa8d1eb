"""The guide's form in our words, field by field, and what of it can't be meant."""

from typing import Any

import pytest

from instances.documents.guide_form import in_our_form, our_name
from instances.documents.guide_words import DERIVED, GUIDE_WORDS
from instances.specification.types import TYPES

ID = "9ea8caac-c15e-5f59-a92d-48a62709a7f4"
NAMES = {ID: "prices", "Prices": "prices"}


def ours(type_: str, **fields: Any) -> dict[str, Any]:
    found = in_our_form(type_, fields, names=NAMES)
    assert found.problems == []
    return found.fields


@pytest.mark.parametrize(
    ("name", "of_ours"), [("12M_Momentum", "12m-momentum"), ("Q1_2024 Backtest", "q1-2024-backtest")]
)
def test_names_are_lower_case_with_dashes(name: str, of_ours: str) -> None:
    assert our_name(name) == of_ours


def test_all_types_have_their_words_and_no_word_means_what_is_no_field() -> None:
    assert GUIDE_WORDS.keys() == TYPES.keys()
    for type_, words in GUIDE_WORDS.items():
        fields = TYPES[type_].spec.model_fields
        assert {means.partition(".")[0] for means in words.values()} <= fields.keys() | {"config"}
        assert not words.keys() & fields.keys()
        assert not DERIVED & fields.keys()


@pytest.mark.parametrize(
    ("type_", "guides", "of_ours"),
    [
        (
            "pipeline",
            {"metadata_json": {"definition_resource_id": "csv", "definition_version_id": "2", "config_json": {"a": 1}}},
            {"definition": "csv", "definition_version": 2, "config": {"a": 1}},
        ),
        (
            "dataset",
            {"pipeline_instance_id": "A_B", "store_instance_id": ID, "schedule_json": {"type": "manual"}},
            {"pipeline_instance": "a-b", "store_instance": "prices", "schedule": {"type": "manual"}},
        ),
        (
            "dataset",
            {"upstream_refs": [{"resource_id": ID, "role": "input"}, {"instance": "x"}]},
            {"upstream_refs": [{"instance": "prices", "role": "input"}, {"instance": "x"}]},
        ),
        (
            "signal",
            {
                "expression": "close / MEAN(close, 5)",
                "input_datasets": {"close": ID},
                "signal_spec": {
                    "min_value": -1,
                    "max_value": None,
                    "neutral_value": 0.5,
                    "allow_nan": True,
                    "index_schema": {"columns": ["date", "entity"], "date_frequency": "weekly"},
                },
            },
            {
                "pipeline_instance": {"definition": "expression", "config": {"expression": "close / MEAN(close, 5)"}},
                "upstream_refs": [{"instance": "prices"}],
                "signal_spec": {
                    "min": -1,
                    "neutral": 0.5,
                    "allow_nan": True,
                    "index_columns": ["date", "entity"],
                    "date_frequency": "weekly",
                },
            },
        ),
        (
            "experiment",
            {
                "expression": "close / MEAN(eps, 5) + close_to",
                "input_datasets": {"close": ID, "eps": "Earnings"},
                "preview_config": {"date_range": {"start": "2020-01-01"}, "universe": ["A"]},
            },
            {
                "config": {"expression": "prices_close / MEAN(earnings_eps, 5) + close_to"},
                "upstream_refs": [{"instance": "prices"}, {"instance": "earnings"}],
                "date_range": {"start": "2020-01-01"},
                "universe": ["A"],
            },
        ),
        (
            "experiment",
            {"definition_resource_id": "MOMENTUM", "config_json": {"skip": 21, "x": "close", "n": 252}},
            {"definition": "expression", "config": {"expression": "MOMENTUM(close, 252, 21)"}},
        ),
        (
            "experiment",
            {"definition": "OWN", "config": {"x": 1}},
            {"definition": "OWN", "config": {"x": 1}},
        ),  # a pipeline
        (
            "experiment",
            {"definition_resource_id": "MEAN", "expression": "close / MEAN(close, 5)"},
            {"definition": "expression", "config": {"expression": "close / MEAN(close, 5)"}},
        ),
        (
            "model",
            {
                "config_json": {"alpha": 2, "feature_columns": ["Prices"]},
                "upstream_refs": [{"resource_id": ID, "role": "features"}],
            },
            {"config": {"alpha": 2}, "upstream_refs": [{"instance": "prices", "role": "features"}]},
        ),
        (
            "portfolio_optimizer",
            {
                "config_json": {"groups": {"A": "Tech"}},
                "constraints_json": {
                    "sum_to_one": True,
                    "min_weight": 0,
                    "max_weight": 0.2,
                    "max_gross_leverage": 1.5,
                    "sector_limits": {"Tech": 0.3},
                },
                "input_signal_ids": ["M", "R"],
                "covariance_dataset_id": ID,
            },
            {
                "config": {
                    "min_weight": 0,
                    "max_weight": 0.2,
                    "gross_leverage": 1.5,
                    "groups": {"A": "Tech"},
                    "group_limits": {"Tech": {"max": 0.3}},
                },
                "upstream_refs": [
                    {"instance": "m", "role": "signal"},
                    {"instance": "r", "role": "signal"},
                    {"instance": "prices", "role": "prices"},
                ],
            },
        ),
        (
            "portfolio_optimizer",
            {"upstream_refs": [{"instance": "p", "role": "prices"}], "covariance_dataset_id": "C"},
            {
                "config": {},
                "upstream_refs": [{"instance": "p", "role": "prices"}, {"instance": "c", "role": "covariance"}],
            },
        ),
        (
            "backtest",
            {
                "assets_json": {"instance": "P", "universe": ["A"], "benchmark": "B"},
                "signals_json": {"primary": "M", "secondary": ["R", "S"]},
                "date_range_json": {"start": "2020-01-01", "frequency": "daily"},
                "config_json": {"rebalance_frequency": "weekly", "rebalance_day": "friday", "transaction_costs": 0.001},
            },
            {
                "assets": {"instance": "p", "entities": ["A"]},
                "benchmark": {"instance": "p", "entity": "B"},
                "signals": {"primary": "m", "secondary": ["r", "s"]},
                "date_range": {"start": "2020-01-01", "frequency": "daily"},
                "config": {"rebalance_frequency": "weekly", "rebalance_day": "friday", "transaction_costs": 0.001},
            },
        ),
        (
            "backtest",
            {
                "assets_json": {
                    "instance": "P",
                    "universe_dataset_id": ID,
                    "benchmark": {"instance": "Index_Prices", "entity": "SPX"},
                },
            },
            {
                "assets": {"instance": "p", "entities": [], "universe": "prices"},
                "benchmark": {"instance": "index-prices", "entity": "SPX"},
            },
        ),
        (
            "backtest",
            {"assets_json": {"instance": "P", "universe": "S_P", "benchmark": {"entity": "A"}}},
            {
                "assets": {"instance": "p", "entities": [], "universe": "s-p"},
                "benchmark": {"instance": "p", "entity": "A"},
            },
        ),
        (
            "backtest",
            {"signals_json": {"optimizer_instance_id": "O"}, "assets_json": {"instance": "P"}},
            {"optimizer": "o", "assets": {"instance": "p", "entities": []}},
        ),
    ],
)
def test_the_guides_fields_in_our_words(type_: str, guides: dict[str, Any], of_ours: dict[str, Any]) -> None:
    assert ours(type_, **guides) == of_ours
    assert ours(type_, **of_ours) == of_ours  # what is ours stays as it is


@pytest.mark.parametrize(
    ("type_", "fields", "told"),
    [
        (
            "store",
            {"definition": "delta", "definition_resource_id": "delta"},
            "definition_resource_id: means 'definition'",
        ),
        (
            "store",
            {"definition_resource_id": ID},
            "definition_resource_id: 9ea8caac-c15e-5f59-a92d-48a62709a7f4 names no",
        ),
        ("store", {"definition_version_id": "x"}, "definition_version_id: must be the number of a version, not 'x'"),
        ("store", {"config_json": 5}, "config_json: must be a mapping of fields, not 5"),
        ("store", {"physical_path": "/data"}, "physical_path: is derived from runs, and can't be set: leave it out"),
        ("dataset", {"freshness_status": "ready"}, "freshness_status: is derived from runs, and can't be set"),
        (
            "dataset",
            {"upstream_refs": [{"resource_id": ID.replace("9", "8")}]},
            "is the id of no document here: write the",
        ),
        ("dataset", {"metadata_json": {"project": "a"}, "project": "b"}, "metadata_json.project: stands beside"),
        (
            "signal",
            {"signal_spec": {"min": 0, "min_value": 0}},
            "signal_spec.min_value: means 'min', which is there too",
        ),
        ("signal", {"signal_spec": {"index_schema": {"colums": []}}}, "did you mean 'columns'?"),
        (
            "experiment",
            {"definition": "RETURN", "config": {"x": 1}},
            "definition: RETURN takes config: {x, n}, not",
        ),
        (
            "experiment",
            {"definition": "RETURN", "config": {"x": "close", "n": [5]}},
            "definition: n must be a number, a column or an expression, not [5]",
        ),
        (
            "experiment",
            {"preview_config": {"univers": []}},
            "preview_config.univers: is not a field that there is; did you",
        ),
        ("experiment", {"expression": "x", "config": {"expression": "y"}}, "expression: stands in the config too"),
        ("model", {"schedule_json": {"type": "manual"}}, "schedule_json: a model has a schedule for each flow"),
        ("model", {"config_json": {"feature_columns": ["a"]}}, "config_json.feature_columns: ['a'] must name just the"),
        (
            "portfolio_optimizer",
            {"config_json": {"solver": "ECOS"}},
            "config_json.solver: an optimizer chooses its solver",
        ),
        (
            "portfolio_optimizer",
            {"constraints_json": {"sum_to_one": False}},
            "constraints_json.sum_to_one: the weights",
        ),
        (
            "portfolio_optimizer",
            {"constraints_json": {"sector_limits": {"a": 1}}},
            "constraints_json.sector_limits: takes",
        ),
        ("portfolio_optimizer", {"constraints_json": {"max_wieght": 1}}, "did you mean 'max_weight'?"),
        (
            "backtest",
            {"assets_json": {"universe": ["A"], "universe_dataset_id": ID}},
            "assets_json.universe_dataset_id: and the entities of universe both say what may be held: leave one of",
        ),
        (
            "backtest",
            {"assets_json": {"universe": "S", "universe_dataset_id": ID}},
            "assets_json.universe_dataset_id: means 'universe', which is there too: leave one of them out",
        ),
        (
            "backtest",
            {"assets_json": {"universe": 5}},
            "assets_json.universe: must be a list of entities, or a dataset, not 5",
        ),
        (
            "backtest",
            {"assets_json": {"instance": "P", "benchmark": {"ticker": "A"}}},
            "assets_json.benchmark.ticker: is not a field that there is; there are: entity, instance",
        ),
        (
            "backtest",
            {"assets_json": {"universe": ["A"]}},
            "assets_json.instance: is missing: the dataset of the prices",
        ),
        ("backtest", {"signals_json": {"secondary": "R"}}, "signals_json.secondary: must be a list, not 'R'"),
    ],
)
def test_what_can_not_be_meant_names_the_field(type_: str, fields: dict[str, Any], told: str) -> None:
    problems = [f"{place}: {what}" for place, what in in_our_form(type_, fields, names=NAMES).problems]
    assert any(told in problem for problem in problems), problems
