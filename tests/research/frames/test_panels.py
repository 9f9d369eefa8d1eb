import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from research.errors import ResearchError
from research.frames.panels import carried, panel, panel_rows, value_column

DAYS = [dt.date(2024, 1, 3), dt.date(2024, 1, 2)]


def test_a_panel_is_sorted_and_has_one_missing_value() -> None:
    frame = pl.DataFrame({"date": [*DAYS, DAYS[0]], "entity": ["b", "b", "a"], "close": [1, 2, None], "volume": 5})

    wide = panel(frame, "close")

    assert list(wide.columns) == ["a", "b"]
    assert wide.index.strftime("%Y-%m-%d").to_list() == ["2024-01-02", "2024-01-03"]
    np.testing.assert_array_equal(wide, [[np.nan, 2.0], [np.nan, 1.0]])
    assert np.isnan(panel(frame.with_columns(close=pl.lit(float("inf"))), "close").at["2024-01-03", "a"])


def test_long_form_is_the_way_back() -> None:
    frame = pl.DataFrame({"date": [*DAYS[::-1], DAYS[0]], "entity": ["b", "a", "b"], "close": [2.0, 3.0, 1.0]})

    assert panel_rows(panel(frame, "close"), "close").equals(frame)


def test_the_only_value_column_needs_no_name() -> None:
    frame = pl.DataFrame({"date": DAYS, "entity": "a", "knowledge_date": DAYS, "score": 1.0})

    assert value_column(frame, "value", what="the signal") == "score"
    assert value_column(frame.with_columns(value=2.0), "value", what="the signal") == "value"
    with pytest.raises(ResearchError, match="the signal has no column 'value' among its values: score, other"):
        value_column(frame.with_columns(other=2.0), "value", what="the signal")


def test_gaps_of_five_rows_are_carried_over() -> None:
    prices = pd.DataFrame({"a": [1.0, *[np.nan] * 6, 2.0]})

    assert carried(prices)["a"].tolist()[:6] == [1.0] * 6
    assert np.isnan(carried(prices)["a"][6])
