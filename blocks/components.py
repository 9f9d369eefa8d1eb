"""The parts of a dataset as blocks: where rows come from, where they are kept, how they are read."""

from blocks.base import DefinedBlock, documentation, logo


class PipelineInstance(DefinedBlock):
    """Where a dataset's rows come from: a pipeline definition with its config."""

    instance_type = "pipeline"
    _block_type_name = "Pipeline Instance"
    _block_type_slug = "optaic-pipeline-instance"
    _description = "Where a dataset's rows come from: a pipeline definition, such as csv or sql, with its config."
    _logo_url = logo("pipeline")
    _documentation_url = documentation("instances.md#pipelines")
    _code_example = """
```python
from blocks import PipelineInstance

PipelineInstance(definition="csv", config={"path": "/data/prices.csv"}).save("prices-pipeline")
pipeline = PipelineInstance.load("prices-pipeline")
```"""


class StoreInstance(DefinedBlock):
    """Where a dataset's versions are kept: a store definition with its config."""

    instance_type = "store"
    _block_type_name = "Store Instance"
    _block_type_slug = "optaic-store-instance"
    _description = "Where a dataset's versions are kept: a store definition, such as delta, with its config."
    _logo_url = logo("store")
    _documentation_url = documentation("instances.md#stores")
    _code_example = """
```python
from blocks import StoreInstance

StoreInstance(definition="delta").save("prices-store")
store = StoreInstance.load("prices-store")
```"""


class AccessorInstance(DefinedBlock):
    """How a dataset's rows are read: an accessor definition with its config."""

    instance_type = "accessor"
    _block_type_name = "Accessor Instance"
    _block_type_slug = "optaic-accessor-instance"
    _description = "How a dataset's rows are read: an accessor definition, such as point-in-time, with its config."
    _logo_url = logo("accessor")
    _documentation_url = documentation("instances.md#accessors")
    _code_example = """
```python
from blocks import AccessorInstance

AccessorInstance(definition="point-in-time").save("prices-accessor")
accessor = AccessorInstance.load("prices-accessor")
```"""
