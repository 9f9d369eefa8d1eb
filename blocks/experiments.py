"""Experiments as blocks."""

from blocks.base import InstanceBlock
from instances.specification.fields import DefinedFields, ExperimentFields, FlowFields, RunnableFields


class ExperimentInstance(ExperimentFields, FlowFields, RunnableFields, InstanceBlock, DefinedFields):
    """An expression over input datasets, looked at by one flow before it becomes a signal."""

    instance_type = "experiment"
    _description = (
        "An expression over input datasets, to be looked at before it becomes a signal. "
        "Bootstrap gives it a guarded Prefect deployment, preview."
    )
    _code_example = """
```python
from blocks import ExperimentInstance

ExperimentInstance(
    config={"expression": "RANK(MOMENTUM(close, 252, 21))"},
    date_range={"start": "2010-01-01"},
    upstream_refs=[{"instance": "prices"}],
).save("momentum-rank")
experiment = ExperimentInstance.load("momentum-rank")
```"""
