import numpy as np
import pandas as pd
import pytest

from research.errors import ResearchError
from research.portfolios.score_weights import Selection, Veto, selected_weights, weights_in_force

DAY = pd.Timestamp("2024-01-31")
DAYS = pd.DatetimeIndex([DAY])


def scores(**values: float) -> pd.DataFrame:
    return pd.DataFrame([values], index=DAYS)


def chosen(primary: pd.DataFrame, secondary: pd.DataFrame | None = None, **rule: float | bool) -> dict[str, float]:
    selection = Selection(**({"top_fraction": 0.2, "long_short": False} | rule))  # type: ignore[arg-type]
    weights = selected_weights(primary, [Veto(secondary)] if secondary is not None else [], DAYS, selection)
    return {str(name): weight for name, weight in weights.loc[DAY].items() if weight}


def test_the_top_fraction_is_held_in_equal_parts() -> None:
    assert chosen(scores(a=1, b=4, c=3, d=2), top_fraction=0.5) == {"b": 0.5, "c": 0.5}
    assert chosen(scores(a=1, b=4, c=3, d=2), top_fraction=0.51) == pytest.approx({"b": 1 / 3, "c": 1 / 3, "d": 1 / 3})


def test_at_least_one_is_held_and_ties_go_by_name() -> None:
    assert chosen(scores(a=1, c=4, b=4), top_fraction=0.01) == {"b": 1.0}


def test_a_fraction_that_is_a_whole_number_of_entities_is_not_rounded_up() -> None:
    primary = pd.DataFrame([np.arange(20.0)], index=DAYS, columns=[f"e{i}" for i in range(20)])

    assert len(chosen(primary, top_fraction=0.15)) == 3


def test_entities_without_a_score_that_day_are_not_held() -> None:
    assert chosen(scores(a=np.nan, b=1, c=2), top_fraction=1) == {"b": 0.5, "c": 0.5}


def test_slots_that_the_secondary_signal_does_not_confirm_stay_in_cash() -> None:
    primary = scores(a=4, b=3, c=2, d=1)

    assert chosen(primary, scores(a=1, b=0, c=1, d=1), top_fraction=0.5) == {"a": 0.5}
    assert chosen(primary, scores(a=np.nan, b=2), top_fraction=0.5) == {"b": 0.5}


def test_the_secondary_signal_confirms_above_its_neutral_value() -> None:
    primary, secondary = scores(a=4, b=3, c=2, d=1), scores(a=0.5, b=0.6, c=0.4, d=0.2)
    rule = Selection(top_fraction=0.5, long_short=True)
    weights = selected_weights(primary, [Veto(secondary, 0.5)], DAYS, rule).loc[DAY]
    assert weights.to_dict() == {"a": 0.0, "b": 0.25, "c": -0.25, "d": -0.25}


def test_each_of_several_secondary_signals_may_veto() -> None:
    primary, rule = scores(a=4, b=3, c=2, d=1), Selection(top_fraction=0.5, long_short=True)
    vetoes = [Veto(scores(a=1, b=1, c=-1, d=-1)), Veto(scores(a=1, b=0, c=-1, d=0.5))]
    weights = selected_weights(primary, vetoes, DAYS, rule).loc[DAY]
    assert weights.to_dict() == {"a": 0.25, "b": 0.0, "c": -0.25, "d": 0.0}


def test_long_short_sells_the_worst_against_the_best() -> None:
    primary = scores(a=5, b=4, c=3, d=2, e=1)

    assert chosen(primary, top_fraction=0.4, long_short=True) == {"a": 0.25, "b": 0.25, "d": -0.25, "e": -0.25}
    assert chosen(primary, top_fraction=1, long_short=True) == {"a": 0.25, "b": 0.25, "d": -0.25, "e": -0.25}
    confirmed = chosen(primary, scores(a=1, b=-1, c=1, d=-1, e=1), top_fraction=0.4, long_short=True)
    assert confirmed == {"a": 0.25, "d": -0.25}


def test_a_day_without_scores_holds_nothing_but_some_day_must_have_one() -> None:
    later = pd.DatetimeIndex([DAY, pd.Timestamp("2024-02-29")])

    weights = selected_weights(scores(a=1, b=2), [], later, Selection(0.5, long_short=False))

    assert weights.loc[later[1]].abs().sum() == 0
    with pytest.raises(ResearchError, match="the primary signal has no score on any day of decision"):
        selected_weights(scores(a=1, b=2), [], later[1:], Selection(0.5, long_short=False))


def test_the_newest_weights_are_in_force() -> None:
    days = pd.DatetimeIndex(["2024-01-31", "2024-02-15", "2024-02-29"])
    weights = pd.DataFrame({"a": [1.0, 0.4], "b": [np.nan, 0.6]}, index=days[[0, 2]])

    in_force = weights_in_force(weights, days.union(pd.DatetimeIndex(["2024-01-30", "2024-03-31"])))

    assert in_force.index.strftime("%m-%d").to_list() == ["01-31", "02-15", "02-29", "03-31"]
    assert in_force["a"].to_list() == [1.0, 1.0, 0.4, 0.4]
    assert in_force["b"].to_list() == [0.0, 0.0, 0.6, 0.6]
