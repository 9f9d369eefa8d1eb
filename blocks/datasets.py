"""Datasets and signals as blocks."""

from pydantic import Field

from blocks.base import OneFlowBlock, documentation, logo
from blocks.components import AccessorInstance, PipelineInstance, StoreInstance
from instances.specification.specs import SignalSpec


class DatasetInstance(OneFlowBlock):
    """Rows that a pipeline makes, a store keeps and an accessor reads, refreshed by one flow."""

    instance_type = "dataset"
    _block_type_name = "Dataset Instance"
    _block_type_slug = "optaic-dataset-instance"
    _description = (
        "Rows that a pipeline makes, a store keeps and an accessor reads. "
        "Bootstrap gives it a guarded Prefect deployment, refresh."
    )
    _logo_url = logo("dataset")
    _documentation_url = documentation("instances.md#datasets")
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

    pipeline_instance: PipelineInstance = Field(description="Where the rows come from.")
    store_instance: StoreInstance = Field(description="Where the versions of the rows are kept.")
    accessor_instance: AccessorInstance = Field(description="How the rows are read by others.")


class SignalInstance(DatasetInstance):
    """A promoted dataset: its values are checked before a version of them is committed."""

    instance_type = "signal"
    _block_type_name = "Signal Instance"
    _block_type_slug = "optaic-signal-instance"
    _description = (
        "A dataset of signal values, checked against its signal_spec before a version is committed. "
        "A signal out of bounds fails its run, and readers keep the last good version."
    )
    _logo_url = logo("signal")
    _documentation_url = documentation("instances.md#signals")
    _code_example = """
```python
from blocks import AccessorInstance, PipelineInstance, SignalInstance, StoreInstance

SignalInstance(
    pipeline_instance=PipelineInstance(
        definition="expression", config={"expression": "REF(close, 21) / REF(close, 252) - 1"}
    ),
    store_instance=StoreInstance(definition="delta"),
    accessor_instance=AccessorInstance(definition="simple"),
    upstream_refs=[{"instance": "prices"}],
    signal_spec={"min": -1, "max": 20},
).save("momentum")
signal = SignalInstance.load("momentum")
```"""

    signal_spec: SignalSpec = Field(
        default_factory=SignalSpec,
        description="What the values must satisfy: min, max, allow_nan, and the neutral value.",
    )
