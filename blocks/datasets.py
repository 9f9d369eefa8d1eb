"""Datasets and signals as blocks."""

from pydantic import BaseModel, Field

from blocks.base import InstanceBlock
from blocks.components import AccessorInstance, PipelineInstance, StoreInstance
from instances.specification.fields import FlowFields, RunnableFields, SignalFields
from instances.specification.types import DELTA, SIMPLE


class PartFields(BaseModel):
    """The parts of a dataset, as blocks of their own; its spec has their names."""

    pipeline_instance: PipelineInstance = Field(description="Where the rows come from.")
    store_instance: StoreInstance = Field(
        default_factory=lambda: StoreInstance(definition=DELTA),
        description="Where the versions of the rows are kept; delta when left out.",
    )
    accessor_instance: AccessorInstance = Field(
        default_factory=lambda: AccessorInstance(definition=SIMPLE),
        description="How the rows are read by others; simple when left out.",
    )


class DatasetInstance(FlowFields, RunnableFields, InstanceBlock, PartFields):
    """Rows that a pipeline makes, a store keeps and an accessor reads, refreshed by one flow."""

    instance_type = "dataset"
    _description = (
        "Rows that a pipeline makes, a store keeps and an accessor reads. "
        "Bootstrap gives it a guarded Prefect deployment, refresh."
    )
    _code_example = """
```python
from blocks import AccessorInstance, DatasetInstance, PipelineInstance, StoreInstance

DatasetInstance(
    pipeline_instance=PipelineInstance.load("prices-pipeline"),
    store_instance=StoreInstance.load("prices-store"),
    accessor_instance=AccessorInstance.load("prices-accessor"),
).save("prices")
dataset = DatasetInstance.load("prices")
```"""


class SignalInstance(SignalFields, DatasetInstance):
    """A promoted dataset: its values are checked before a version of them is committed."""

    instance_type = "signal"
    _description = (
        "A dataset of signal values, checked against its signal_spec before a version is committed. "
        "A signal out of bounds fails its run, and readers keep the last good version."
    )
    _code_example = """
```python
from blocks import PipelineInstance, SignalInstance

SignalInstance(
    pipeline_instance=PipelineInstance(
        definition="expression", config={"expression": "REF(close, 21) / REF(close, 252) - 1"}
    ),
    upstream_refs=[{"instance": "prices"}],
    signal_spec={"min": -1, "max": 20},
).save("momentum")
signal = SignalInstance.load("momentum")
```"""
