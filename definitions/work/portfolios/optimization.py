"""The work of an optimization: weights over time, each set decided on what was known at its day's close."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from definitions.contract import Allocation, AllocationRequest, Input, Optimizer, Store
from definitions.markdown_table import frame_table
from definitions.work.commits import until_committed
from definitions.work.outcome import Outcome, rows_left
from definitions.work.portfolios.portfolio_settings import OptimizationSettings
from research.errors import ResearchError
from research.frames.panels import carried, panel, panel_rows, value_column
from research.portfolios.exposures import exposures
from research.portfolios.portfolio_pictures import weights_picture
from research.portfolios.rebalancing import rebalance_dates

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class _KnownPanels:
    """All that is given, as panels; of which a day's decision sees what lies at or before it."""

    prices: "pd.DataFrame"
    returns: "pd.DataFrame"
    scores: "pd.DataFrame | None"
    covariance: pl.DataFrame | None


@dataclass(frozen=True)
class _Decision:
    """The allocation of a day, and its turnover; None for the first, which has nothing to be compared with."""

    day: "pd.Timestamp"
    allocation: Allocation
    turnover: float | None


def optimize(
    optimizer: Optimizer,
    store: Store,
    *,
    prices: Input,
    settings: OptimizationSettings,
    signals: Sequence[Input] = (),
    covariance: Input | None = None,
) -> Outcome:
    """Decide on weights at the close of the last trading day of each period, and keep them all.

    The store then holds exactly `date`, `entity`, `weight` (a share of capital): a row for each date of
    decision and each entity that there was to choose from. Those are the entities with a price (the
    column `close`, or the only one) on each day of the lookback, gaps of up to 5 days aside, whose returns
    vary; of these only those with a score of each signal that day, if there is a signal, and with a variance in
    the covariance, if there is one. A date with none is left out: the weights before it stay in force.
    Which dates are the last of their periods says `research.portfolios.rebalancing.rebalance_dates`: later data add
    dates, and change no weights before.

    Several signals are combined: the weighted sum of their z-scores, by `signal_weights`, equal by default.
    The signal stands for expected returns by R. Grinold's rule, "Alpha is Volatility Times IC Times Score"
    (1994): information_coefficient * the volatility of the entity's daily returns in the lookback * its
    z-score among the entities that day / sqrt(signal_horizon), per day. So they are relative to the
    mean of the entities. The covariance is the newest one at or before the day: rows of `date` and
    `entity`, whose value columns are named like the entities, per day.

    The optimizer gets the weights that are held: those decided before, moved with the prices since.
    Raises `Infeasible`, which says the date, and `ResearchError`; then nothing is written.
    """
    known = _known(prices, _combined(signals, settings.signal_weights), covariance)
    decisions = list(_decisions(optimizer, known, settings))
    if not decisions:
        raise ResearchError(
            f"there is no date to decide on weights: it takes {settings.lookback} returns of some entity"
            f"{' with a score that day' if signals else ''}, up to the end of a period within the range of dates. "
            "Shorten the lookback, or lengthen the prices"
        )
    frame = pl.concat(_rows(decision) for decision in decisions)
    written = until_committed(lambda: store.write(frame, replace=True))
    metrics = _metrics(decisions)
    statuses = ", ".join(sorted({decision.allocation.solver_status for decision in decisions}))
    return replace(
        rows_left(written),
        metrics=metrics,
        facts={"solver_status": statuses},
        summary=_summary(decisions, metrics, statuses, relative=bool(signals)),
        pictures=(weights_picture(panel(frame, "weight").fillna(0.0)),),
    )


def _combined(signals: Sequence[Input], weights: Mapping[str, float]) -> "pd.DataFrame | None":
    """Return the scores by date and entity: of several signals the weighted sum of their z-scores of each day.

    An entity has one where each signal has a score of it. Raises `ResearchError` for weights of other signals.
    """
    if unknown := sorted(weights.keys() - {signal.instance for signal in signals}):
        raise ResearchError(
            f"signal_weights names {', '.join(unknown)}, which is no signal of this optimizer; its signals are: "
            f"{', '.join(signal.instance for signal in signals) or 'none'}"
        )
    scores = [
        panel(each.frame, value_column(each.frame, "value", what=f"the signal {each.instance}")) for each in signals
    ]
    if len(scores) <= 1:
        return scores[0] if scores else None
    parts = [_standard(frame) * weights.get(each.instance, 1.0) for frame, each in zip(scores, signals, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part  # what one of them has no score of has none
    return total


def _standard(scores: "pd.DataFrame") -> "pd.DataFrame":
    """Return z-scores among the entities of each day; 0 on a day on which they don't differ."""
    spread = scores.std(axis=1, ddof=0)
    centred = scores.sub(scores.mean(axis=1), axis=0)
    return centred.div(spread.where(spread > 0, 1.0), axis=0)


def _known(prices: Input, scores: "pd.DataFrame | None", covariance: Input | None) -> _KnownPanels:
    closes = carried(panel(prices.frame, value_column(prices.frame, "close", what=f"the prices ({prices.instance})")))
    return _KnownPanels(
        prices=closes,
        returns=closes.pct_change(fill_method=None),
        scores=scores,
        covariance=None if covariance is None else covariance.frame.sort("date"),
    )


def _decisions(optimizer: Optimizer, known: _KnownPanels, settings: OptimizationSettings) -> Iterator[_Decision]:
    before: _Decision | None = None
    span = settings.date_range
    days = [day.date() for day in known.prices.index]
    for date in rebalance_dates(days, settings.rebalance_frequency):
        if (span.start is not None and date < span.start) or (span.end is not None and date > span.end):
            continue
        request = _request(known, date, settings, before)
        if request is None:
            continue
        allocation = optimizer.allocate(request)
        before = _Decision(request.returns.index[-1], allocation, _turnover(allocation, request.previous))
        yield before


def _request(
    known: _KnownPanels, date: dt.date, settings: OptimizationSettings, before: _Decision | None
) -> AllocationRequest | None:
    """Return what is known at the close of `date`, None when there is nothing to choose from."""
    window = known.returns.loc[: str(date)].iloc[-settings.lookback :]
    if len(window) < settings.lookback:
        return None
    window = window.loc[:, window.notna().all() & (window.std() > 0)]
    expected = None
    if known.scores is not None:
        scores = known.scores.reindex([window.index[-1]]).iloc[0].reindex(window.columns).dropna()
        window = window[scores.index]
        expected = _expected_returns(scores, window, settings)
    covariance = None if known.covariance is None else _covariance(known.covariance, date)
    if covariance is not None:
        window = window[[name for name in window.columns if name in covariance.index]]
    if window.shape[1] == 0:
        return None
    return AllocationRequest(
        returns=window,
        expected_returns=expected,
        covariance=covariance,
        previous=None if before is None else _drifted(before, known.prices, window.index[-1]),
        entities=frozenset(known.prices.columns),
    )


def _expected_returns(
    scores: "pd.Series[float]", window: "pd.DataFrame", settings: OptimizationSettings
) -> "pd.Series[float]":
    """Return Grinold's expected returns, per day; all 0 where the scores don't differ."""
    spread = scores.std(ddof=0)
    standard = (scores - scores.mean()) / spread if spread > 0 else scores * 0.0
    return settings.information_coefficient * window.std() * standard / settings.signal_horizon**0.5


def _covariance(frame: pl.DataFrame, date: dt.date) -> "pd.DataFrame":
    """Return the newest covariance at or before `date`, entity by entity, of those that have a variance."""
    import numpy as np
    import pandas as pd

    newest = frame.filter(pl.col("date") <= date).filter(pl.col("date") == pl.col("date").max())
    if newest.is_empty():
        raise ResearchError(f"there is no covariance at or before {date}: start later, or lengthen it")
    values = newest.drop("date", "entity", "knowledge_date", strict=False)
    wide = pd.DataFrame(values.to_numpy(), index=newest["entity"].to_list(), columns=values.columns, dtype=float)
    names = [name for name in wide.index if name in wide.columns and np.isfinite(wide.at[name, name])]
    return wide.loc[names, names]


def _drifted(before: _Decision, prices: "pd.DataFrame", day: "pd.Timestamp") -> "pd.Series[float]":
    """Return the weights that are held on `day`: those decided before, moved with prices since.

    What is not invested is cash, which earns nothing; an entity that has left the market counts as it was.
    """
    weights = before.allocation.weights
    growth = (prices.ffill().loc[day, weights.index] / prices.loc[before.day, weights.index]).fillna(1.0)
    moved: pd.Series[float] = weights * growth
    value = 1 + float((moved - weights).sum())
    if value <= 0:
        raise ResearchError(
            f"the weights of {before.day:%Y-%m-%d} lost all capital by {day:%Y-%m-%d}: lower the optimizer's leverage"
        )
    return moved / value


def _turnover(allocation: Allocation, previous: "pd.Series[float] | None") -> float | None:
    if previous is None:
        return None
    return float(allocation.weights.sub(previous, fill_value=0.0).abs().sum() / 2)


def _rows(decision: _Decision) -> pl.DataFrame:
    return panel_rows(decision.allocation.weights.to_frame(decision.day).T, "weight")


def _metrics(decisions: list[_Decision]) -> dict[str, float]:
    """Return what the last allocation is expected to do and what it holds, and the mean turnover of all but the first.

    `expected_sharpe` is the expected return over the volatility, with a riskless rate of 0 (Sharpe 1994).
    """
    last = decisions[-1].allocation
    turnovers = [decision.turnover for decision in decisions if decision.turnover is not None]
    metrics = {
        "expected_return": last.expected_return,
        "volatility": last.volatility,
        "effective_bets": last.effective_bets,
        "dates": float(len(decisions)),
        **exposures(last.weights),
    }
    if last.volatility > 0:
        metrics["expected_sharpe"] = last.expected_return / last.volatility
    for name, value in (("diversification_ratio", last.diversification_ratio), ("iterations", last.iterations)):
        if value is not None:
            metrics[name] = float(value)
    return metrics | ({"mean_turnover": sum(turnovers) / len(turnovers)} if turnovers else {})


def _nothing_held(decisions: list[_Decision]) -> bool:
    return not any(decision.allocation.weights.any() for decision in decisions)


def _summary(decisions: list[_Decision], metrics: dict[str, float], statuses: str, *, relative: bool) -> str:
    last = decisions[-1]
    weights = last.allocation.weights
    held = weights[weights != 0].sort_values(ascending=False, kind="stable")
    turnover = f"; mean turnover {metrics['mean_turnover']:.1%}" if "mean_turnover" in metrics else ""
    shown = pl.DataFrame({"entity": [str(n) for n in held.index], "weight": [f"{weight:.2%}" for weight in held]})
    lines = [
        f"Weights on {len(decisions):,} dates, {decisions[0].day:%Y-%m-%d} to {last.day:%Y-%m-%d}{turnover}. "
        f"The solver said: {statuses}.",
        "",
        *(["**Nothing is ever held**: all weights are 0.", ""] if _nothing_held(decisions) else []),
        f"On {last.day:%Y-%m-%d}, per year: expected return {metrics['expected_return']:z.2%}"
        f"{' above the mean of the entities' if relative else ''}, volatility {metrics['volatility']:.2%}; "
        f"{len(held)} of {len(weights)} entities held.",
        "",
        f"The risk is spread as if over {metrics['effective_bets']:.1f} bets (effective number of bets: that of "
        "independent sources of risk, of equal size, which would spread it as much).",
        "",
        *frame_table(shown),
    ]
    return "\n".join(lines)
