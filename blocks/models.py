"""Models as blocks."""

from blocks.base import DefinedBlock, RunnableBlock, documentation, like, logo
from definitions.work.models.model_settings import DriftSettings, Promotion, Target, WalkForward
from instances.specification.specs import FlowSettings, ModelSpec
from instances.specification.values import Duration


class ModelInstance(RunnableBlock, DefinedBlock):
    """A module that learns the return of prices from features: trained, asked and monitored by three flows."""

    instance_type = "model"
    _block_type_name = "Model Instance"
    _block_type_slug = "optaic-model-instance"
    _description = (
        "A module that learns the return of prices from features. Bootstrap gives it three guarded Prefect "
        "deployments, train, infer and monitor, an MLflow experiment and an Evidently project."
    )
    _logo_url = logo("model")
    _documentation_url = documentation("instances.md#models")
    _code_example = """
```python
from blocks import ModelInstance

ModelInstance(
    definition="ridge",
    target={"horizon": 21},
    upstream_refs=[
        {"instance": "momentum", "role": "features"},
        {"instance": "prices", "role": "prices"},
    ],
    promotion={"metric": "ic_mean", "threshold": 0.0},
).save("returns")
model = ModelInstance.load("returns")
```"""

    target: Target = like(ModelSpec, "target")
    validation: WalkForward = like(ModelSpec, "validation")
    promotion: Promotion = like(ModelSpec, "promotion")
    monitoring: DriftSettings = like(ModelSpec, "monitoring")
    retrain_on_drift: bool = like(ModelSpec, "retrain_on_drift")
    champion_max_age: Duration = like(ModelSpec, "champion_max_age")
    train: FlowSettings = like(ModelSpec, "train")
    infer: FlowSettings = like(ModelSpec, "infer")
    monitor: FlowSettings = like(ModelSpec, "monitor")
