import datetime as dt
from typing import Any

import polars as pl
import pytest

from definitions.contract import ExtractRequest, Input, Kind, Role
from definitions.errors import InvalidConfig, SourceError, UnknownVersion
from definitions.registry import default_registry
from research.expressions.parser import Expression, parse
from tests.definitions.resources import make, resources


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
        "the config does not fit pipeline expression@2: config.expression: in the expression, at column 17:\n"
        "  RANK(REF(close, -1))\n"
        "                  ^^\n"
        "n of REF(x, n) is negative: that would look ahead, at what was not known yet"
    )
    with pytest.raises(InvalidConfig, match="'date' is a key of the rows: choose another name for the value"):
        definition.parse({"expression": "close", "value_column": "date"})


def test_an_expression_is_parsed_once_for_all_that_asks_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def counted(text: str, *language: Any) -> Expression:
        parsed.append(text)
        return parse(text, *language)

    monkeypatch.setattr("definitions.pipelines.expression.parse", counted)
    definition = default_registry().get(Kind.PIPELINE, "expression")
    parameters = definition.parse({"expression": " RANK(\n  close)"})
    assert definition.uses(parameters) == ("operator RANK@1",)
    pipeline = definition.factory(parameters, resources())
    assert pipeline.extract(ExtractRequest(inputs=(Input("prices", "input", PRICES),))).height == 2
    assert parsed == [" RANK(\n  close)"]
    # As the config has it: its hash, which decides on staleness, is made of that.
    assert parameters.model_dump(mode="json")["expression"] == " RANK(\n  close)"


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


MOM = {"parameters": ["x", "n"], "expression": "x / REF(x, n) - 1"}


def test_a_config_brings_macros() -> None:
    config = {"expression": "MOM(close, 1)", "macros": {"MOM": MOM}}

    assert compute(config, prices=PRICES).rows() == [(day(2), "A", 1.0)]


def test_macros_of_packages_and_of_the_config_call_each_other() -> None:
    config = {
        "expression": "DOUBLE(close)",
        "macros": {"DOUBLE": {"parameters": ["x"], "expression": "2 * RETURN(x, 1)"}},
    }

    assert compute(config, prices=PRICES).rows() == [(day(2), "A", 2.0)]


@pytest.mark.parametrize(
    ("macros", "problem"),
    [
        (
            {"MOM": {"parameters": ["x", "n"], "expression": "REF(x, -n)"}},
            "config.macros: in the macro MOM(x, n), at column 8:\n"
            "  REF(x, -n)\n"
            "         ^^\n"
            "n of REF(x, n) is negative: that would look ahead, at what was not known yet",
        ),
        (
            {"A": {"parameters": ["x"], "expression": "B(x)"}, "B": {"parameters": ["x"], "expression": "1 + A(x)"}},
            "config.macros: in the macro B(x), at column 5:\n"
            "  1 + A(x)\n"
            "      ^^^^\n"
            "macro A calls itself (A -> B -> A), so it never ends: write out what it stands for\n"
            "The macro is called in the macro A(x), at column 1.",
        ),
        ({"MEAN": MOM}, "config.macros: macro MEAN has the name of an operator: choose another name"),
        (
            {"MOMENTUM": MOM},
            "config.macros: there are two macros MOMENTUM: MOMENTUM(x, n, skip) and MOMENTUM(x, n); "
            "choose another name for one of them",
        ),
        ({"mom": MOM}, "config.macros: 'mom' can't name a macro: use upper-case letters, digits and underscores"),
    ],
)
def test_bad_macros_are_refused_when_saved(macros: dict[str, Any], problem: str) -> None:
    definition = default_registry().get(Kind.PIPELINE, "expression")

    with pytest.raises(InvalidConfig) as caught:
        definition.parse({"expression": "close", "macros": macros})

    assert str(caught.value).startswith(f"the config does not fit pipeline expression@2: {problem}")
    assert "config.expression" not in str(caught.value)


def uses(config: dict[str, Any]) -> tuple[str, ...]:
    definition = default_registry().get(Kind.PIPELINE, "expression")
    return definition.uses(definition.parse(config))


def test_what_an_expression_uses_counts_in_its_hash() -> None:
    config = {
        "expression": "RANK(MINE(close))",
        "macros": {"MINE": {"parameters": ["x"], "expression": "MOMENTUM(MEAN(x, 5), 252, 21)"}},
    }

    assert uses(config) == (
        "macro MOMENTUM@1: MOMENTUM(x, n, skip) = REF(x, skip) / REF(x, n) - 1",
        "operator MEAN@1",
        "operator RANK@1",
        "operator REF@1",
    )
    assert uses({"expression": "close / 2"}) == ()


def test_an_instance_pinned_to_the_version_of_before_is_told_which_there_are() -> None:
    with pytest.raises(UnknownVersion) as caught:
        default_registry().get(Kind.PIPELINE, "expression", 1)

    assert str(caught.value) == (
        "pipeline definition 'expression' has no version 1; there are: 2. "
        "Pin one of those, or leave definition_version out for the newest."
    )


def test_what_databases_have_under_its_version_has_not_changed() -> None:
    definition = default_registry().get(Kind.PIPELINE, "expression", 2)

    assert definition.content_hash == "158e2c180b909fd4f8e4d30bb2e4b1b2df1f4af42b314970e1cf98dc2d43e02e"


def test_a_column_of_text_groups() -> None:
    sectors = pl.DataFrame({"date": [day(1)] * 3, "entity": ["A", "B", "C"], "sector": ["x", "x", "y"]})
    closes = pl.DataFrame({"date": [day(1)] * 3, "entity": ["A", "B", "C"], "close": [1.0, 3.0, 5.0]})
    config = {"expression": "NEUTRALIZE(prices_close, sectors_sector)", "drop_nulls": False}

    assert compute(config, prices=closes, sectors=sectors)["value"].to_list() == [-1.0, 1.0, 0.0]
    missing = make(Kind.PIPELINE, "expression", config).extract(
        ExtractRequest(inputs=(Input("prices", "input", closes),), missing=("sectors",))
    )
    assert missing["value"].to_list() == [None, None, None]
