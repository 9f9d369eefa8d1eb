import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.errors import ResearchError
from research.model_metrics import HIGHER_IS_BETTER
from research.promotion import PromotionRule, UnknownMetric, Verdict, promotes


@pytest.mark.parametrize(
    ("rule", "value", "champion", "promote", "reason"),
    [
        (PromotionRule("ic_mean"), 0.02, None, True, "ic_mean 0.02, and there is no champion yet"),
        (PromotionRule("ic_mean"), 0.02, 0.01, True, "ic_mean 0.02 and beats the champion's 0.01"),
        (PromotionRule("ic_mean"), 0.01, 0.01, False, "ic_mean 0.01, but it does not beat the champion's 0.01"),
        (PromotionRule("rmse"), 0.01, 0.02, True, "rmse 0.01 and beats the champion's 0.02"),
        (PromotionRule("rmse"), 0.02, 0.01, False, "rmse 0.02, but it does not beat the champion's 0.01"),
        (PromotionRule("ic_mean", 0.03), 0.02, None, False, "ic_mean 0.02 is below the threshold 0.03"),
        (PromotionRule("rmse", 0.03), 0.04, None, False, "rmse 0.04 is above the threshold 0.03"),
        (
            PromotionRule("rmse", 0.03),
            0.03,
            None,
            True,
            "rmse 0.03 reaches the threshold 0.03, and there is no champion yet",
        ),
        (
            PromotionRule("r2", 0.0, must_beat_champion=False),
            0.1,
            0.2,
            True,
            "r2 0.1 reaches the threshold 0, and the champion need not be beaten",
        ),
    ],
)
def test_verdicts(rule: PromotionRule, value: float, champion: float | None, promote: bool, reason: str) -> None:
    best = None if champion is None else {rule.metric: champion}
    assert promotes(rule, {rule.metric: value}, best) == Verdict(promote, reason)


@pytest.mark.parametrize("candidate", [{}, {"ic_mean": math.nan}])
def test_a_candidate_without_the_metric_is_not_promoted(candidate: dict[str, float]) -> None:
    verdict = promotes(PromotionRule("ic_mean"), candidate, None)
    assert verdict == Verdict(False, "the candidate has no ic_mean: its test rows do not define one")


@pytest.mark.parametrize("champion", [{}, {"ic_mean": math.nan}])
def test_a_champion_without_the_metric_stays(champion: dict[str, float]) -> None:
    assert promotes(PromotionRule("ic_mean"), {"ic_mean": 0.1}, champion) == Verdict(
        False,
        "ic_mean 0.1, but the champion has no ic_mean to beat: promote by hand, or set must_beat_champion to false",
    )


@given(metric=st.sampled_from(sorted(HIGHER_IS_BETTER)), a=st.floats(-1, 1), b=st.floats(-1, 1))
def test_of_two_models_at_most_one_beats_the_other(metric: str, a: float, b: float) -> None:
    rule = PromotionRule(metric)
    forth, back = promotes(rule, {metric: a}, {metric: b}), promotes(rule, {metric: b}, {metric: a})
    assert (forth.promote, back.promote) in {(True, False), (False, True), (False, False)}
    assert (forth.promote or back.promote) == (a != b)


def test_errors_name_what_there_is() -> None:
    with pytest.raises(UnknownMetric) as unknown:
        PromotionRule("sharpe")
    with pytest.raises(ResearchError, match="the threshold of r2 is nan: give a number, or none"):
        PromotionRule("r2", math.nan)

    assert str(unknown.value) == (
        "models can't be compared by 'sharpe': choose one of rmse, mae, r2, ic_mean, ic_ratio, ic_positive_share"
    )
