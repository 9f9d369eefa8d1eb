"""Metric names: what the user's platform calls the metrics of our runs, in one table.

A run records a metric under both names. docs/platform.md has what each means, and which of the platform's there are
none of. Where both have one name it is not in the table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from definitions.contract import FlowKind


def _as_it_is(value: float) -> float:
    return value


def in_percent(share: float) -> float:
    """Return a share as a number of percent."""
    return share * 100


@dataclass(frozen=True)
class PlatformName:
    """What the platform calls a metric, and how its value there follows from ours."""

    name: str
    value: Callable[[float], float] = _as_it_is


def _names(**named: str) -> dict[str, PlatformName]:
    return {ours: PlatformName(theirs) for ours, theirs in named.items()}


PLATFORM_NAMES: Mapping[FlowKind, Mapping[str, PlatformName]] = MappingProxyType(
    {
        FlowKind.REFRESH: _names(rows_read="rows_fetched"),
        FlowKind.PREVIEW: _names(rows="rows_computed", skew="skewness")
        | {"nulls": PlatformName("nan_pct", in_percent)},
        FlowKind.TRAIN: _names(
            rmse="val_rmse",
            mae="val_mae",
            r2="val_r2",
            ic_mean="val_ic",
            rows="validation_samples",
            training_rows="training_samples",
        ),
        FlowKind.INFER: _names(
            predicted="num_predictions", prediction_mean="mean_prediction", prediction_std="std_prediction"
        ),
        FlowKind.MONITOR: _names(
            drift_share="drift_score", ic_mean="ic", ic_ratio="ic_ir", ic_positive_share="hit_rate"
        ),
        FlowKind.OPTIMIZE: _names(volatility="expected_volatility"),
        FlowKind.BACKTEST: _names(
            annual_return="annualized_return",
            sharpe="sharpe_ratio",
            sortino="sortino_ratio",
            calmar="calmar_ratio",
            max_drawdown_days="drawdown_duration",
        ),
    }
)
"""By kind of flow: our names, each with the platform's."""

_OF_COLUMNS = frozenset({FlowKind.PREVIEW})  # of several columns each metric bears its column's name first


def under_both_names(kind: FlowKind, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of a run, those that the platform calls otherwise also under its names.

    A name that a metric of ours has already stays ours.
    """
    found = dict(metrics)
    for name, value in metrics.items():
        for ours, theirs in PLATFORM_NAMES.get(kind, {}).items():
            if name == ours or (kind in _OF_COLUMNS and name.endswith(f"_{ours}")):
                found.setdefault(f"{name.removesuffix(ours)}{theirs.name}", theirs.value(value))
    return found
