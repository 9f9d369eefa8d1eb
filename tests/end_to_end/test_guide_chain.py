"""The guide's own documents as a running chain: applied, run, READY, and with the guide's meaning."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from instances.rules.flow_status import FlowStatus
from instances.specification.plugins import second_store
from prefect_optaic.manifest import look_through
from tests.flows.lab import Lab, Play
from tests.flows.recorded import last_run, metrics

DOCUMENTS = Path(__file__).parents[1] / "instances" / "documents" / "guide_documents.json"
FLOWS = (
    "prices",
    "12m-momentum",
    "reversal-5d",
    "trend-trial.preview",
    "next-month-ridge.train",
    "next-month-ridge.infer",
    "next-month-ridge.monitor",
    "mean-variance.optimize",
    "q1-2020-backtest.backtest",
)


# What the platform reads of a run; see docs/platform.md.
RECORDED = {
    "prices": {"rows_fetched", "rows_inserted", "rows_updated", "rows_deleted", "bytes_processed", "duration_seconds"},
    "trend-trial.preview": {"rows_computed", "nan_pct", "mean", "std", "min", "max", "skewness", "kurtosis"},
    "next-month-ridge.train": {"val_rmse", "val_ic", "train_r2", "train_ic", "num_features", "training_samples"},
    "next-month-ridge.infer": {"num_predictions", "mean_prediction", "std_prediction", "latency_ms"},
    "next-month-ridge.monitor": {"psi", "ks_statistic", "drift_score", "missing_pct", "outlier_pct"},
    "mean-variance.optimize": {"expected_volatility", "expected_sharpe", "effective_n", "diversification_ratio"},
    "q1-2020-backtest.backtest": {"sharpe_ratio", "annualized_return", "num_trades", "avg_drawdown", "beta"},
}


def documents(lab: Lab) -> Path:
    """Write the documents with the lab's prefix before each name, and prices since 2016 only."""
    found: list[dict[str, Any]] = json.loads(DOCUMENTS.read_text())
    for each in found:
        each["name"] = f"{lab.prefix}{each['name']}"
        config = each["metadata_json"].get("config_json", {})
        if each["metadata_json"].get("definition_resource_id") == "sp500-sample":
            config["start"] = "2016-01-01"
        if "feature_columns" in config:
            config["feature_columns"] = [f"{lab.prefix}{name}" for name in config["feature_columns"]]
    file = lab.folder / "documents.json"
    file.write_text(json.dumps(found))
    return file


def kept(lab: Lab, name: str) -> pl.DataFrame:
    frame = lab.frame(name)
    assert frame is not None
    return frame


def test_they_run_with_the_guides_meaning(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        manifest = look_through(documents(lab))
        assert manifest.problems == ()
        plan = await lab.bootstrap(manifest=manifest.specs, notes=manifest.notes)
        assert plan.warnings[0].startswith("names are in lower case with dashes here: ")
        await lab.run("prices")
        await lab.drain(*FLOWS[1:])  # the prices have a clock of their own, whose next runs wait for it
        for name in FLOWS:
            assert (await lab.verdict(name)).status is FlowStatus.READY, name
        assert not (await lab.plan(manifest=manifest.specs)).plan.changes

        # 0.001 is ten basis points, and the slippage that is not said is five.
        trades = second_store(f"{lab.prefix}q1-2020-backtest", "trades", lab.services.resources)
        head = trades.head()
        assert head is not None
        rows = trades.scan(head.version).collect()
        assert rows.height > 0
        assert set(rows["entity"]) <= {"AAPL", "MSFT", "XOM"}
        assert rows["cost"].to_list() == pytest.approx((rows["value"].abs() * 0.0015).to_list(), rel=1e-12)

        # The benchmark is an entity of the prices.
        prices = kept(lab, "prices").filter(entity="MSFT").select("date", "close")
        equity = kept(lab, "q1-2020-backtest").filter(entity="benchmark").join(prices, on="date").tail(-1)
        growth = equity["equity"][-1] / equity["equity"][0]
        assert growth == pytest.approx(equity["close"][-1] / equity["close"][0], rel=1e-9)

        # Both signals decide on the weights, within the guide's constraints.
        weights = kept(lab, "mean-variance")
        assert weights.group_by("date").agg(pl.col("weight").sum())["weight"].to_list() == pytest.approx(
            [1.0] * weights["date"].n_unique(), abs=1e-6
        )
        assert weights["weight"].is_between(-1e-6, 0.2 + 1e-6).all()

        # The preview shows the three stocks of its universe, in its range of dates.
        shown = metrics(lab, "trend-trial.preview")
        assert shown["entities"] == 3

        for flow, names in RECORDED.items():
            assert names <= metrics(lab, flow).keys(), flow
        trained = last_run(lab, "next-month-ridge.train")[0]
        tracked = lab.services.tracking.version(f"{lab.prefix}next-month-ridge", trained.facts["trained_version"])  # type: ignore[index]
        assert {"val_ic", "ic_mean", "train_rmse"} <= tracked.metrics.keys()

    play(scenario)
