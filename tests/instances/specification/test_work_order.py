"""Work orders: what comes back out of a run's row is what its guard wrote into it."""

import json

from definitions.contract import FlowKind
from instances.specification.applied import AppliedInstance
from instances.specification.work_order import WorkOrder
from instances.world.fingerprint import Pin
from tests.instances.catalogue import PARTS, dataset, signal
from tests.instances.sample_world import flow_id, run_id

CSV, EXPRESSION, DELTA, SIMPLE = PARTS


def test_an_order_survives_its_way_through_a_row() -> None:
    parts = {str(part.type): part.model_copy(update={"definition_version": 2}) for part in (EXPRESSION, DELTA, SIMPLE)}
    order = WorkOrder(
        pins=(
            Pin(flow_id("prices"), "prices", FlowKind.REFRESH, "input", "12-1a2b3c4d", run_id("p1")),
            Pin(flow_id("model.train"), "model", FlowKind.TRAIN, "champion", "3", run_id("t1"), made_by="config-1"),
        ),
        instances={
            "momentum": AppliedInstance(signal("momentum", "prices", signal_spec={"min": -1}), parts),
            "prices": AppliedInstance(dataset("prices"), handles={"mlflow_registered_model_name": "model"}),
        },
        everything=True,
    )
    assert WorkOrder.from_json(json.loads(json.dumps(order.as_json()))) == order
    assert WorkOrder.from_json(WorkOrder((), {}).as_json()) == WorkOrder((), {})
