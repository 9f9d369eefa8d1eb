"""The guide's words: what the documents of the user's platform call our types and fields, in one table."""

from collections.abc import Mapping
from types import MappingProxyType

TYPES_THERE: Mapping[str, str] = MappingProxyType(
    {
        "PipelineInstance": "pipeline",
        "StoreInstance": "store",
        "AccessorInstance": "accessor",
        "DatasetInstance": "dataset",
        "SignalInstance": "signal",
        "ExperimentInstance": "experiment",
        "ModelInstance": "model",
        "PortfolioOptimizerInstance": "portfolio_optimizer",
        "BacktestInstance": "backtest",
    }
)
_DEFINED = {
    "definition_resource_id": "definition",
    "definition_version_id": "definition_version",
    "config_json": "config",
}
_RUNNABLE = {"schedule_json": "schedule"}
_DATASET = _RUNNABLE | {
    "pipeline_instance_id": "pipeline_instance",
    "store_instance_id": "store_instance",
    "accessor_instance_id": "accessor_instance",
    "update_frequency": "freshness",
}
_COMPUTED = {"expression": "config.expression", "input_datasets": "upstream_refs"}
GUIDE_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "pipeline": _DEFINED,
        "store": _DEFINED,
        "accessor": _DEFINED,
        "dataset": _DATASET,
        "signal": _DATASET | _COMPUTED,
        "experiment": _DEFINED | _RUNNABLE | _COMPUTED | {"preview_config": "date_range"},
        "model": _DEFINED,
        "portfolio_optimizer": _DEFINED
        | _RUNNABLE
        | {
            "constraints_json": "config",
            "input_signal_ids": "upstream_refs",
            "covariance_dataset_id": "upstream_refs",
        },
        "backtest": _RUNNABLE
        | {
            "assets_json": "assets",
            "signals_json": "signals",
            "date_range_json": "date_range",
            "config_json": "config",
        },
    }
)
"""By type: the guide's fields, each with the field of ours that has what it says."""

DERIVED = frozenset(
    {
        *("freshness_status", "last_data_date", "row_count", "last_refresh_at", "last_refresh_run_id"),
        *("next_refresh_at", "physical_path", "status"),
    }
)
"""What the guide stores of an instance, and we derive from its runs."""
