"""Selection: target weights from the scores of one or two signals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from research.errors import ResearchError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Selection:
    """Which share of the scored entities to hold, and whether to sell the worst short against them."""

    top_fraction: float
    long_short: bool


@dataclass(frozen=True)
class Veto:
    """A secondary signal: its scores by date and entity, and the value of it that says nothing."""

    scores: "pd.DataFrame"
    neutral: float = 0.0


def selected_weights(
    primary: "pd.DataFrame", vetoes: Sequence[Veto], decisions: "pd.DatetimeIndex", selection: Selection
) -> "pd.DataFrame":
    """Return target weights, a row for each of `decisions` and a column for each entity, 0 where nothing is held.

    On each day the n entities with a primary score that day are ranked by it, ties by name; the best
    k = max(1, round up(top_fraction * n)) get a slot of 1 / k of capital each. A slot is filled only where
    each secondary signal of `vetoes` is above its neutral value that day; it stays in cash
    otherwise, as in M. Faber, "A Quantitative Approach to Tactical Asset Allocation" (2007).
    Long-short, the best k get slots of 1 / 2k and the worst k slots of -1 / 2k, with k at most n / 2; the
    worst are held only where each is below it. So gross exposure is at most 1 either way.
    A day without any score gives an empty portfolio. Raises `ResearchError` when no day has a score.
    """
    import pandas as pd

    scores = primary.reindex(decisions)
    if scores.notna().sum().sum() == 0:
        raise ResearchError(
            "the primary signal has no score on any day of decision: give it values on these days, the last "
            "trading day of each period unless rebalance_day says another one, or rebalance daily"
        )
    seconds = [(each.scores.reindex(index=decisions, columns=scores.columns), each.neutral) for each in vetoes]
    weights = pd.DataFrame(0.0, index=decisions, columns=scores.columns)
    for day in decisions:
        ranked = _ranked(scores.loc[day])
        best, worst = _chosen(ranked, selection)
        for second, neutral in seconds:
            best = [name for name in best if second.at[day, name] > neutral]
            worst = [name for name in worst if second.at[day, name] < neutral]
        slot = _slot(len(ranked), selection)
        weights.loc[day, best] = slot
        weights.loc[day, worst] = -slot
    return weights


def _ranked(scores: "pd.Series[float]") -> list[str]:
    """Return the names that have a score, the best first."""
    known = scores.dropna()
    return sorted(known.index, key=lambda name: (-known[name], name))


def _chosen(ranked: list[str], selection: Selection) -> tuple[list[str], list[str]]:
    count = _count(len(ranked), selection)
    return ranked[:count], ranked[len(ranked) - count :] if selection.long_short else []


def _count(entities: int, selection: Selection) -> int:
    # Rounded first: 0.15 * 20 is a little more than 3.
    count = max(1, math.ceil(round(selection.top_fraction * entities, 9)))
    return min(count, entities // 2 if selection.long_short else entities)


def _slot(entities: int, selection: Selection) -> float:
    count = _count(entities, selection)
    if count == 0:
        return 0.0
    return 1 / (2 * count) if selection.long_short else 1 / count


def weights_in_force(weights: "pd.DataFrame", decisions: "pd.DatetimeIndex") -> "pd.DataFrame":
    """Return, for each of `decisions`, the newest row of `weights` at or before it; none before the first."""
    rows = weights.index.searchsorted(decisions, side="right") - 1
    known = rows >= 0
    return weights.iloc[rows[known]].set_axis(decisions[known], axis=0).fillna(0.0)
