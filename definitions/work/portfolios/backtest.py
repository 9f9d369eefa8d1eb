"""The work of a backtest: from prices and signals, or weights, to equity and trades."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from definitions.contract import Input, Store
from definitions.markdown_table import frame_table
from definitions.work.commits import until_committed
from definitions.work.outcome import Outcome, rows_left
from definitions.work.portfolios.portfolio_settings import TRADES, BacktestConfig, BacktestDates, DateRange
from research.errors import ResearchError
from research.frames.panels import carried, panel, panel_rows, value_column
from research.portfolios.backtest_metrics import (
    METRICS,
    drawdown,
    performance,
    period_ends,
    relative_performance,
    trading,
)
from research.portfolios.closed_positions import closed_positions
from research.portfolios.portfolio_pictures import drawdown_picture, equity_picture, weights_picture
from research.portfolios.rebalancing import Frequency, rebalance_dates
from research.portfolios.score_weights import Veto, selected_weights, weights_in_force
from research.portfolios.simulation import BacktestResult, benchmark_equity, run_backtest
from research.portfolios.universe import MEMBER, membership

if TYPE_CHECKING:
    import pandas as pd

PORTFOLIO, BENCHMARK = "portfolio", "benchmark"
SHOWN = 8  # names of entities in a sentence at most


def backtest(
    equity_store: Store,
    trades_store: Store,
    *,
    prices: Input,
    config: BacktestConfig,
    primary: Input | None = None,
    secondary: Sequence[Input] = (),
    weights: Input | None = None,
    benchmark: Input | None = None,
    universe: Input | None = None,
    date_range: BacktestDates | None = None,
) -> Outcome:
    """Follow the weights of an optimizer, or those that signals lead to, and keep what came of it.

    Given are either `weights` (`date`, `entity`, `weight`), of which the newest at or before each day of decision
    are followed, or `primary`, and maybe `secondary`, signals, whose scores choose what is held (see
    `research.portfolios.score_weights.selected_weights`). Prices are the column `close`, or the only one; `volume`
    serves the square_root slippage. They may start before the range of dates, for volatilities, and signals too.
    With a `universe` (see `research.portfolios.universe.membership`) only who is a member on a day of decision is held
    from it on: only the scores of members are ranked, and the weights of others are 0, while those of members stay as
    they are. Days of decision before its first row are left out.

    `equity_store` then holds exactly `date`, `entity` ("portfolio", and "benchmark" where there is one), `equity`
    (in currency), `return_` (since the row before; null on the first), `drawdown` (a share, at most 0): a row for each
    day, or the first day, the last one of each period of `date_range.frequency`, and the last of all;
    `trades_store` exactly `date`, `entity`, `quantity`, `price`, `value` and `cost`. The outcome's version is that of
    the equity; its further version `trades` that of the trades. Metrics that are not defined, like the ratios of a
    portfolio that is all cash, are left out.
    Raises `ResearchError`; then nothing is written.
    """
    span = date_range or BacktestDates()
    closes = _upto_end(_closes(prices), span, prices.instance)
    decisions = _decisions(closes, config, span)
    members = None if universe is None else _members(universe, decisions)
    if members is not None:
        decisions = members.index
    targets = _targets(
        decisions, config, primary=primary, secondary=secondary, weights=weights, prices=closes, members=members
    )
    volumes = panel(prices.frame, "volume") if "volume" in prices.frame.columns else None
    result = run_backtest(closes, targets, initial_capital=config.initial_capital, costs=config.costs, volumes=volumes)
    reference = None if benchmark is None else benchmark_equity(_only(benchmark), result.equity)
    found = _Found(result, reference, _name(benchmark), len(targets), span.frequency)
    about = [] if members is None else _about_members(members.loc[targets.index], closes, universe)
    about += [] if primary is None else _about_scores(primary, targets.index)
    return _kept(equity_store, trades_store, found, about)


def _closes(prices: Input) -> "pd.DataFrame":
    return panel(prices.frame, value_column(prices.frame, "close", what=f"the prices ({prices.instance})"))


def _upto_end(closes: "pd.DataFrame", span: DateRange, source: str) -> "pd.DataFrame":
    """Return the prices up to the end of the range. Raises `ResearchError` where none lie within it."""
    kept = closes if span.end is None else closes.loc[: str(span.end)]
    within = kept if span.start is None else kept.loc[str(span.start) :]
    if within.empty:
        there = f"go from {_dates(closes)}" if len(closes) else "are none at all"
        raise ResearchError(
            f"there are no prices in the range of dates, {_words(span)}: those of {source} {there}; "
            "choose a date_range within them"
        )
    return kept


def _words(span: DateRange) -> str:
    words = (f"from {span.start}" if span.start else "", f"up to {span.end}" if span.end else "")
    return " ".join(filter(None, words)) or "which is any"


def _dates(closes: "pd.DataFrame") -> str:
    return f"{closes.index[0]:%Y-%m-%d} to {closes.index[-1]:%Y-%m-%d}"


def _decisions(closes: "pd.DataFrame", config: BacktestConfig, span: DateRange) -> "pd.DatetimeIndex":
    """Return the days of decision within the range. Raises `ResearchError` where there are none."""
    import pandas as pd

    days = [day.date() for day in closes.index]
    chosen = rebalance_dates(days, config.rebalance_frequency, config.rebalance_day)
    within = [day for day in chosen if span.start is None or day >= span.start]
    if not within:
        raise ResearchError(
            f"no {config.rebalance_frequency} day of decision lies in the range of dates, {_words(span)}: the prices "
            f"up to its end go from {_dates(closes)}; widen date_range, or rebalance more often"
        )
    return pd.DatetimeIndex(within)


def _targets(
    decisions: "pd.DatetimeIndex",
    config: BacktestConfig,
    *,
    primary: Input | None,
    secondary: Sequence[Input],
    weights: Input | None,
    prices: "pd.DataFrame",
    members: "pd.DataFrame | None",
) -> "pd.DataFrame":
    """Return target weights by day of decision, from the first day on that has any; 0 of who is no member."""
    if weights is not None:
        if primary is not None or secondary:
            raise ResearchError("a backtest follows weights or signals, not both: leave one of them out")
        decided = weights_in_force(panel(weights.frame, _weight_column(weights)), decisions)
        return decided if members is None else decided.where(_like(members, decided), 0.0)
    if primary is None:
        raise ResearchError("a backtest needs weights or a primary signal to follow: give it one of them")
    # What has a score but no price can't be bought.
    scores = _scores(primary)
    scores = scores.where(carried(prices).reindex(index=scores.index, columns=scores.columns).notna())
    if members is not None:
        scores = _of_members(scores.reindex(decisions), members, primary.instance)
    vetoes = [Veto(_scores(each), each.neutral) for each in secondary]
    targets = selected_weights(scores, vetoes, decisions, config.selection)
    return targets.loc[targets.index >= scores.dropna(how="all").index[0]]


def _members(universe: Input, decisions: "pd.DatetimeIndex") -> "pd.DataFrame":
    """Return who is a member on the days of decision. Raises `ResearchError`, also for lists that can come in parts."""
    if universe.revised and MEMBER not in universe.frame.columns:
        raise ResearchError(
            f"the rows of the universe {universe.instance} can be revised, and have no column 'member': of a list that "
            "comes in parts the last part would count as the list. Give each row 'member', true or false, or bring "
            "the lists without knowledge_date"
        )
    return membership(universe.frame, decisions, what=universe.instance)


def _like(members: "pd.DataFrame", wide: "pd.DataFrame") -> "pd.DataFrame":
    return members.reindex(index=wide.index, columns=wide.columns, fill_value=False)


def _of_members(scores: "pd.DataFrame", members: "pd.DataFrame", signal: str) -> "pd.DataFrame":
    """Return the scores of who is a member that day. Raises `ResearchError` where that leaves none of some."""
    kept = scores.where(_like(members, scores))
    if scores.notna().any(axis=None) and not kept.notna().any(axis=None):
        raise ResearchError(
            f"no member of the universe, like {', '.join(map(str, members.columns[:3]))}, has a score of {signal} and "
            f"a price on a day of decision; there are scores of {', '.join(map(str, scores.columns[:3]))}: "
            "see that entities are called the same in both"
        )
    return kept


def _about_members(members: "pd.DataFrame", prices: "pd.DataFrame", universe: Input | None) -> list[str]:
    """Return as Markdown how many could be held, and who of them could not because nothing is known of their prices."""
    assert universe is not None
    counts = members.sum(axis=1)
    ever = [str(name) for name in members.columns[members.any()]]
    unpriced = [name for name in ever if name not in prices.columns or not prices[name].notna().any()]
    lines = [
        f"The universe, {universe.instance}, had {counts.min():,} to {counts.max():,} members on the days of decision, "
        f"{len(ever):,} in all.",
        "",
    ]
    if not unpriced:
        return lines
    shown = ", ".join(unpriced[:SHOWN]) + (" ..." if unpriced[SHOWN:] else "")
    return [*lines, f"**{len(unpriced):,} of them have no prices**, and could not be held: {shown}.", ""]


def _about_scores(primary: Input, decided: "pd.DatetimeIndex") -> list[str]:
    """Return as Markdown on how many days of decision there was no score, so that nothing is held from then on."""
    scored = _scores(primary).reindex(decided).notna().any(axis=1)
    if scored.all():
        return []
    return [
        f"**On {(~scored).sum():,} of {len(scored):,} days of decision {primary.instance} has no score**, and nothing "
        "was held from then on: a signal must have values on these days.",
        "",
    ]


def _weight_column(weights: Input) -> str:
    if "weight" in weights.frame.columns:
        return "weight"
    raise ResearchError(
        f"{weights.instance} has no weights to follow, its columns are {', '.join(weights.frame.columns)}: name an "
        "optimizer there, or an instance with the column 'weight'; scores are followed as signals"
    )


def _scores(signal: Input) -> "pd.DataFrame":
    column = value_column(signal.frame, "value", what=f"the signal {signal.instance}")
    return panel(signal.frame, column)


def _only(benchmark: Input) -> "pd.Series[float]":
    closes = _closes(benchmark)
    if closes.shape[1] != 1:
        raise ResearchError(
            f"the benchmark ({benchmark.instance}) has {closes.shape[1]} entities: choose one, like an index"
        )
    return closes.iloc[:, 0]


def _name(benchmark: Input | None) -> str | None:
    return None if benchmark is None else str(benchmark.frame["entity"][0])


@dataclass(frozen=True)
class _Found:
    """What a backtest has found by day, with its benchmark's curve and name, and how often it is looked at."""

    result: BacktestResult
    reference: "pd.Series[float] | None"
    name: str | None
    decided: int
    frequency: Frequency

    @property
    def curves(self) -> dict[str, "pd.Series[float]"]:
        own = {PORTFOLIO: self.result.equity}
        return own if self.reference is None else own | {BENCHMARK: self.reference}

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics by name, in the order of `METRICS`; NaN where one is not defined."""
        result, reference = self.result, self.reference
        found = performance(result.equity, self.frequency) | trading(result.equity, result.turnover, result.costs)
        found |= closed_positions(result.trades)
        if reference is not None:
            found |= relative_performance(result.equity, reference, self.frequency)
        return {key: found[key] for key in METRICS if key in found}


def _kept(equity_store: Store, trades_store: Store, found: _Found, about: list[str]) -> Outcome:
    """Write what came of it, and say what it was; the trades first, since a run's version is the equity's."""
    result = found.result
    trades = until_committed(lambda: trades_store.write(result.trades, replace=True))
    equity = pl.concat(_rows(entity, curve, found.frequency) for entity, curve in found.curves.items())
    written = until_committed(lambda: equity_store.write(equity, replace=True))
    metrics = found.metrics
    return replace(
        rows_left(written),
        metrics={key: value for key, value in metrics.items() if value == value},
        further_versions={TRADES: trades.version},
        summary=_summary(found, metrics, about),
        pictures=(
            equity_picture(result.equity, found.reference, name=found.name),
            drawdown_picture(result.equity, found.reference, name=found.name),
            weights_picture(result.weights),
        ),
    )


def _rows(entity: str, curve: "pd.Series[float]", frequency: Frequency) -> pl.DataFrame:
    """Return a curve as rows of the equity dataset: those of its first day, of each period's last, and of its last."""
    import pandas as pd

    shown = {curve.index[0], *period_ends(curve, frequency), curve.index[-1]}
    seen = curve.loc[sorted(shown)]
    wide = pd.DataFrame({entity: seen})
    frame = panel_rows(wide, "equity")
    frame = frame.join(panel_rows(wide.pct_change(), "return_"), on=["date", "entity"], how="left")
    depths = drawdown(curve).loc[seen.index]
    return frame.join(panel_rows(pd.DataFrame({entity: depths}), "drawdown"), on=["date", "entity"])


def _summary(found: _Found, metrics: Mapping[str, float], about: list[str]) -> str:
    result, name = found.result, found.name
    first, last = result.equity.index[0], result.equity.index[-1]
    start, end = result.equity.iloc[0], result.equity.iloc[-1]
    lines = [
        f"{start:,.0f} became **{end:,.0f}** from {first:%Y-%m-%d} to {last:%Y-%m-%d}: {found.decided:,} decisions, "
        f"{result.trades.height:,} trades, which cost {float(result.trades['cost'].sum()):,.0f}.",
        "",
        *about,
    ]
    if found.frequency is not Frequency.DAILY:
        lines += [f"Volatility, ratios and losses are of {found.frequency} returns.", ""]
    if result.trades.is_empty():
        lines += ["**Nothing was ever held**: all weights to follow are 0, or were decided at the last close.", ""]
    others = {} if found.reference is None else performance(found.reference, found.frequency)
    rows = {
        "": [METRICS[key].label(found.frequency) for key in metrics],
        PORTFOLIO: [METRICS[key].written(value) for key, value in metrics.items()],
    }
    if name is not None:
        rows[name] = [METRICS[key].written(others[key]) if key in others else "" for key in metrics]
    return "\n".join([*lines, *frame_table(pl.DataFrame(rows))])
