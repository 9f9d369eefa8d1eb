"""Promotion: whether a newly trained model takes the place of the one in use."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from research.errors import ResearchError
from research.model_metrics import HIGHER_IS_BETTER


class UnknownMetric(ResearchError):
    """A metric that models can't be compared by."""

    def __init__(self, metric: str) -> None:
        super().__init__(f"models can't be compared by {metric!r}: choose one of {', '.join(HIGHER_IS_BETTER)}")


@dataclass(frozen=True)
class PromotionRule:
    """What a candidate must reach in one out-of-sample metric of `research.model_metrics`.

    `threshold`: the worst value that will do; None: any. `must_beat_champion`: whether it must be better,
    and not merely equal. Which way is better, the metric says. Raises `UnknownMetric`.
    """

    metric: str = "ic_mean"
    threshold: float | None = None
    must_beat_champion: bool = True

    def __post_init__(self) -> None:
        if self.metric not in HIGHER_IS_BETTER:
            raise UnknownMetric(self.metric)
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ResearchError(f"the threshold of {self.metric} is {self.threshold}: give a number, or none")


@dataclass(frozen=True)
class Verdict:
    """Whether to promote, and why in a sentence."""

    promote: bool
    reason: str


def promotes(rule: PromotionRule, candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> Verdict:
    """Return whether `rule` lets a candidate with these metrics take the place of the champion, None without one.

    Where a metric that it takes to decide is not there or not a number, the champion stays.
    """
    name, higher = rule.metric, HIGHER_IS_BETTER[rule.metric]
    value = candidate.get(name, math.nan)
    if not math.isfinite(value):
        return Verdict(False, f"the candidate has no {name}: its test rows do not define one")
    said = f"{name} {value:.6g}"
    if rule.threshold is not None and not (value >= rule.threshold if higher else value <= rule.threshold):
        worse = "below" if higher else "above"
        return Verdict(False, f"{said} is {worse} the threshold {rule.threshold:.6g}")
    if rule.threshold is not None:
        said += f" reaches the threshold {rule.threshold:.6g}"
    if champion is None:
        return Verdict(True, f"{said}, and there is no champion yet")
    if not rule.must_beat_champion:
        return Verdict(True, f"{said}, and the champion need not be beaten")
    best = champion.get(name, math.nan)
    if not math.isfinite(best):
        return Verdict(
            False,
            f"{said}, but the champion has no {name} to beat: promote by hand, or set must_beat_champion to false",
        )
    if not (value > best if higher else value < best):
        return Verdict(False, f"{said}, but it does not beat the champion's {best:.6g}")
    return Verdict(True, f"{said} and beats the champion's {best:.6g}")
