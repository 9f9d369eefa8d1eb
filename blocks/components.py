"""The parts of a dataset as blocks: where rows come from, where they are kept, how they are read."""

from blocks.base import InstanceBlock
from instances.specification.fields import DefinedFields


class PipelineInstance(InstanceBlock, DefinedFields):
    """Where a dataset's rows come from: a pipeline definition with its config."""

    instance_type = "pipeline"
    _description = "Where a dataset's rows come from: a pipeline definition, such as csv or sql, with its config."
    _code_example = """
```python
from blocks import PipelineInstance

PipelineInstance(definition="csv", config={"path": "/data/prices.csv"}).save("prices-pipeline")
pipeline = PipelineInstance.load("prices-pipeline")
```"""


class StoreInstance(InstanceBlock, DefinedFields):
    """Where a dataset's versions are kept: a store definition with its config."""

    instance_type = "store"
    _description = "Where a dataset's versions are kept: a store definition, such as delta, with its config."
    _code_example = """
```python
from blocks import StoreInstance

StoreInstance(definition="delta").save("prices-store")
store = StoreInstance.load("prices-store")
```"""


class AccessorInstance(InstanceBlock, DefinedFields):
    """How a dataset's rows are read: an accessor definition with its config."""

    instance_type = "accessor"
    _description = "How a dataset's rows are read: an accessor definition, such as point-in-time, with its config."
    _code_example = """
```python
from blocks import AccessorInstance

AccessorInstance(definition="point-in-time").save("prices-accessor")
accessor = AccessorInstance.load("prices-accessor")
```"""
