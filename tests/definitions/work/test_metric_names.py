"""Metrics under the platform's names too."""

import re
from pathlib import Path

import pytest

from definitions.contract import FlowKind
from definitions.work.metric_names import PLATFORM_NAMES, under_both_names

PAGE = Path(__file__).parents[3] / "docs" / "platform.md"
GUIDE = {
    FlowKind.REFRESH: "rows_fetched rows_inserted rows_updated rows_deleted duration_seconds bytes_processed",
    FlowKind.PREVIEW: "rows_computed nan_pct mean std min max skewness kurtosis",
    FlowKind.TRAIN: "train_rmse train_mae train_r2 train_ic val_rmse val_mae val_r2 val_ic num_features "
    "training_samples validation_samples",
    FlowKind.INFER: "num_predictions mean_prediction std_prediction latency_ms",
    FlowKind.MONITOR: "psi ks_statistic drift_score ic ic_ir hit_rate direction_accuracy missing_pct outlier_pct",
    FlowKind.OPTIMIZE: "expected_return expected_volatility expected_sharpe diversification_ratio effective_n "
    "concentration gross_exposure net_exposure long_weight short_weight iterations",
    FlowKind.BACKTEST: "total_return annualized_return volatility max_drawdown avg_drawdown drawdown_duration var_95 "
    "cvar_95 sharpe_ratio sortino_ratio calmar_ratio information_ratio num_trades win_rate profit_factor "
    "avg_trade_return turnover avg_holding_period alpha beta tracking_error",
}


@pytest.mark.parametrize(
    ("kind", "ours", "both"),
    [
        (FlowKind.REFRESH, {"rows_read": 3.0, "rows": 5.0}, {"rows_read": 3.0, "rows_fetched": 3.0, "rows": 5.0}),
        (FlowKind.PREVIEW, {"nulls": 0.25}, {"nulls": 0.25, "nan_pct": 25.0}),
        (FlowKind.PREVIEW, {"close_skew": 1.0}, {"close_skew": 1.0, "close_skewness": 1.0}),
        (FlowKind.TRAIN, {"ic_mean": 0.1}, {"ic_mean": 0.1, "val_ic": 0.1}),
        (FlowKind.TRAIN, {"old_ic_mean": 0.1}, {"old_ic_mean": 0.1}),
        (FlowKind.MONITOR, {"ic_mean": 0.1, "ic": 0.2}, {"ic_mean": 0.1, "ic": 0.2}),
    ],
)
def test_a_metric_bears_both_names(kind: FlowKind, ours: dict[str, float], both: dict[str, float]) -> None:
    assert under_both_names(kind, ours) == both


def test_every_kind_of_flow_has_its_names_and_each_is_the_platforms() -> None:
    assert PLATFORM_NAMES.keys() == set(FlowKind) == GUIDE.keys()
    for kind, names in PLATFORM_NAMES.items():
        assert {each.name for each in names.values()} <= set(GUIDE[kind].split())


@pytest.mark.parametrize("kind", FlowKind)
def test_every_metric_of_the_platform_is_in_the_table_of_the_docs(kind: FlowKind) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Metrics")[2].partition("\n## ")[0]
    words = {part for word in re.findall(r"`([^`\n]+)`", section) for part in re.split(r"[^\w]+", word)}
    assert set(GUIDE[kind].split()) - words == set()
    rows = [set(re.findall(r"`([^`\n]+)`", line.replace("`, `", "` `"))) for line in section.splitlines()]
    for ours, theirs in PLATFORM_NAMES[kind].items():
        assert any({ours, theirs.name} <= row for row in rows), (ours, theirs.name)


def test_a_flow_of_a_package_has_its_own_names_only() -> None:
    assert under_both_names(FlowKind("report"), {"rows": 1.0}) == {"rows": 1.0}
