import datetime as dt
from typing import Any

import polars as pl
import pytest

from definitions.contract import ExtractRequest, Input, Kind, Role
from definitions.errors import InvalidConfig, SourceError
from definitions.registry import default_registry
from tests.definitions.resources import make


def day(n: int) -> dt.date:
    return dt.date(2024, 1, n)


PRICES = pl.DataFrame({"date": [day(1), day(2)], "entity": ["A", "A"], "close": [10.0, 20.0]})
SHARES = pl.DataFrame({"date": [day(2), day(3)], "entity": ["A", "A"], "count": [3.0, 4.0]})


def compute(config: dict[str, Any], **frames: pl.DataFrame) -> pl.DataFrame:
    inputs = tuple(Input(name.replace("_", "-"), "input", frame) for name, frame in frames.items())
    rows: pl.DataFrame = make(Kind.PIPELINE, "expression", config).extract(ExtractRequest(inputs=inputs))
    return rows


def test_the_columns_of_one_input_keep_their_names() -> None:
    rows = compute({"expression": "DELTA(close, 1)", "value_column": "change"}, prices=PRICES)

    assert rows.columns == ["date", "entity", "change"]
    assert rows.rows() == [(day(2), "A", 10.0)]


def test_rows_without_a_value_are_kept_if_asked() -> None:
    rows = compute({"expression": "DELTA(close, 1)", "drop_nulls": False}, prices=PRICES)

    assert rows.rows() == [(day(1), "A", None), (day(2), "A", 10.0)]


def test_the_columns_of_several_inputs_begin_with_the_instance() -> None:
    config = {"expression": "prices_us_close * _2_shares_count", "drop_nulls": False}

    rows = compute(config, prices_us=PRICES, **{"2-shares": SHARES})

    assert rows.rows() == [(day(1), "A", None), (day(2), "A", 60.0), (day(3), "A", None)]


def test_a_knowledge_date_is_no_value() -> None:
    rows = compute({"expression": "close"}, prices=PRICES.with_columns(knowledge_date=pl.lit(day(9))))

    assert rows.columns == ["date", "entity", "value"]


def test_a_bad_expression_is_refused_when_saved() -> None:
    definition = default_registry().get(Kind.PIPELINE, "expression")

    with pytest.raises(InvalidConfig) as caught:
        definition.parse({"expression": "RANK(REF(close, -1))"})

    assert str(caught.value) == (
        "the config does not fit pipeline expression@1: config.expression: in the expression, at column 17:\n"
        "  RANK(REF(close, -1))\n"
        "                  ^^\n"
        "n of REF(x, n) is negative: that would look ahead, at what was not known yet"
    )
    with pytest.raises(InvalidConfig, match="'date' is a key of the rows: choose another name for the value"):
        definition.parse({"expression": "close", "value_column": "date"})


def test_an_unknown_column_is_shown_in_the_run() -> None:
    with pytest.raises(SourceError) as caught:
        compute({"expression": "RANK(closing)"}, prices=PRICES)

    assert str(caught.value) == (
        "in the expression, at column 6:\n"
        "  RANK(closing)\n"
        "       ^^^^^^^\n"
        "there is no column 'closing'. Did you mean 'close'? The columns are: close."
    )


def test_inputs_that_can_not_be_joined() -> None:
    with pytest.raises(SourceError, match="the expression has no input: name one in upstream_refs"):
        compute({"expression": "close"})
    twice = ExtractRequest(inputs=(Input("prices", "input", PRICES), Input("prices", "input", PRICES)))
    with pytest.raises(SourceError, match="input 'prices' brings the column 'prices_close', which another input has"):
        make(Kind.PIPELINE, "expression", {"expression": "prices_close"}).extract(twice)
    with pytest.raises(SourceError, match="input 'prices': 1 key more than once"):
        compute({"expression": "close"}, prices=pl.concat([PRICES, PRICES.head(1)]))


def test_it_needs_inputs_and_takes_many() -> None:
    pipeline = make(Kind.PIPELINE, "expression", {"expression": "close"})

    pipeline.check()

    assert default_registry().get(Kind.PIPELINE, "expression").roles == (Role("input", required=True, many=True),)


def test_an_input_that_left_nothing_yet_gives_no_values_and_changes_no_names() -> None:
    pipeline = make(Kind.PIPELINE, "expression", {"expression": "prices_close + 0 * extra_close", "drop_nulls": False})
    inputs = (Input("prices", "input", PRICES),)

    rows = pipeline.extract(ExtractRequest(inputs=inputs, missing=("extra",)))

    assert rows.rows() == [(day(1), "A", None), (day(2), "A", None)]
    with pytest.raises(SourceError, match="there is no column 'extra_close'"):
        pipeline.extract(ExtractRequest(inputs=inputs, missing=("other",)))
