"""The work of a backtest: from prices and signals, or weights, to equity and trades."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from definitions.contract import Input, Store
from definitions.markdown_table import frame_table
from definitions.work.commits import until_committed
from definitions.work.outcome import Outcome, rows_left
from definitions.work.portfolios.portfolio_settings import TRADES, BacktestConfig, DateRange
from research.errors import ResearchError
from research.frames.panels import carried, panel, panel_rows, value_column
from research.portfolios.backtest_metrics import METRICS, drawdown, performance, relative_performance, trading
from research.portfolios.portfolio_pictures import drawdown_picture, equity_picture, weights_picture
from research.portfolios.rebalancing import rebalance_dates
from research.portfolios.score_weights import Veto, selected_weights, weights_in_force
from research.portfolios.simulation import BacktestResult, benchmark_equity, run_backtest

if TYPE_CHECKING:
    import pandas as pd

PORTFOLIO, BENCHMARK = "portfolio", "benchmark"


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
    date_range: DateRange | None = None,
) -> Outcome:
    """Follow the weights of an optimizer, or those that signals lead to, and keep what came of it.

    Given are either `weights` (`date`, `entity`, `weight`), of which the newest at or before each day of decision
    are followed, or `primary`, and maybe `secondary`, signals, whose scores choose what is held (see
    `research.portfolios.score_weights.selected_weights`). Prices are the column `close`, or the only one; `volume`
    serves the square_root slippage. They may start before the range of dates, for volatilities, and signals too.

    `equity_store` then holds exactly `date`, `entity` ("portfolio", and "benchmark" where there is one), `equity`
    (in currency), `return_` (since the day before; null on the first), `drawdown` (a share, at most 0);
    `trades_store` exactly `date`, `entity`, `quantity`, `price`, `value` and `cost`. The outcome's version is that of
    the equity; its further version `trades` that of the trades. Metrics that are not defined, like the ratios of a
    portfolio that is all cash, are left out.
    Raises `ResearchError`; then nothing is written.
    """
    span = date_range or DateRange()
    closes = _upto_end(_closes(prices), span, prices.instance)
    decisions = _decisions(closes, config, span)
    targets = _targets(decisions, config, primary=primary, secondary=secondary, weights=weights, prices=closes)
    volumes = panel(prices.frame, "volume") if "volume" in prices.frame.columns else None
    result = run_backtest(closes, targets, initial_capital=config.initial_capital, costs=config.costs, volumes=volumes)
    reference = None if benchmark is None else benchmark_equity(_only(benchmark), result.equity)
    return _kept(equity_store, trades_store, result, reference, name=_name(benchmark), decided=len(targets))


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
    chosen = rebalance_dates(days, config.rebalance_frequency)
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
) -> "pd.DataFrame":
    """Return target weights by day of decision, from the first day on that has any."""
    if weights is not None:
        if primary is not None or secondary:
            raise ResearchError("a backtest follows weights or signals, not both: leave one of them out")
        return weights_in_force(panel(weights.frame, _weight_column(weights)), decisions)
    if primary is None:
        raise ResearchError("a backtest needs weights or a primary signal to follow: give it one of them")
    # What has a score but no price can't be bought.
    scores = _scores(primary)
    scores = scores.where(carried(prices).reindex(index=scores.index, columns=scores.columns).notna())
    vetoes = [Veto(_scores(each), each.neutral) for each in secondary]
    targets = selected_weights(scores, vetoes, decisions, config.selection)
    return targets.loc[targets.index >= scores.dropna(how="all").index[0]]


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


def _kept(
    equity_store: Store,
    trades_store: Store,
    result: BacktestResult,
    reference: "pd.Series[float] | None",
    *,
    name: str | None,
    decided: int,
) -> Outcome:
    """Write what came of it, and say what it was; the trades first, since a run's version is the equity's."""
    curves = {PORTFOLIO: result.equity} if reference is None else {PORTFOLIO: result.equity, BENCHMARK: reference}
    trades = until_committed(lambda: trades_store.write(result.trades, replace=True))
    equity = pl.concat(_rows(entity, curve) for entity, curve in curves.items())
    written = until_committed(lambda: equity_store.write(equity, replace=True))
    metrics = performance(result.equity) | trading(result.equity, result.turnover, result.costs)
    others: dict[str, float] = {}
    if reference is not None:
        metrics |= relative_performance(result.equity, reference)
        others = performance(reference)
    return replace(
        rows_left(written),
        metrics={key: value for key, value in metrics.items() if value == value},
        further_versions={TRADES: trades.version},
        summary=_summary(result, metrics, others, name=name, decided=decided),
        pictures=(
            equity_picture(result.equity, reference, name=name),
            drawdown_picture(result.equity, reference, name=name),
            weights_picture(result.weights),
        ),
    )


def _rows(entity: str, curve: "pd.Series[float]") -> pl.DataFrame:
    """Return a curve as rows of the equity dataset."""
    import pandas as pd

    wide = pd.DataFrame({entity: curve})
    frame = panel_rows(wide, "equity")
    frame = frame.join(panel_rows(wide.pct_change(), "return_"), on=["date", "entity"], how="left")
    return frame.join(panel_rows(pd.DataFrame({entity: drawdown(curve)}), "drawdown"), on=["date", "entity"])


def _summary(
    result: BacktestResult, metrics: Mapping[str, float], others: Mapping[str, float], *, name: str | None, decided: int
) -> str:
    first, last = result.equity.index[0], result.equity.index[-1]
    start, end = result.equity.iloc[0], result.equity.iloc[-1]
    lines = [
        f"{start:,.0f} became **{end:,.0f}** from {first:%Y-%m-%d} to {last:%Y-%m-%d}: {decided:,} decisions, "
        f"{result.trades.height:,} trades, which cost {float(result.trades['cost'].sum()):,.0f}.",
        "",
    ]
    if result.trades.is_empty():
        lines += ["**Nothing was ever held**: all weights to follow are 0, or were decided at the last close.", ""]
    rows = {"": [METRICS[key].label for key in metrics], PORTFOLIO: [METRICS[k].written(v) for k, v in metrics.items()]}
    if name is not None:
        rows[name] = [METRICS[key].written(others[key]) if key in others else "" for key in metrics]
    return "\n".join([*lines, *frame_table(pl.DataFrame(rows))])
