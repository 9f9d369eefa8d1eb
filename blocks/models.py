"""Models as blocks."""

from blocks.base import InstanceBlock
from instances.specification.fields import DefinedFields, ModelFields, RunnableFields


class ModelInstance(ModelFields, RunnableFields, InstanceBlock, DefinedFields):
    """A module that learns the return of prices from features: trained, asked and monitored by three flows."""

    instance_type = "model"
    _description = (
        "A module that learns the return of prices from features. Bootstrap gives it three guarded Prefect "
        "deployments, train, infer and monitor, an MLflow experiment and an Evidently project."
    )
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
