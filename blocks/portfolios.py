"""Portfolio optimizers and backtests as blocks."""

from blocks.base import DefinedBlock, OneFlowBlock, documentation, like, logo
from definitions.work.portfolios.portfolio_settings import BacktestConfig, DateRange, OptimizationSettings
from instances.specification.specs import Assets, BacktestSpec, PortfolioOptimizerSpec, Signals


class PortfolioOptimizerInstance(OneFlowBlock, DefinedBlock):
    """A portfolio optimizer that decides on weights, date by date, by one flow."""

    instance_type = "portfolio_optimizer"
    _block_type_name = "Portfolio Optimizer Instance"
    _block_type_slug = "optaic-portfolio-optimizer-instance"
    _description = (
        "A portfolio optimizer that decides on weights, date by date, from prices and a signal. "
        "Bootstrap gives it a guarded Prefect deployment, optimize."
    )
    _logo_url = logo("portfolio-optimizer")
    _documentation_url = documentation("instances.md#portfolio-optimizers")
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

    settings: OptimizationSettings = like(PortfolioOptimizerSpec, "settings")


class BacktestInstance(OneFlowBlock):
    """A backtest of signals or of an optimizer's weights, by one flow; the procedure is fixed."""

    instance_type = "backtest"
    _block_type_name = "Backtest Instance"
    _block_type_slug = "optaic-backtest-instance"
    _description = (
        "A backtest of signals or of an optimizer's weights. Bootstrap gives it a guarded Prefect deployment, backtest."
    )
    _logo_url = logo("backtest")
    _documentation_url = documentation("instances.md#backtests")
    _code_example = """
```python
from blocks import BacktestInstance

BacktestInstance(
    assets={"instance": "prices"},
    signals={"primary": "momentum", "secondary": "reversal"},
    benchmark="sp500-index",
    config={"rebalance_frequency": "monthly", "transaction_costs": 5},
).save("momentum-backtest")
backtest = BacktestInstance.load("momentum-backtest")
```"""

    assets: Assets = like(BacktestSpec, "assets")
    signals: Signals | None = like(BacktestSpec, "signals")
    optimizer: str | None = like(BacktestSpec, "optimizer")
    benchmark: str | None = like(BacktestSpec, "benchmark")
    date_range: DateRange = like(BacktestSpec, "date_range")
    config: BacktestConfig = like(BacktestSpec, "config")
