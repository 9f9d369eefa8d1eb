"""What closed positions brought, each by hand."""

import datetime as dt
import math

import polars as pl
import pytest

from research.portfolios.closed_positions import closed_positions, positions
from research.portfolios.simulation import TRADES


def trades(*rows: tuple[int, str, float, float, float]) -> pl.DataFrame:
    """Return trades of (day, entity, quantity, price, cost)."""
    return pl.DataFrame(
        [
            (dt.date(2024, 1, day), name, quantity, price, quantity * price, cost)
            for day, name, quantity, price, cost in rows
        ],
        schema=TRADES,
        orient="row",
    )


def test_a_position_that_is_built_up_and_sold() -> None:
    (found,) = positions(trades((1, "A", 10, 10, 1), (3, "A", 10, 20, 2), (5, "A", -5, 30, 1), (11, "A", -15, 10, 1)))
    assert (found.entity, found.opened, found.closed) == ("A", dt.date(2024, 1, 1), dt.date(2024, 1, 11))
    assert found.invested == pytest.approx(10 * 10 + 10 * 20)
    assert found.profit == pytest.approx(-100 - 200 + 150 + 150 - 5)


def test_a_position_that_is_turned_round_is_closed_and_another_opened() -> None:
    found = list(positions(trades((1, "A", 10, 10, 0), (2, "A", -30, 12, 3), (4, "A", 20, 9, 2))))
    assert [each.invested for each in found] == pytest.approx([100, 240])
    # A third of the costs of the trade that turns it is of the first one.
    assert [each.profit for each in found] == pytest.approx([20 - 1, 60 - 2 - 2])


def test_the_numbers_of_several() -> None:
    found = closed_positions(
        trades(
            *((1, "A", 10, 10, 0), (3, "A", -10, 12, 0)),  # 20 of 100 in 2 days
            *((1, "B", -5, 20, 0), (5, "B", 5, 22, 0)),  # -10 of 100 in 4 days, short
            *((2, "C", 1, 50, 0), (8, "C", -1, 55, 0)),  # 5 of 50 in 6 days
            (9, "D", 1, 50, 0),  # still open
        )
    )
    assert found == pytest.approx(
        {
            "num_trades": 7,
            "closed_positions": 3,
            "win_rate": 2 / 3,
            "profit_factor": 2.5,
            "avg_trade_return": (0.2 - 0.1 + 0.1) / 3,
            "avg_holding_period": 4,
        }
    )


def test_rounding_leaves_nothing_open() -> None:
    (found,) = positions(trades((1, "A", 0.1, 10, 0), (2, "A", 0.2, 10, 0), (3, "A", -0.3, 11, 0)))
    assert found.profit == pytest.approx(0.3)


def test_without_a_closed_position_nothing_is_said_of_them() -> None:
    found = closed_positions(trades((1, "A", 10, 10, 0)))
    assert (found["num_trades"], found["closed_positions"]) == (1, 0)
    assert all(math.isnan(found[name]) for name in ("win_rate", "profit_factor", "avg_trade_return"))
