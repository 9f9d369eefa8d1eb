import datetime as dt
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.errors import ResearchError
from research.models.model_metrics import HIGHER_IS_BETTER, model_metrics
from research.models.promotion_rule import Contest, PromotionRule, UnknownMetric, Verdict, contest, promotes

FIRST = "there is no champion yet"


def rule_of(metric: str, threshold: float | None = None, *, must_beat_champion: bool = True) -> PromotionRule:
    return PromotionRule(metric, threshold, must_beat_champion)


def against(metric: str, candidate: float, champion: float) -> Contest:
    return Contest({metric: candidate}, {metric: champion}, rows=5000)


@pytest.mark.parametrize(
    ("rule", "value", "champion", "promote", "reason"),
    [
        (rule_of("ic_mean"), 0.02, None, True, "ic_mean 0.02, and there is no champion yet"),
        (
            rule_of("ic_mean"),
            0.02,
            (0.03, 0.01),
            True,
            "ic_mean 0.02, and on the 5,000 test rows that both share 0.03 beats the champion's 0.01",
        ),
        (
            rule_of("ic_mean"),
            0.02,
            (0.01, 0.01),
            False,
            "ic_mean 0.02, but on the 5,000 test rows that both share 0.01 does not beat the champion's 0.01",
        ),
        (
            rule_of("rmse"),
            0.01,
            (0.01, 0.02),
            True,
            "rmse 0.01, and on the 5,000 test rows that both share 0.01 beats the champion's 0.02",
        ),
        (
            rule_of("rmse"),
            0.02,
            (0.02, 0.01),
            False,
            "rmse 0.02, but on the 5,000 test rows that both share 0.02 does not beat the champion's 0.01",
        ),
        (rule_of("ic_mean", 0.03), 0.02, None, False, "ic_mean 0.02 is below the threshold 0.03"),
        (rule_of("rmse", 0.03), 0.04, None, False, "rmse 0.04 is above the threshold 0.03"),
        (
            rule_of("rmse", 0.03),
            0.03,
            None,
            True,
            "rmse 0.03 reaches the threshold 0.03, and there is no champion yet",
        ),
        (
            rule_of("r2", 0.0, must_beat_champion=False),
            0.1,
            (0.1, 0.2),
            True,
            "r2 0.1 reaches the threshold 0, and a champion need not be beaten",
        ),
    ],
)
def test_verdicts(
    rule: PromotionRule, value: float, champion: tuple[float, float] | None, promote: bool, reason: str
) -> None:
    met = None if champion is None else against(rule.metric, *champion)
    assert promotes(rule, {rule.metric: value}, met, unopposed=FIRST) == Verdict(promote, reason)


@pytest.mark.parametrize("candidate", [{}, {"ic_mean": math.nan}])
def test_a_candidate_without_the_metric_is_not_promoted(candidate: dict[str, float]) -> None:
    verdict = promotes(rule_of("ic_mean"), candidate, None, unopposed=FIRST)
    assert verdict == Verdict(False, "the candidate has no ic_mean: its test rows do not define one")


@pytest.mark.parametrize("champion", [{}, {"ic_mean": math.nan}])
def test_a_champion_without_the_metric_stays(champion: dict[str, float]) -> None:
    met = Contest({"ic_mean": 0.1}, champion, rows=12)
    assert promotes(rule_of("ic_mean"), {"ic_mean": 0.1}, met, unopposed=FIRST) == Verdict(
        False,
        "ic_mean 0.1, but the 12 test rows that the champion shares define no ic_mean of both: "
        "promote by hand, or set must_beat_champion to false",
    )


def predictions(first: int, days: int, slope: float, target: float | None = 1.0) -> pl.DataFrame:
    """Return test rows of three entities on some days of January: predictions go by `slope`, targets by `target`."""
    return pl.DataFrame(
        [
            (dt.date(2024, 1, first + day), entity, slope * n, None if target is None else target * n)
            for day in range(days)
            for n, entity in enumerate("ABC")
        ],
        schema={"date": pl.Date, "entity": pl.String, "prediction": pl.Float64, "target": pl.Float64},
        orient="row",
    )


def test_models_are_compared_on_the_rows_that_both_predicted() -> None:
    old = pl.concat([predictions(1, 5, slope=-9.0), predictions(6, 5, slope=0.9, target=None)])
    new = predictions(6, 10, slope=0.5)

    met = contest(new, old)

    assert met is not None
    assert met.rows == 15
    assert met.candidate == model_metrics(predictions(6, 5, slope=0.5))
    assert met.champion == model_metrics(predictions(6, 5, slope=0.9))  # by the targets that are known by now
    assert not promotes(rule_of("rmse"), model_metrics(new), met, unopposed=FIRST).promote
    assert contest(predictions(20, 5, slope=1.0), old) is None
    assert contest(predictions(6, 5, slope=1.0, target=None), old) is None


@given(metric=st.sampled_from(sorted(HIGHER_IS_BETTER)), a=st.floats(-1, 1), b=st.floats(-1, 1))
def test_of_two_models_at_most_one_beats_the_other(metric: str, a: float, b: float) -> None:
    rule = rule_of(metric)
    forth = promotes(rule, {metric: a}, against(metric, a, b), unopposed=FIRST)
    back = promotes(rule, {metric: b}, against(metric, b, a), unopposed=FIRST)
    assert (forth.promote, back.promote) in {(True, False), (False, True), (False, False)}
    assert (forth.promote or back.promote) == (a != b)


def test_errors_name_what_there_is() -> None:
    with pytest.raises(UnknownMetric) as unknown:
        rule_of("sharpe")
    with pytest.raises(ResearchError, match="the threshold of ic_mean is 2, and ic_mean lies between -1 and 1"):
        rule_of("ic_mean", 2)
    with pytest.raises(ResearchError, match="the threshold of r2 is nan: give a number, or none"):
        rule_of("r2", math.nan)

    assert str(unknown.value) == (
        "models can't be compared by 'sharpe': choose one of rmse, mae, r2, ic_mean, ic_ratio, ic_positive_share"
    )
