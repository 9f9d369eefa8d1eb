"""Closed positions: what each holding brought, from the trade that opened it to the one that closed it."""

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

_FLAT = 1e-9  # of what was ever held of it: less is nothing


@dataclass(frozen=True)
class ClosedPosition:
    """A position in one entity, long or short, from nothing to nothing.

    `invested` is the value of the trades that built it up, `profit` what came of all its trades after their costs,
    both in currency.
    """

    entity: str
    opened: dt.date
    closed: dt.date
    invested: float
    profit: float


def closed_positions(trades: pl.DataFrame) -> dict[str, float]:
    """Return what is said of trades: `date`, `entity`, `quantity`, `price`, `value` and `cost`, as a backtest leaves.

    A position is open from the trade that makes it of nothing until the one that leaves nothing of it, or turns it
    round, which closes it and opens the next. What is still open at the end does not count. NaN where there is none:
    - num_trades: how many trades, each rebalance of an entity being one; closed_positions: how many of these.
    - win_rate: closed positions with a profit above 0, as a share of all.
    - profit_factor: the sum of the profits above 0 over that of the losses; NaN without a loss.
    - avg_trade_return: the mean of profit / invested.
    - avg_holding_period: the mean of the calendar days from the opening to the closing trade.
    Win rate and profit factor as in R. Pardo, "The Evaluation and Optimization of Trading Strategies" (2008).
    """
    closed = list(positions(trades))
    count = len(closed)
    won = [each.profit for each in closed if each.profit > 0]
    lost = -sum(each.profit for each in closed if each.profit < 0)
    return {
        "num_trades": float(trades.height),
        "closed_positions": float(count),
        "win_rate": len(won) / count if count else math.nan,
        "profit_factor": sum(won) / lost if lost > 0 else math.nan,
        "avg_trade_return": sum(each.profit / each.invested for each in closed) / count if count else math.nan,
        "avg_holding_period": sum((each.closed - each.opened).days for each in closed) / count if count else math.nan,
    }


def positions(trades: pl.DataFrame) -> Iterator[ClosedPosition]:
    """Yield the closed positions, entity by entity, in the order of their closing."""
    for (entity,), rows in trades.sort("entity", "date").group_by("entity", maintain_order=True):
        open_position = None
        for date, quantity, price, cost in rows.select("date", "quantity", "price", "cost").iter_rows():
            left, fee = quantity, cost / abs(quantity)
            if open_position is not None and quantity * open_position.held < 0:
                taken = math.copysign(min(abs(quantity), abs(open_position.held)), quantity)
                open_position.trade(taken, price, fee * abs(taken))
                left = quantity - taken
                if open_position.is_flat:
                    yield open_position.as_closed(str(entity), date)
                    open_position = None
                    if abs(left) <= _FLAT * abs(quantity):
                        continue
            if left:
                open_position = open_position or _OpenPosition(date)
                open_position.trade(left, price, fee * abs(left))


@dataclass
class _OpenPosition:
    opened: dt.date
    held: float = 0.0
    most: float = 0.0
    invested: float = 0.0
    profit: float = 0.0  # in cash, until it is closed

    def trade(self, quantity: float, price: float, cost: float) -> None:
        if quantity * self.held >= 0:
            self.invested += abs(quantity) * price
        self.held += quantity
        self.most = max(self.most, abs(self.held))
        self.profit -= quantity * price + cost

    @property
    def is_flat(self) -> bool:
        return abs(self.held) <= _FLAT * self.most

    def as_closed(self, entity: str, date: dt.date) -> ClosedPosition:
        return ClosedPosition(entity, self.opened, date, self.invested, self.profit)
