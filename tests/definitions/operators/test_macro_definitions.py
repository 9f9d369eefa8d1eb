"""Macros as definitions, and the built-in ones against the same computation by hand."""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

from definitions.contract import Kind
from definitions.errors import DefinitionConflict
from definitions.operators.macro_definitions import MACROS, macro_definition, macro_table
from definitions.operators.operator_definitions import operator_definition, operator_table
from definitions.registry import Registry, default_registry
from research.expressions.evaluation import evaluate
from research.expressions.macros import Macro, MacroError
from research.expressions.operators import OPERATORS, Axis, Form, Operator, Series
from research.expressions.parser import check_macro, parse

PLUS = Macro("PLUS", ("x",), "x + 1")


def values(text: str, x: list[float]) -> list[float | None]:
    days = [dt.date(2024, 1, 1) + dt.timedelta(n) for n in range(len(x))]
    frame = pl.DataFrame({"date": days, "entity": ["A"] * len(x), "x": x})
    registry = default_registry()
    return evaluate(parse(text, operator_table(registry), macro_table(registry)), frame)["value"].to_list()


def test_the_registry_has_the_built_in_macros() -> None:
    assert macro_table(default_registry()) == {macro.name: macro for macro in MACROS}
    for macro in MACROS:
        check_macro(macro, operator_table(default_registry()), macro_table(default_registry()))


def test_returns_and_momentum() -> None:
    assert values("RETURN(x, 2)", [2.0, 3.0, 5.0, 6.0]) == [None, None, 1.5, 1.0]
    assert values("MOMENTUM(x, 3, 1)", [2.0, 3.0, 5.0, 9.0]) == [None, None, None, 1.5]


def test_drawdown_is_below_the_greatest_of_the_window() -> None:
    assert values("DRAWDOWN(x, 3)", [8.0, 4.0, 2.0, 5.0, 6.0]) == [None, None, -0.75, 0.0, 0.0]


def test_volatility_is_per_year() -> None:
    x = [100.0, 110.0, 99.0, 121.0]
    returns = np.diff(np.log(x))

    found = values("VOLATILITY(x, 3)", x)

    assert found[:3] == [None, None, None]
    assert found[3] == pytest.approx(returns.std(ddof=1) * math.sqrt(252))


def test_rsi_is_the_share_of_rises() -> None:
    assert values("RSI(x, 3)", [1.0, 2.0, 1.5, 3.0]) == [None, None, None, pytest.approx(100 * 2.5 / 3.0)]
    assert values("RSI(x, 2)", [1.0, 1.0, 1.0]) == [None, None, None]


def test_a_macro_comes_with_its_expression() -> None:
    definition = macro_definition(Macro("PLUS", ("x",), "x +\n 1", "One more."), version=3)

    assert definition.ref == "macro PLUS@3"
    assert definition.summary == "PLUS(x) = x +  1. One more."


def test_the_newest_version_of_a_macro_is_called() -> None:
    newer = Macro("PLUS", ("x",), "x + 2")

    assert macro_table(Registry([macro_definition(newer, version=2), macro_definition(PLUS)])) == {"PLUS": newer}


def test_two_packages_can_not_bring_different_macros_or_operators_under_one_version() -> None:
    Registry([macro_definition(PLUS), macro_definition(Macro("PLUS", ("x",), "x + 1"))])
    with pytest.raises(DefinitionConflict, match="macro PLUS@1 has changed under the same version"):
        Registry([macro_definition(PLUS), macro_definition(Macro("PLUS", ("x",), "x + 2"))])
    other = Operator("EWMA", "Of another package.", (Form((Series("x"),), Axis.DATE, lambda x: x),))
    with pytest.raises(DefinitionConflict, match="operator EWMA@1 has changed under the same version"):
        Registry([operator_definition(OPERATORS["EWMA"]), operator_definition(other)])


def test_a_macro_can_not_have_the_name_of_an_operator() -> None:
    operator = Operator("PLUS", "", (Form((Series("x"),), Axis.ROW, lambda x: x + 1),))

    with pytest.raises(MacroError, match="macro PLUS has the name of an operator: choose another name"):
        macro_table(Registry([macro_definition(PLUS), operator_definition(operator)]))


def test_macros_have_no_flows() -> None:
    assert {d.flows for d in default_registry().newest(Kind.MACRO)} == {()}
