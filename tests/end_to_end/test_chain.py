"""Experiments, models, optimizers and backtests on the real servers: Prefect, Postgres, MLflow and Evidently."""

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from definitions.contract import ExtractRequest
from definitions.pipelines.sp500_sample import Sp500SampleParameters, Sp500SamplePipeline
from flows.integrations.mlflow_tracking import NoSuchVersion
from instances.rules.flow_status import FlowStatus
from instances.specification.fields import SignalSpec
from instances.specification.specs import ComponentSpec, SignalInstanceSpec
from prefect_optaic.manifest import read_manifest
from prefect_optaic.promotion import CannotPromote, previous_version, promote_version, scope_of_signal, training_flow
from prefect_optaic.stack import Target
from tests.flows.chain import chain
from tests.flows.lab import Lab, Play
from tests.flows.recorded import SIGNALS, last_run, metrics, model_row

FLOWS = (
    "prices",
    "sp500-index",
    "momentum",
    "reversal",
    "low-risk",
    "trend.preview",
    "returns.train",
    "returns.infer",
    "returns.monitor",
    "portfolio.optimize",
    "backtest.backtest",
)


PROMISED = {
    "trend.preview": {"rows", "nulls", "mean", "std", "min", "max", "skew", "kurtosis"},
    "returns.train": {"rmse", "mae", "r2", "ic_mean", "ic_ratio", "training_rows", "promoted"},
    "returns.infer": {"rows", "predicted"},
    "returns.monitor": {"drift_share", "drifted", "drift_prediction", "drift_momentum_value", "rmse", "rows"},
    "portfolio.optimize": {"expected_return", "volatility", "effective_bets", "mean_turnover", "dates"},
    "backtest.backtest": {
        "total_return",
        "annual_return",
        "volatility",
        "sharpe",
        "sortino",
        "calmar",
        "max_drawdown",
        "max_drawdown_days",
        "var_95",
        "cvar_95",
        "turnover",
        "win_rate",
        "alpha",
        "beta",
        "tracking_error",
        "information_ratio",
    },
}


CONSUMED = {
    "trend.preview": {"prices"},
    "returns.train": {"prices", "momentum", "reversal", "low-risk"},
    "returns.infer": {"momentum", "reversal", "low-risk", "returns.train"},
    "returns.monitor": {"prices", "momentum", "reversal", "low-risk", "returns.train", "returns.infer"},
    "portfolio.optimize": {"prices", "returns.infer"},
    "backtest.backtest": {"prices", "sp500-index", "portfolio.optimize"},
}


def test_the_whole_chain_comes_to_rest_ready_once_a_person_has_promoted(
    play: Play, stack: Target, tmp_path: Path
) -> None:
    async def scenario(lab: Lab) -> None:
        unreachable = {"promotion": {"metric": "ic_mean", "threshold": 0.9}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, returns=unreachable))
        for source in ("prices", "sp500-index"):
            assert (await lab.run(source)).is_completed()
        await lab.drain(*FLOWS)

        row = model_row(lab)
        assert (row.mlflow_registered_model_name, row.data_version) == (None, None)
        assert (await lab.verdict("returns.train")).status is FlowStatus.READY
        blocked = await lab.run("returns.infer")
        assert blocked.name == "Blocked"
        (trained,) = await lab.runs("returns.train")
        told = f"There is no champion yet; `optaic promote {lab.prefix}returns 1` makes it version 1."
        assert trained.state is not None
        assert (trained.state.message or "").startswith("Version 1 trained, not promoted: ic_mean ")
        assert (trained.state.message or "").endswith(told)
        facts = last_run(lab, "returns.train")[0].facts
        assert facts is not None
        assert (facts["trained_version"], facts["verdict"]) == ("1", trained.state.message)
        assert "no version has been promoted yet; promote one with `optaic promote" in (blocked.message or "")

        services = lab.services
        model = lab.prefix + "returns"
        with pytest.raises(NoSuchVersion, match=f"model '{model}' has no version '7'; there are: 1"):
            await promote_version(services, training_flow(services, model), "7")
        with pytest.raises(CannotPromote, match="is a signal; say which model"):
            training_flow(services, lab.prefix + "momentum")
        looked = await promote_version(services, training_flow(services, model), "1")
        assert {looked.world[flow_id].label for flow_id in looked.started} == {f"{model}.infer"}
        await lab.drain(*FLOWS)

        for flow in FLOWS:
            assert (await lab.verdict(flow)).status is FlowStatus.READY, flow
        for flow, promised in PROMISED.items():
            _, consumed = last_run(lab, flow)
            assert promised <= metrics(lab, flow).keys(), flow
            assert consumed == CONSUMED[flow]
        row = model_row(lab)
        assert row.mlflow_registered_model_name == model
        assert row.row_count is not None
        assert last_run(lab, "returns.infer")[0].version == row.data_version
        assert last_run(lab, "returns.train")[0].version == "1"
        assert lab.services.tracking.champion(model) is not None
        with pytest.raises(CannotPromote, match="had no champion before; say a version"):
            previous_version(services, training_flow(services, model))

    play(scenario)


def _write_prices(lab: Lab, *, growth: float) -> dict[str, Any]:
    """Write the sample's closes from 2016 on, each growing `growth` times more in a year; return how to read them."""
    sample = Sp500SamplePipeline(Sp500SampleParameters(start=dt.date(2016, 1, 1))).extract(ExtractRequest(since=None))
    years = (pl.col("date") - pl.col("date").min()).dt.total_days() / 365
    file = lab.folder / "closes.csv"
    sample.with_columns(pl.col("close") * growth**years).write_csv(file)
    return {"pipeline_instance": {"definition": "csv", "config": {"path": str(file)}}}


def test_shifted_features_are_drift_and_train_the_model_again(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        only = (*SIGNALS, "returns")
        model = {"promotion": {"threshold": -1.0}, "monitoring": {"window_days": 252, "share": 0.25}}
        prices = _write_prices(lab, growth=1)
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, only, returns=model, prices=prices))
        await lab.run("prices")
        flows = (*SIGNALS, "returns.train", "returns.infer", "returns.monitor")
        await lab.drain(*flows)
        unshifted = metrics(lab, "returns.monitor")
        assert (unshifted["drifted"], len(await lab.runs("returns.train"))) == (0.0, 1)

        _write_prices(lab, growth=3)
        await lab.run("prices", everything=True)
        await lab.drain(*SIGNALS, "returns.infer", "returns.monitor")
        shifted = metrics(lab, "returns.monitor")
        assert shifted["drifted"] == 1.0
        assert shifted["drift_momentum_value"] > 1 > unshifted["drift_momentum_value"]
        runs = await _runs_of(lab, "returns.train", 2)
        assert [run.created_by and run.created_by.type for run in runs] == [None, "AUTOMATION"]

    play(scenario)


async def _runs_of(lab: Lab, flow: str, count: int) -> list[Any]:
    """Wait for so many runs of a flow, as an automation starts one within a few seconds."""

    for _ in range(100):
        runs = await lab.runs(flow)
        if len(runs) >= count:
            return runs
        await asyncio.sleep(0.2)
    raise AssertionError(f"{flow} has {len(await lab.runs(flow))} runs")


def test_an_experiment_becomes_a_signal_with_the_same_values(play: Play, stack: Target, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        here = {"work_queue": "default", "concurrency": 3, "job_variables": {"stream_output": False}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, ("prices", "trend"), trend=here))
        await lab.run("prices")
        await lab.drain("prices", "trend.preview")
        preview, _ = last_run(lab, "trend.preview")
        services, signal = lab.services, lab.prefix + "promoted"
        with pytest.raises(CannotPromote, match="an experiment, whose signal has its expression: leave out --column"):
            await scope_of_signal(services, lab.prefix + "trend", signal, SignalSpec(), column="close")
        with pytest.raises(CannotPromote, match="there is an instance or a block named"):
            await scope_of_signal(services, lab.prefix + "trend", lab.prefix + "prices", SignalSpec())
        await lab.source("described")  # and not applied
        with pytest.raises(CannotPromote, match="there is an instance or a block named"):
            await scope_of_signal(services, lab.prefix + "trend", lab.prefix + "described", SignalSpec())
        scope = await scope_of_signal(services, lab.prefix + "trend", signal, SignalSpec(min=-1, max=2))
        promoted = {spec.name: spec for spec in scope.specs}
        made, pipeline = promoted[signal], next(spec for spec in scope.specs if spec.type == "pipeline")
        assert isinstance(made, SignalInstanceSpec)
        assert (made.work_queue, made.concurrency, made.job_variables) == ("default", 3, {"stream_output": False})
        assert isinstance(pipeline, ComponentSpec)
        assert pipeline.definition_version == 2
        await lab.bootstrap(manifest=scope.manifest)
        await lab.run("promoted")
        assert (await lab.verdict("promoted")).status is FlowStatus.READY
        assert preview.metrics is not None
        rows = lab.frame("promoted")
        assert rows is not None
        values = rows.filter(pl.col("date") >= pl.date(2018, 1, 1))["value"]
        assert values.mean() == pytest.approx(preview.metrics["mean"])
        assert values.len() == preview.metrics["rows"] * (1 - preview.metrics["nulls"])

    play(scenario)


def test_a_dataset_becomes_a_signal_of_one_of_its_columns(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        services, signal, prices = lab.services, lab.prefix + "closes", lab.prefix + "prices"
        await lab.source("prices", {"2024-01-02": 1.0, "2024-01-03": 2.0})
        await lab.bootstrap()
        with pytest.raises(CannotPromote, match=f"has left no rows yet, .*: run `optaic run {prices}` first"):
            await scope_of_signal(services, prices, signal, SignalSpec())
        await lab.run("prices")
        with pytest.raises(CannotPromote, match="there is an instance or a block named"):
            await scope_of_signal(services, prices, prices, SignalSpec())
        scope = await scope_of_signal(services, prices, signal, SignalSpec(min=0, max=5))
        await lab.bootstrap(manifest=scope.manifest)
        with pytest.raises(CannotPromote, match="is a signal; only an experiment or a dataset can become"):
            await scope_of_signal(services, signal, lab.prefix + "again", SignalSpec())

        await lab.run("closes")
        assert lab.rows("closes") == lab.rows("prices") == {"2024-01-02": 1.0, "2024-01-03": 2.0}
        lab.write("prices", {"2024-01-02": 1.0, "2024-01-03": 2.5, "2024-01-04": 3.0})
        await lab.run("prices")
        assert await lab.drain("closes") == 1  # by the cascade
        assert lab.rows("closes") == lab.rows("prices")
        assert (await lab.verdict("closes")).status is FlowStatus.READY

        lab.write("prices", {"2024-01-05": 9.0})
        await lab.run("prices")
        assert await lab.drain("closes") == 1
        assert (await lab.verdict("closes")).status is FlowStatus.ERROR
        assert max(lab.rows("closes").values()) == 3.0

    play(scenario)


def test_a_signal_of_revised_rows_has_each_from_the_day_on_which_it_was_known(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        earnings, signal = lab.prefix + "earnings", lab.prefix + "surprise"
        rows, manifest = lab.folder / "earnings.csv", lab.folder / "revised.yaml"
        rows.write_text(
            "date,entity,knowledge_date,eps\n"
            "2024-01-02,A,2024-01-05,1.0\n"
            "2024-01-03,A,2024-01-08,2.0\n"
            "2024-01-03,A,2024-01-10,2.5\n"
        )
        parts = {
            "pipeline_instance": {"definition": "csv", "config": {"path": str(rows)}},
            "accessor_instance": {"definition": "point-in-time"},
        }
        manifest.write_text(yaml.safe_dump({"instances": [{"name": earnings, "type": "dataset", **parts}]}))
        await lab.bootstrap(manifest=read_manifest(manifest))
        await lab.run("earnings")
        scope = await scope_of_signal(lab.services, earnings, signal, SignalSpec())
        await lab.bootstrap(manifest=scope.manifest)
        await lab.run("surprise")
        assert lab.rows("surprise") == {"2024-01-05": 1.0, "2024-01-08": 2.0, "2024-01-10": 2.5}
        assert (await lab.verdict("surprise")).status is FlowStatus.READY

    play(scenario)
