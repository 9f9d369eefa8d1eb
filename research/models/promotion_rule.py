"""Promotion: whether a newly trained model takes the place of the one in use."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from research.errors import ResearchError, shown
from research.models.model_metrics import BOUNDS, HIGHER_IS_BETTER, model_metrics

if TYPE_CHECKING:  # it is the settings of models that are looked at most often, without any rows
    import polars as pl


class UnknownMetric(ResearchError):
    """A metric that models can't be compared by."""

    def __init__(self, metric: str) -> None:
        super().__init__(f"models can't be compared by {shown(metric)}: choose one of {', '.join(HIGHER_IS_BETTER)}")


@dataclass(frozen=True)
class PromotionRule:
    """What a candidate must reach in one out-of-sample metric of `research.models.model_metrics`.

    `threshold`: the worst value that will do; None: any. `must_beat_champion`: whether it must be better,
    and not merely equal. Which way is better, the metric says. Raises `UnknownMetric`.
    """

    metric: str
    threshold: float | None
    must_beat_champion: bool

    def __post_init__(self) -> None:
        if self.metric not in HIGHER_IS_BETTER:
            raise UnknownMetric(self.metric)
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ResearchError(f"the threshold of {self.metric} is {self.threshold}: give a number, or none")
        least, most = BOUNDS.get(self.metric, (-math.inf, math.inf))
        if self.threshold is not None and not least <= self.threshold <= most:
            raise ResearchError(
                f"the threshold of {self.metric} is {self.threshold:g}, and {self.metric} lies between {least:g} and "
                f"{most:g}: 0.02 is 2 %"
            )


@dataclass(frozen=True)
class Verdict:
    """Whether to promote, and why in a sentence."""

    promote: bool
    reason: str


@dataclass(frozen=True)
class Contest:
    """The metrics of a candidate and of the champion on the same `rows`, of which both made a prediction."""

    candidate: Mapping[str, float]
    champion: Mapping[str, float]
    rows: int


def contest(candidate: "pl.DataFrame", champion: "pl.DataFrame") -> Contest | None:
    """Return both models' metrics on the test rows that they share, by the candidate's target; None without any.

    Both frames have `date`, `entity`, `prediction` and `target` (Float64): out of sample, of one kind of target.
    """
    theirs = champion.select("date", "entity", champion="prediction")
    shared = candidate.join(theirs, on=["date", "entity"], how="inner").drop_nulls("target")
    if shared.is_empty():
        return None
    return Contest(
        candidate=model_metrics(shared),
        champion=model_metrics(shared.with_columns(prediction="champion")),
        rows=shared.height,
    )


def promotes(
    rule: PromotionRule, candidate: Mapping[str, float], against: Contest | None, *, unopposed: str
) -> Verdict:
    """Return whether `rule` lets a candidate with these metrics take the place of the champion.

    The threshold is for all test rows of the candidate; the champion is to be beaten on those of the contest.
    Without one `unopposed` says why, like "there is no champion yet". Where a metric that it takes to decide is
    not there or not a number, the champion stays.
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
    if not rule.must_beat_champion:
        return Verdict(True, f"{said}, and a champion need not be beaten")
    if against is None:
        return Verdict(True, f"{said}, and {unopposed}")
    value, best = against.candidate.get(name, math.nan), against.champion.get(name, math.nan)
    if not (math.isfinite(value) and math.isfinite(best)):
        return Verdict(
            False,
            f"{said}, but the {against.rows:,} test rows that the champion shares define no {name} of both: "
            "promote by hand, or set must_beat_champion to false",
        )
    shared = f"on the {against.rows:,} test rows that both share {value:.6g}"
    if not (value > best if higher else value < best):
        return Verdict(False, f"{said}, but {shared} does not beat the champion's {best:.6g}")
    return Verdict(True, f"{said}, and {shared} beats the champion's {best:.6g}")
