"""What runs and plans of a lab's models have left: rows, metrics, steps."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from instances.plans.plan import Action, Plan
from instances.storage.tables import ModelInstanceRow, RunInputRow, RunRow
from tests.flows.lab import Lab

SIGNALS = ("prices", "momentum", "reversal", "low-risk")


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
