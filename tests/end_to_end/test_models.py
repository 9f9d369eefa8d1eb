"""Experiments, models, optimizers and backtests on the real servers: Prefect, Postgres, MLflow and Evidently."""

import datetime as dt
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from flows.integrations.mlflow_tracking import NoSuchVersion, Tracking
from flows.running.champion import promote_by_hand, settled
from instances.errors import InvalidSpec
from instances.plans.plan import Action, Plan
from instances.rules.status import FlowStatus
from instances.specification.fields import SignalSpec
from instances.specification.specs import ComponentSpec, SignalInstanceSpec
from instances.storage.tables import ModelInstanceRow, RunInputRow, RunRow
from prefect_optaic.promotion import CannotPromote, previous_version, promote_version, scope_of_signal, training_flow
from prefect_optaic.stack import Target
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


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


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
        changeset = (await lab.plan(manifest=specs)).plan
        assert steps(changeset) == [
            (Action.UPDATE, "MLflow experiment", name),
            (Action.CREATE, "Evidently project", name),
        ]
        await lab.bootstrap(manifest=specs)
        assert tracking.find(name) == experiment
        assert monitoring.find(name) == project
        assert steps((await lab.plan(manifest=specs)).plan) == []

        lab.services.writer.set_handle(name, "mlflow_experiment_id", None)
        assert steps((await lab.plan(manifest=specs)).plan) == [(Action.UPDATE, "MLflow experiment", name)]
        deleted = tuple(spec.name for spec in specs)
        await lab.bootstrap(destroy=deleted)
        assert tracking.find(name) == experiment  # they stay unless asked
        await lab.bootstrap(manifest=specs)
        assert model_row(lab).mlflow_experiment_id == experiment.id
        await lab.bootstrap(destroy=deleted, data=True)
        left = tracking.find(name)
        assert left is not None
        assert left.deleted
        assert monitoring.find(name) is None

    play(scenario)


def test_a_foreign_experiment_of_the_same_name_is_a_problem(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        name = lab.prefix + "returns"
        lab.services.tracking._client.create_experiment(name)
        with pytest.raises(InvalidSpec, match=f"has the experiment '{name}', which was not made from this"):
            await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns")))

    play(scenario)


def test_what_a_model_has_left_is_looked_for_by_its_name(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(lab: Lab) -> None:
        name, specs = lab.prefix + "returns", chain(lab.prefix, tmp_path, (*SIGNALS, "returns"))
        await lab.bootstrap(manifest=specs)
        experiment = lab.services.tracking.find(name)
        assert experiment is not None
        for handle in ("mlflow_experiment_id", "evidently_project_id"):
            lab.services.writer.set_handle(name, handle, None)
        changeset = (await lab.plan(destroy=(name,), data=True)).plan
        (step,) = [step for step in changeset.changes if step.kind == "data"]
        assert {(change.field, change.before) for change in step.changes} == {
            ("mlflow_experiment_id", experiment.id),
            ("evidently_project_id", str(lab.services.monitoring.project_id(name))),
        }
        dead = Tracking("http://127.0.0.1:1", artifacts="/nowhere", owner_tag=lab.services.owner_tag)
        monkeypatch.setitem(vars(lab.services), "tracking", dead)
        with pytest.raises(InvalidSpec, match=r"returns: MLflow at http://127\.0\.0\.1:1 could not list experiments"):
            await lab.plan(destroy=(name,), data=True)

    play(scenario)


def test_a_later_training_takes_over_only_when_it_beats_the_champion(play: Play, stack: Target, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        anything = {"promotion": {"metric": "ic_mean", "threshold": -1.0}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=anything))
        await lab.run("prices")
        await lab.drain(*SIGNALS, "returns.train", "returns.infer", "returns.monitor")
        first = last_run(lab, "returns.infer")[0].version
        equal = await lab.run("returns.train", force=True)
        assert "does not beat the champion's" in (equal.message or "")
        assert "The champion stays 1; `optaic promote" in (equal.message or "")
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
        assert {"definition": "ridge@1", "config.alpha": "1.0"}.items() <= champion.params.items()
        await lab.drain("returns.infer", "returns.monitor")
        infer, _ = last_run(lab, "returns.infer")
        assert (infer.version == first) is (infer.found_new is False)  # the same model of the same rows
        assert (await lab.verdict("returns.infer")).status is FlowStatus.READY

        services = lab.services
        training = training_flow(services, name)
        await promote_version(services, training, previous_version(services, training))
        assert (last_run(lab, "returns.train")[0].version, previous_version(services, training)) == ("1", "3")

    play(scenario)


def test_a_champion_of_another_problem_or_of_features_that_are_gone_is_not_compared(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        async def trained(**changed: Any) -> str:
            fields = {"promotion": {"metric": "rmse"}, **changed}
            await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=fields))
            state = await lab.run("returns.train", on_stale="warn")
            assert state.is_completed(), state.message
            return state.message or ""

        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, SIGNALS))
        await lab.run("prices")
        await lab.drain(*SIGNALS)
        assert "there is no champion yet" in await trained(target={"horizon": 5})
        # Returns of a month are larger: by the numbers alone no such model would ever beat one of 5 days.
        assert "and the champion 1 has another target: they can't be compared" in await trained(target={"horizon": 21})
        validation = {"train_days": 504, "test_days": 126, "embargo_days": 5}
        other = await trained(target={"horizon": 21}, validation=validation)
        assert "and the champion 2 has another validation: they can't be compared" in other
        fewer = [
            {"instance": "momentum", "role": "features"},
            {"instance": "prices", "role": "prices"},
        ]
        said = await trained(target={"horizon": 21}, validation=validation, upstream_refs=fewer)
        assert "and the champion 3 can't be asked any more: it needs '" in said
        assert said.startswith("Version 4 trained and promoted: rmse ")
        last = last_run(lab, "returns.train")[0]
        assert last.version == "4"

    play(scenario)


def test_what_a_person_promotes_while_a_training_ends_is_never_lost(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(lab: Lab) -> None:
        name = lab.prefix + "returns"
        by_hand = {"promotion": {"automatic": False}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=by_hand))
        await lab.run("prices")
        await lab.drain(*SIGNALS, "returns.train")
        train = lab.flow_id("returns.train")
        first = (await lab.world())[train].completed
        assert first is not None

        def promoting(version: str) -> Any:
            @contextmanager
            def disturbed(*args: Any) -> Any:  # the person is quicker than the training that has decided already
                promote_by_hand(
                    lab.services, name, version, trained=first.run_id, by="hand", now=dt.datetime.now(dt.UTC)
                )
                with settled(*args) as outcome:
                    yield outcome

            return disturbed

        monkeypatch.setattr("flows.running.champion.settled", promoting("1"))
        assert (await lab.run("returns.train", force=True)).is_completed()
        assert last_run(lab, "returns.train")[0].version == "1"
        monkeypatch.setattr("flows.running.champion.settled", settled)

        # One that has recorded, and of which Prefect does not tell yet: the row is amended all the same.
        promote_by_hand(lab.services, name, "2", trained=first.run_id, by="hand", now=now())
        assert last_run(lab, "returns.train")[0].version == "2"
        await lab.drain("returns.infer")
        world = await lab.world()
        pinned = world[lab.flow_id("returns.infer")].completed
        assert pinned is not None
        assert pinned.provenance is not None
        assert pinned.provenance.inputs[train] == "2"

        # Cut short between MLflow and Postgres, or promoted on MLflow's page: the plan sees it, and the alias wins.
        lab.services.tracking.promote(name, "1", by="somebody on MLflow's page")
        specs = chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=by_hand)
        assert steps((await lab.plan(manifest=specs)).plan) == [(Action.UPDATE, "champion", name)]
        await lab.bootstrap(manifest=specs)
        assert last_run(lab, "returns.train")[0].version == "1"
        assert steps((await lab.plan(manifest=specs)).plan) == []

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


def test_an_experiment_becomes_a_signal_with_the_same_values(play: Play, stack: Target, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        here = {"work_queue": "default", "concurrency": 3, "job_variables": {"stream_output": False}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, ("prices", "trend"), trend=here))
        await lab.run("prices")
        await lab.drain("prices", "trend.preview")
        preview, _ = last_run(lab, "trend.preview")
        services, signal = lab.services, lab.prefix + "promoted"
        with pytest.raises(CannotPromote, match="is a dataset; only an experiment"):
            await scope_of_signal(services, lab.prefix + "prices", signal, SignalSpec())
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
        values = _values(lab, "promoted").filter(pl.col("date") >= pl.date(2018, 1, 1))["value"]
        assert values.mean() == pytest.approx(preview.metrics["mean"])
        assert values.len() == preview.metrics["rows"] * (1 - preview.metrics["nulls"])

    play(scenario)


def _values(lab: Lab, name: str) -> pl.DataFrame:
    from instances.specification.plugins import readable

    full = lab.prefix + name
    applied = lab.services.repository.applied([full])[full]
    store = readable(applied, lab.services.registry, lab.services.resources).store
    head = store.head()
    assert head is not None
    return store.scan(head.version).collect()
