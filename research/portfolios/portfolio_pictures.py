"""Pictures of portfolios: equity, drawdown, and weights over time."""

from typing import TYPE_CHECKING, Any

from research.frames.pictures import Picture, drawn, over_time
from research.portfolios.backtest_metrics import drawdown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PORTFOLIO, BENCHMARK = "#1f5fa8", "#8a8f98"
SHOWN = 12  # entities with a colour of their own; the others share one
OTHERS = "#c9cdd4"
STRONG_THEN_PALE = [place for start in (0, 1) for place in range(start, 20, 2) if place not in (14, 15)]  # no greys
DAYS = 600  # more are not seen in a picture


def equity_picture(equity: "pd.Series[float]", benchmark: "pd.Series[float] | None", *, name: str | None) -> Picture:
    """Draw the growth of 1 in the portfolio and in its benchmark, on a logarithmic axis."""
    figure, axes = over_time()
    axes.plot(equity.index, equity / equity.iloc[0], color=PORTFOLIO, linewidth=1.4, label="portfolio")
    if benchmark is not None:
        growth = benchmark / benchmark.iloc[0]
        axes.plot(growth.index, growth, color=BENCHMARK, linewidth=1.2, label=name or "benchmark")
    _logarithmic(axes)
    axes.set_ylabel("growth of 1 (log)")
    _legend_above(axes)
    return drawn("Equity", figure)


def drawdown_picture(equity: "pd.Series[float]", benchmark: "pd.Series[float] | None", *, name: str | None) -> Picture:
    """Draw how far the portfolio and its benchmark lay below their highest value so far."""
    figure, axes = over_time(height=2.6)
    depths = drawdown(equity)
    axes.fill_between(depths.index, depths, 0, color=PORTFOLIO, alpha=0.35, linewidth=0, label="portfolio")
    axes.plot(depths.index, depths, color=PORTFOLIO, linewidth=0.8)
    if benchmark is not None:
        others = drawdown(benchmark)
        axes.plot(others.index, others, color=BENCHMARK, linewidth=1.0, label=name or "benchmark")
    axes.set_ylim(top=0)
    _percent(axes)
    axes.set_ylabel("drawdown")
    _legend_above(axes)
    return drawn("Drawdown", figure)


def weights_picture(weights: "pd.DataFrame") -> Picture:
    """Draw weights over time, stacked: longs above zero, shorts below; each row holds until the next one.

    The entities with the greatest mean absolute weights have colours of their own.
    """
    from matplotlib import colormaps

    shown = _condensed(weights)
    means = shown.abs().mean()
    ranked = means[means > 0].sort_values(ascending=False, kind="stable").index
    groups = {str(name): [name] for name in ranked[:SHOWN]}
    if len(ranked) > SHOWN:
        groups[f"{len(ranked) - SHOWN} others"] = list(ranked[SHOWN:])
    colours = [*(colormaps["tab20"](place) for place in STRONG_THEN_PALE), OTHERS]
    colours = [*colours[: min(len(ranked), SHOWN)], OTHERS]
    figure, axes = over_time(height=3.8)
    if groups:
        longs = [shown[names].clip(lower=0).sum(axis=1).to_numpy() for names in groups.values()]
        shorts = [shown[names].clip(upper=0).sum(axis=1).to_numpy() for names in groups.values()]
        style: Any = {"step": "post", "linewidth": 0, "colors": colours, "antialiased": False}
        axes.stackplot(shown.index, *longs, labels=list(groups), **style)
        axes.stackplot(shown.index, *shorts, **style)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=8)
    axes.axhline(0, color="#444444", linewidth=0.8)
    axes.set_xlim(shown.index[0], shown.index[-1])
    _percent(axes)
    axes.set_ylabel("weight")
    return drawn("Weights", figure)


def _condensed(weights: "pd.DataFrame") -> "pd.DataFrame":
    step = -(-len(weights) // DAYS)
    shown = weights.iloc[::step]
    # A single row has no width: it is drawn as if it held for a day.
    return shown if len(shown) > 1 else shown.reindex([*shown.index, shown.index[0] + _day()], method="ffill")


def _day() -> "pd.Timedelta":
    import pandas as pd

    return pd.Timedelta(days=1)


def _logarithmic(axes: "Axes") -> None:
    """Make the vertical axis logarithmic, with plain labels, of which 1 is one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    few = high / low < 5  # 1, 2 and 5 of each power of ten would be two labels or one
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]) if few else LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _legend_above(axes: "Axes") -> None:
    """Put the legend where it can't cover a line."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=2, frameon=False, fontsize=9)


def _percent(axes: "Axes") -> None:
    from matplotlib.ticker import PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
