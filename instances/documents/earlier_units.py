"""Earlier units: what a number meant in a document that was saved when its field had another unit.

What a document means is what the form said under which it was saved. So nothing means something else because our form
has changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SHARE_BELOW = 1.0  # the form of today has less than that at most, that in basis points had 1000
_BPS_PER_SHARE = 10_000


@dataclass(frozen=True)
class Reading:
    """The data of a document in the units of today, and what to know about it, if anything."""

    data: Any
    note: str | None = None


def in_todays_units(type_: str, data: Any, form: Mapping[str, Any]) -> Reading:
    """Return the data of a block in the units of today; `form` is the JSON schema under which it was saved."""
    if type_ != "backtest" or not _in_basis_points(form):
        return Reading(data)
    config = data.get("config") if isinstance(data, Mapping) else None
    costs = config.get("transaction_costs") if isinstance(config, Mapping) else None
    if not isinstance(config, Mapping) or isinstance(costs, bool) or not isinstance(costs, int | float):
        return Reading(data)
    share = float(f"{costs / _BPS_PER_SHARE:.12g}")
    note = f"config.transaction_costs {costs:g} was saved in basis points, and is read as the share {share:g}"
    return Reading({**data, "config": {**config, "transaction_costs": share}}, note)


def _in_basis_points(form: Mapping[str, Any]) -> bool:
    """Say whether a form of backtests has their costs in basis points, as it was before they were shares."""
    config = form.get("definitions", {}).get("BacktestConfig", {})
    greatest = config.get("properties", {}).get("transaction_costs", {}).get("maximum")
    return isinstance(greatest, int | float) and greatest > _SHARE_BELOW
