"""The built-in modules whose libraries are installed."""

from importlib.util import find_spec

from definitions.contract import Definition
from definitions.modules.hist_gradient_boosting import HIST_GRADIENT_BOOSTING
from definitions.modules.lightgbm import LIGHTGBM
from definitions.modules.ridge import RIDGE


def definitions() -> tuple[Definition, ...]:
    """Return the built-in modules; `lightgbm` comes with the extra `prefect-optaic[lightgbm]`."""
    boosted = (LIGHTGBM,) if find_spec("lightgbm") else ()
    return (RIDGE, HIST_GRADIENT_BOOSTING, *boosted)
