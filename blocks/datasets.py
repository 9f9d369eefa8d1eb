"""Datasets and signals as blocks."""

from collections.abc import Mapping

from pydantic import Field

from blocks.base import ComponentBlock, FlowBlock, documentation, logo, part_name
from blocks.components import AccessorInstance, PipelineInstance, StoreInstance
from instances.resolution import PARTS
from instances.specs import ComponentSpec, DatasetSpec, SignalInstanceSpec, SignalSpec


class DatasetInstance(FlowBlock):
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

    def parts(self) -> Mapping[str, ComponentBlock]:
        """Return the nested blocks by the field that holds them."""
        return {field: getattr(self, field) for field in PARTS}

    def to_specs(
        self, name: str, part_names: Mapping[str, str | None]
    ) -> tuple[DatasetSpec, tuple[ComponentSpec, ...]]:
        """Return what this block describes, and the parts that it describes in place.

        `part_names` has, for each field of a part, the name of the block it refers to; a part without a
        name of its own was described in place, and is named after this instance.
        Raises pydantic's `ValidationError`.
        """
        names = {field: part_names.get(field) or part_name(name, type_) for field, type_ in PARTS.items()}
        own = tuple(part.to_spec(names[field]) for field, part in self.parts().items() if not part_names.get(field))
        return self._spec(name, names), own

    def _spec(self, name: str, parts: Mapping[str, str]) -> DatasetSpec:
        return DatasetSpec.model_validate(self.spec_fields() | dict(parts) | {"name": name})


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

    def _spec(self, name: str, parts: Mapping[str, str]) -> DatasetSpec:
        return SignalInstanceSpec.model_validate(self.spec_fields() | dict(parts) | {"name": name})
