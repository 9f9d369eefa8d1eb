"""Experiments, models, optimizers and backtests on the real servers: Prefect, Postgres, MLflow and Evidently."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from flows.tracking import NoSuchVersion
from instances.plan import Action, Plan
from instances.specs import SignalSpec
from instances.status import FlowStatus
from instances.tables import ModelInstanceRow, RunInputRow, RunRow
from optaic.promotion import CannotPromote, promote_version, scope_of_signal
from optaic.session import Session as CommandSession
from optaic.stack import Target
from tests.flows.chain import chain
from tests.flows.lab import Lab, Play

SIGNALS = ("prices", "momentum", "reversal", "low-risk")
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
OF_MODELS = ("MLflow experiment", "Evidently project")
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


def model_row(lab: Lab, name: str = "returns") -> ModelInstanceRow:
    with Session(lab.services.engine) as session:
        row = session.scalars(select(ModelInstanceRow).where(ModelInstanceRow.name == lab.prefix + name)).one()
        handles = (row.prefect_training_deployment_id, row.prefect_inference_deployment_id)
        assert None not in (*handles, row.prefect_monitoring_deployment_id)
        return row


def last_run(lab: Lab, flow: str) -> tuple[RunRow, set[str]]:
    """Return the newest recorded run of a flow, and the labels of what it consumed."""
    records = {f.flow_id: f for f in lab.services.repository.flows() if f.instance.startswith(lab.prefix)}
    with Session(lab.services.engine) as session:
        mine = select(RunRow).where(RunRow.flow_id == lab.flow_id(flow), RunRow.recorded_at.is_not(None))
        run = session.scalars(mine.order_by(RunRow.recorded_at.desc())).first()
        assert run is not None, flow
        inputs = session.scalars(select(RunInputRow.upstream_flow_id).where(RunInputRow.run_id == run.prefect_run_id))
        found = [records[each] for each in inputs]  # type: ignore[index]
    labels = {f"{f.instance.removeprefix(lab.prefix)}.{f.kind}" for f in found}
    return run, {label.removesuffix(".refresh") for label in labels}


def metrics(lab: Lab, flow: str) -> dict[str, float]:
    """Return the metrics of a flow's newest run, without the lab's prefix in their names."""
    found = last_run(lab, flow)[0].metrics
    assert found is not None
    return {name.replace(lab.prefix.replace("-", "_"), ""): value for name, value in found.items()}


def steps(plan: Plan, *kinds: str) -> list[tuple[Action, str, str]]:
    return [(step.action, step.kind, step.name) for step in plan.changes if not kinds or step.kind in kinds]


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
        assert "no version has been promoted yet; promote one with `optaic promote" in (blocked.message or "")

        session = CommandSession(stack, lab.client, lab.services)
        model = lab.prefix + "returns"
        with pytest.raises(NoSuchVersion, match=f"model '{model}' has no version '7'; there are: 1"):
            await promote_version(session, model, "7")
        with pytest.raises(CannotPromote, match="is a signal; say which model"):
            await promote_version(session, lab.prefix + "momentum", "1")
        looked = await promote_version(session, model, "1")
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

    play(scenario)


def test_a_model_has_its_experiment_and_its_project_from_the_apply_on(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        specs, name = chain(lab.prefix, tmp_path, (*SIGNALS, "returns")), lab.prefix + "returns"
        plan = await lab.bootstrap(manifest=specs)
        assert steps(plan, *OF_MODELS) == [(Action.CREATE, kind, name) for kind in OF_MODELS]
        tracking, monitoring = lab.services.tracking, lab.services.monitoring
        experiment, project = tracking.find(name), monitoring.find(name)
        assert experiment is not None
        assert project is not None
        row = model_row(lab)
        assert (row.mlflow_experiment_id, row.evidently_project_id) == (experiment.id, str(project.id))
        assert steps((await lab.plan(manifest=specs)).plan) == []

        tracking.delete_experiment(name)
        monitoring.delete(name)
        planned = (await lab.plan(manifest=specs)).plan
        assert steps(planned) == [
            (Action.UPDATE, "MLflow experiment", name),
            (Action.CREATE, "Evidently project", name),
        ]
        await lab.bootstrap(manifest=specs)
        assert tracking.find(name) == experiment
        assert monitoring.find(name) == project
        assert steps((await lab.plan(manifest=specs)).plan) == []

        lab.services.writer.set_handle(name, "mlflow_experiment_id", None)
        assert steps((await lab.plan(manifest=specs)).plan) == [(Action.UPDATE, "MLflow experiment", name)]
        gone = tuple(spec.name for spec in specs)
        await lab.bootstrap(destroy=gone)
        assert tracking.find(name) == experiment  # they stay unless asked
        await lab.bootstrap(manifest=specs)
        assert model_row(lab).mlflow_experiment_id == experiment.id
        await lab.bootstrap(destroy=gone, data=True)
        left = tracking.find(name)
        assert left is not None
        assert left.deleted
        assert monitoring.find(name) is None

    play(scenario)


def test_a_foreign_experiment_of_the_same_name_is_a_problem(play: Play, tmp_path: Path) -> None:
    from instances.errors import InvalidSpec

    async def scenario(lab: Lab) -> None:
        name = lab.prefix + "returns"
        lab.services.tracking._client.create_experiment(name)
        with pytest.raises(InvalidSpec, match=f"has the experiment '{name}', which was not made from this"):
            await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns")))

    play(scenario)


def test_a_later_training_takes_over_only_when_it_beats_the_champion(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        anything = {"promotion": {"metric": "ic_mean", "threshold": -1.0}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=anything))
        await lab.run("prices")
        await lab.drain(*SIGNALS, "returns.train", "returns.infer", "returns.monitor")
        first = last_run(lab, "returns.infer")[0].version
        assert (await lab.run("returns.train", force=True)).is_completed()
        run, _ = last_run(lab, "returns.train")
        assert (run.version, run.metrics and run.metrics["promoted"]) == ("1", 0.0)  # equal is not better

        whatever = {"promotion": {"metric": "ic_mean", "threshold": -1.0, "must_beat_champion": False}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=whatever))
        assert (await lab.run("returns.train")).is_completed()
        tracking, name = lab.services.tracking, lab.prefix + "returns"
        champion, previous = tracking.champion(name), tracking.previous(name)
        assert champion is not None
        assert previous is not None
        assert (champion.version, previous.version) == ("3", "1")
        await lab.drain("returns.infer", "returns.monitor")
        infer, _ = last_run(lab, "returns.infer")
        assert (infer.version == first) is (infer.found_new is False)  # the same model of the same rows
        assert (await lab.verdict("returns.infer")).status is FlowStatus.READY

    play(scenario)


def test_shifted_features_are_drift_and_train_the_model_again(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        only = (*SIGNALS, "returns")
        model = {"promotion": {"threshold": -1.0}, "monitoring": {"window_days": 252, "share": 0.25}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, only, returns=model))
        await lab.run("prices")
        flows = (*SIGNALS, "returns.train", "returns.infer", "returns.monitor")
        await lab.drain(*flows)
        unshifted = metrics(lab, "returns.monitor")
        assert (unshifted["drifted"], len(await lab.runs("returns.train"))) == (0.0, 1)

        shifted = {
            "pipeline_instance": {
                "definition": "expression",
                "config": {"expression": "REF(close, 21) / REF(close, 252) + 1"},
            }
        }
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, only, returns=model, momentum=shifted))
        assert (await lab.run("momentum")).is_completed()
        await lab.drain("returns.infer", "returns.monitor")
        shifted_now = metrics(lab, "returns.monitor")
        assert shifted_now["drifted"] == 1.0
        assert shifted_now["drift_momentum_value"] > 1 > unshifted["drift_momentum_value"]
        runs = await _runs_of(lab, "returns.train", 2)
        assert [run.created_by and run.created_by.type for run in runs] == [None, "AUTOMATION"]

    play(scenario)


async def _runs_of(lab: Lab, flow: str, count: int) -> list[Any]:
    """Wait for so many runs of a flow, as an automation starts one within a few seconds."""
    import asyncio

    for _ in range(100):
        runs = await lab.runs(flow)
        if len(runs) >= count:
            return runs
        await asyncio.sleep(0.2)
    raise AssertionError(f"{flow} has {len(await lab.runs(flow))} runs")


def test_an_experiment_becomes_a_signal_with_the_same_values(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, ("prices", "trend")))
        await lab.run("prices")
        await lab.drain("prices", "trend.preview")
        preview, _ = last_run(lab, "trend.preview")
        repository, signal = lab.services.repository, lab.prefix + "promoted"
        with pytest.raises(CannotPromote, match="is a dataset; only an experiment"):
            scope_of_signal(repository, lab.prefix + "prices", signal, SignalSpec())
        with pytest.raises(CannotPromote, match="there is an instance named"):
            scope_of_signal(repository, lab.prefix + "trend", lab.prefix + "prices", SignalSpec())
        scope = scope_of_signal(repository, lab.prefix + "trend", signal, SignalSpec(min=-1, max=2))
        await lab.bootstrap(manifest=scope.manifest)
        await lab.run("promoted")
        assert (await lab.verdict("promoted")).status is FlowStatus.READY
        assert preview.metrics is not None
        values = _values(lab, "promoted").filter(pl.col("date") >= pl.date(2018, 1, 1))["value"]
        assert values.mean() == pytest.approx(preview.metrics["mean"])
        assert values.len() == preview.metrics["rows"] * (1 - preview.metrics["nulls"])

    play(scenario)


def _values(lab: Lab, name: str) -> pl.DataFrame:
    from instances.assembly import readable

    full = lab.prefix + name
    applied = lab.services.repository.applied([full])[full]
    store = readable(applied, lab.services.registry, lab.services.resources).store
    head = store.head()
    assert head is not None
    return store.scan(head.version).collect()
