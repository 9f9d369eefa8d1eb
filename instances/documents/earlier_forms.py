"""Earlier forms: what a document says that was saved when a field had another unit or another default.

What a document means is what the form said under which it was saved. So nothing means something else because our form
has changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SHARE_BELOW = 1.0  # the form of today has less than that at most, that in basis points had 1000
_BPS_PER_SHARE = 10_000


@dataclass(frozen=True)
class Reading:
    """The data of a document as today's form says it, and what to know about it, if anything."""

    data: Any
    note: str | None = None


def as_todays_form_says(type_: str, data: Any, form: Mapping[str, Any]) -> Reading:
    """Return the data of a block as today's form says it; `form` is the JSON schema under which it was saved."""
    if type_ != "backtest" or not isinstance(data, Mapping) or not isinstance(data.get("config") or {}, Mapping):
        return Reading(data)
    config, fields = dict(data.get("config") or {}), _config_fields(form)
    notes = [*_costs_as_shares(config, fields), *_slippage_of_then(config, fields)]
    return Reading({**data, "config": config}, "; ".join(notes)) if notes else Reading(data)


def _config_fields(form: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a form says of the fields of a backtest's config."""
    fields: Mapping[str, Any] = form.get("definitions", {}).get("BacktestConfig", {}).get("properties", {})
    return fields


def _costs_as_shares(config: dict[str, Any], fields: Mapping[str, Any]) -> Iterator[str]:
    """Turn costs in basis points into shares, as they were before, and yield what to know about it."""
    greatest = fields.get("transaction_costs", {}).get("maximum")
    costs = config.get("transaction_costs")
    in_basis_points = isinstance(greatest, int | float) and greatest > _SHARE_BELOW
    if in_basis_points and isinstance(costs, int | float) and not isinstance(costs, bool):
        config["transaction_costs"] = share = float(f"{costs / _BPS_PER_SHARE:.12g}")
        yield f"config.transaction_costs {costs:g} was saved in basis points, and is read as the share {share:g}"


def _slippage_of_then(config: dict[str, Any], fields: Mapping[str, Any]) -> Iterator[str]:
    """Say the slippage that a form meant where nothing was said, if it was another one than today's, which is none."""
    then = fields.get("slippage_model", {}).get("default")
    if then not in (None, "none") and "slippage_model" not in config:
        config["slippage_model"] = then
        yield f"config.slippage_model was {then} where nothing was said when it was saved, and is read so"
