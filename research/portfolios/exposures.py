"""Exposures: how much of the capital a set of weights holds, long and short, and on how many entities."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def exposures(weights: "pd.Series[float]") -> dict[str, float]:
    """Return what is said of weights w by entity, shares of capital.

    - gross_exposure: sum |w|; net_exposure: sum w; long_weight: sum of those above 0; short_weight: sum of those below,
      as a share of at least 0.
    - concentration: the Herfindahl index, sum (|w| / gross_exposure) ** 2, from 1 / count to 1; effective_n: 1 over it,
      the number of equal weights as concentrated (A. Hirschman, "The Paternity of an Index", 1964). Both are left out
      where nothing is held.
    """
    gross = float(weights.abs().sum())
    found = {
        "gross_exposure": gross,
        "net_exposure": float(weights.sum()),
        "long_weight": float(weights.clip(lower=0).sum()),
        "short_weight": float(-weights.clip(upper=0).sum()),
    }
    if gross > 0:
        concentration = float(((weights / gross) ** 2).sum())
        found |= {"concentration": concentration, "effective_n": 1 / concentration}
    return found
