"""Experiments as blocks."""

from blocks.base import DefinedBlock, OneFlowBlock, documentation, like, logo
from definitions.work.portfolios.portfolio_settings import DateRange
from instances.specification.specs import ExperimentSpec


class ExperimentInstance(OneFlowBlock, DefinedBlock):
    """An expression over input datasets, looked at by one flow before it becomes a signal."""

    instance_type = "experiment"
    _block_type_name = "Experiment Instance"
    _block_type_slug = "optaic-experiment-instance"
    _description = (
        "An expression over input datasets, to be looked at before it becomes a signal. "
        "Bootstrap gives it a guarded Prefect deployment, preview."
    )
    _logo_url = logo("experiment")
    _documentation_url = documentation("instances.md#experiments")
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

    definition: str = like(ExperimentSpec, "definition")
    date_range: DateRange = like(ExperimentSpec, "date_range")
