"""Portfolio optimizers and backtests as blocks."""

from blocks.base import InstanceBlock
from instances.specification.fields import (
    BacktestFields,
    DefinedFields,
    FlowFields,
    PortfolioOptimizerFields,
    RunnableFields,
)


class PortfolioOptimizerInstance(PortfolioOptimizerFields, FlowFields, RunnableFields, InstanceBlock, DefinedFields):
    """A portfolio optimizer that decides on weights, date by date, by one flow."""

    instance_type = "portfolio_optimizer"
    _description = (
        "A portfolio optimizer that decides on weights, date by date, from prices and a signal. "
        "Bootstrap gives it a guarded Prefect deployment, optimize."
    )
    _code_example = """
```python
from blocks import PortfolioOptimizerInstance

PortfolioOptimizerInstance(
    definition="mean-variance",
    config={"max_weight": 0.2},
    upstream_refs=[
        {"instance": "prices", "role": "prices"},
        {"instance": "returns", "role": "signal"},
    ],
).save("portfolio")
optimizer = PortfolioOptimizerInstance.load("portfolio")
```"""


class BacktestInstance(FlowFields, RunnableFields, InstanceBlock, BacktestFields):
    """A backtest of signals or of an optimizer's weights, by one flow; the procedure is fixed."""

    instance_type = "backtest"
    _description = (
        "A backtest of signals or of an optimizer's weights. Bootstrap gives it a guarded Prefect deployment, backtest."
    )
    _code_example = """
```python
from blocks import BacktestInstance

BacktestInstance(
    assets={"instance": "prices"},
    signals={"primary": "momentum", "secondary": "reversal"},
    benchmark="sp500-index",
    config={"rebalance_frequency": "monthly", "transaction_costs": 0.0005},
).save("momentum-backtest")
backtest = BacktestInstance.load("momentum-backtest")
```"""
