"""The definitions that come with this project; found through the entry point `builtin`."""

from definitions.accessors.point_in_time import POINT_IN_TIME
from definitions.accessors.simple import SIMPLE
from definitions.contract import Definition
from definitions.modules import installed as modules
from definitions.operators import macro_definitions as macros
from definitions.operators import operator_definitions as table
from definitions.optimizers.hierarchical_risk_parity import HIERARCHICAL_RISK_PARITY
from definitions.optimizers.mean_variance import MEAN_VARIANCE
from definitions.optimizers.minimum_cvar import MINIMUM_CVAR
from definitions.optimizers.risk_budgeting import RISK_BUDGETING
from definitions.pipelines.csv import CSV
from definitions.pipelines.expression import EXPRESSION
from definitions.pipelines.parquet import PARQUET
from definitions.pipelines.sp500_index_sample import SP500_INDEX_SAMPLE
from definitions.pipelines.sp500_sample import SP500_SAMPLE
from definitions.pipelines.sql import SQL
from definitions.stores.delta import DELTA


def definitions() -> tuple[Definition, ...]:
    """Return the built-in definitions."""
    return (
        CSV,
        EXPRESSION,
        PARQUET,
        SP500_SAMPLE,
        SP500_INDEX_SAMPLE,
        SQL,
        DELTA,
        SIMPLE,
        POINT_IN_TIME,
        *MEAN_VARIANCE,
        *HIERARCHICAL_RISK_PARITY,
        *RISK_BUDGETING,
        *MINIMUM_CVAR,
        *table.definitions(),
        *macros.definitions(),
        *modules.definitions(),
    )
