"""What holds for every operator: nothing looks ahead, windows are whole, equal values leave no rounding noise."""

import datetime as dt
from collections.abc import Iterable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.expressions.evaluation import evaluate
from research.expressions.operators import OPERATORS, Axis, Form, Group, Literal, Operator, Parameter, Series, Window
from research.expressions.operators.doubling import covariance, linear_decay, rows_since_maximum
from research.expressions.parser import ExpressionError, parse
from tests.properties import examples

ENTITIES = ("A", "B", "C", "D")
DAYS = 12
FORMS = [(operator, form) for operator in OPERATORS.values() for form in operator.forms]
ENTITY_FORMS = [(operator, form) for operator, form in FORMS if form.axis is Axis.ENTITY]
WINDOWED = [(operator, form) for operator, form in ENTITY_FORMS if operator.name not in ("REF", "DELTA")]


def name_of(part: Operator | Form) -> str:
    return part.name if isinstance(part, Operator) else str(len(part.parameters))


def text_of(operator: Operator, form: Form, *, n: int) -> str:
    """Return a call of the form."""
    columns = iter("xyz")

    def argument(parameter: Parameter) -> str:
        match parameter:
            case Series():
                return next(columns)
            case Window():
                return str(n)
            case Literal():
                return "0.25"
            case Group():
                return "sector"

    return f"{operator.name}({', '.join(map(argument, form.parameters))})"


def frame(x: Iterable[float | None], y: Iterable[float | None], z: Iterable[float | None]) -> pl.DataFrame:
    """Return rows of four entities in two sectors, a block of days for each, from the values in that order."""
    dates = [dt.date(2024, 1, 1) + dt.timedelta(day) for day in range(DAYS)]
    return pl.DataFrame(
        {
            "date": dates * len(ENTITIES),
            "entity": [entity for entity in ENTITIES for _ in dates],
            "sector": [sector for sector in ("tech", "tech", "oil", None) for _ in dates],
            "x": pl.Series(x, dtype=pl.Float64),
            "y": pl.Series(y, dtype=pl.Float64),
            "z": pl.Series(z, dtype=pl.Float64),
        }
    )


def values(operator: Operator, form: Form, rows: pl.DataFrame, *, n: int = 4) -> pl.DataFrame:
    return evaluate(parse(text_of(operator, form, n=n), OPERATORS), rows)


SIZE = len(ENTITIES) * DAYS


def random_frame(seed: int) -> pl.DataFrame:
    """Return values of several magnitudes with ties and holes; quicker than hypothesis draws them."""
    rng = np.random.default_rng(seed)
    values = rng.choice([0.0, 0.1, 1.0, np.nan], size=(3, SIZE), p=[0.2, 0.4, 0.3, 0.1])
    wild = rng.random((3, SIZE)) < rng.random()
    values[wild] = rng.normal(size=wild.sum()) * 10.0 ** rng.integers(-6, 7, size=wild.sum())
    return frame(*(pl.Series(row, nan_to_null=True) for row in values))


frames = st.builds(random_frame, st.integers(0, 2**32))


@pytest.mark.parametrize(("operator", "form"), FORMS, ids=name_of)
@examples(40)
@given(known=frames, later=frames, day=st.integers(0, DAYS - 1))
def test_nothing_looks_ahead(
    operator: Operator, form: Form, known: pl.DataFrame, later: pl.DataFrame, day: int
) -> None:
    until = pl.col("date") <= dt.date(2024, 1, 1) + dt.timedelta(day)
    other = pl.concat([known.filter(until), later.filter(~until).with_columns(sector=pl.lit("new"))])

    assert values(operator, form, known).filter(until).equals(values(operator, form, other).filter(until))


@pytest.mark.parametrize(("operator", "form"), ENTITY_FORMS, ids=name_of)
@examples(40)
@given(known=frames, others=frames)
def test_entities_do_not_see_each_other(
    operator: Operator, form: Form, known: pl.DataFrame, others: pl.DataFrame
) -> None:
    this = pl.col("entity") == "B"
    mixed = pl.concat([known.filter(this), others.filter(~this)])

    assert values(operator, form, known).filter(this).equals(values(operator, form, mixed).filter(this))


@pytest.mark.parametrize("column", ["x", "y"])
@pytest.mark.parametrize(("operator", "form"), WINDOWED, ids=name_of)
def test_a_window_is_null_until_full_and_where_a_value_is_missing(operator: Operator, form: Form, column: str) -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=SIZE), rng.normal(size=SIZE)
    (x if column == "x" else y)[6] = np.nan

    found = values(operator, form, frame(x, y, x)).filter(entity="A")["value"].is_null().to_list()

    hit = column == "x" or any(parameter.name == "y" for parameter in form.parameters)
    assert found == [day < 3 or (hit and 6 <= day < 10) for day in range(DAYS)]


@pytest.mark.parametrize(("operator", "form"), WINDOWED, ids=name_of)
def test_a_window_longer_than_the_history_has_no_value(operator: Operator, form: Form) -> None:
    rows = frame(range(SIZE), range(SIZE), range(SIZE))

    assert values(operator, form, rows, n=DAYS + 1)["value"].null_count() == SIZE
    assert values(operator, form, rows, n=2**31 - 1)["value"].null_count() == SIZE
    assert values(operator, form, rows, n=DAYS)["value"].null_count() == SIZE - len(ENTITIES)


OF_EQUAL_VALUES = {
    "COV(x, y, 3)": 0.0,
    "COV(y, x, 3)": 0.0,
    "CORR(x, y, 3)": None,
    "CORR(y, x, 3)": None,
    "BETA(x, y, 3)": 0.0,
    "BETA(y, x, 3)": None,
    "SKEW(x, 3)": None,
    "KURT(x, 4)": None,
    "STD(x, 3)": 0.0,
    "ZSCORE(x, 3)": None,
    "TS_RANK(x, 3)": 0.5,
    "TS_ARGMAX(x, 3)": 0.0,
    "TS_ARGMIN(x, 3)": 0.0,
    "QUANTILE(x, 3, 0.37)": 0.1,
    "DECAY_LINEAR(x, 3)": 0.1,
    "NEUTRALIZE(x, sector)": 0.0,
    "SCALE(x - 0.1)": None,
    "WINSORIZE(x, 0.21)": 0.1,
    "IF(x == 0.1, x, 0)": 0.1,
}


@pytest.mark.parametrize("text", OF_EQUAL_VALUES)
def test_equal_values_leave_no_rounding_noise_whatever_came_before(text: str) -> None:
    x = [1e9, -3.7, *[0.1] * (DAYS - 2)] * len(ENTITIES)
    y = np.random.default_rng(7).normal(size=SIZE)

    found = evaluate(parse(text, OPERATORS), frame(x, y, y)).filter(pl.col("entity") != "D")

    assert found.filter(pl.col("date") >= dt.date(2024, 1, 6))["value"].unique().to_list() == [OF_EQUAL_VALUES[text]]


def test_what_has_left_a_window_leaves_no_trace() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=SIZE), rng.normal(size=SIZE)
    x[0], y[1] = 1e12, -1e12
    calm = frame(np.where(abs(x) > 1e9, 0.0, x), np.where(abs(y) > 1e9, 0.0, y), x)
    for text in ("CORR(x, y, 4)", "COV(x, y, 4)", "BETA(x, y, 4)", "SKEW(x, 4)", "KURT(x, 4)"):
        expression = parse(text, OPERATORS)
        late = pl.col("date") >= dt.date(2024, 1, 7)
        found, expected = (evaluate(expression, rows).filter(late)["value"] for rows in (frame(x, y, x), calm))
        np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_what_is_too_large_to_compute_with_is_missing_without_a_warning() -> None:
    rows = frame([1e308, -1e308] * (SIZE // 2), [1e308, 1.0] * (SIZE // 2), range(SIZE))

    for text in ("COV(x, y, 4)", "CORR(x, y, 4)", "BETA(y, x, 4)", "DECAY_LINEAR(x, 4)"):
        assert evaluate(parse(text, OPERATORS), rows)["value"].null_count() == SIZE


def test_a_correlation_is_never_beyond_one() -> None:
    x = np.random.default_rng(7).normal(size=SIZE) * 1e-3 + 1e3

    found = evaluate(parse("CORR(x, 3 * x, 2)", OPERATORS), frame(x, x, x))["value"].drop_nulls()

    assert found.max() == 1.0
    assert found.min() == pytest.approx(1.0)


@given(values=st.lists(st.one_of(st.just(np.nan), st.floats(-100, 100)), min_size=1, max_size=40), n=st.integers(2, 45))
def test_doubling_equals_one_window_after_another(values: list[float], n: int) -> None:
    x = np.array(values)
    y = np.cos(x)
    cov, ago, decayed = covariance(x, y, n), rows_since_maximum(x, n), linear_decay(x, n)
    for row in range(len(x)):
        window = slice(row - n + 1, row + 1)
        if row < n - 1 or np.isnan(x[window]).any():
            assert np.isnan([cov[row], ago[row], decayed[row]]).all()
            continue
        assert cov[row] == pytest.approx(np.cov(x[window], y[window])[0, 1], rel=1e-9, abs=1e-9)
        assert ago[row] == np.argmax(x[window][::-1])
        assert decayed[row] == pytest.approx(np.average(x[window], weights=range(1, n + 1)), rel=1e-9, abs=1e-9)


def test_rows_without_a_group_have_no_value_and_count_in_none() -> None:
    x = range(SIZE)

    found = evaluate(parse("NEUTRALIZE(x, sector)", OPERATORS), frame(x, x, x)).filter(pl.col("date").dt.day() == 1)

    assert dict(found.select("entity", "value").iter_rows()) == {"A": -6.0, "B": 6.0, "C": 0.0, "D": None}


@pytest.mark.parametrize("labels", [["a", "a", None], [1, 1, None], [True, True, None], [None, None, None]])
def test_groups_are_text_or_whole_numbers(labels: list[object]) -> None:
    rows = pl.DataFrame({"date": [1, 1, 1], "entity": ["A", "B", "C"], "x": [1.0, 3.0, 5.0], "g": labels})

    found = evaluate(parse("NEUTRALIZE(x, g)", OPERATORS), rows)["value"].to_list()

    assert found == ([None] * 3 if labels[0] is None else [-1.0, 1.0, None])


def test_a_column_groups_and_is_computed_with() -> None:
    rows = pl.DataFrame({"date": [1, 1, 1], "entity": ["A", "B", "C"], "g": [1, 1, 2]})

    assert evaluate(parse("g + NEUTRALIZE(g * g, g)", OPERATORS), rows)["value"].to_list() == [1.0, 1.0, 2.0]


def test_a_group_column_of_fractions_is_shown() -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(parse("NEUTRALIZE(x, y)", OPERATORS), frame(range(SIZE), range(SIZE), range(SIZE)))

    assert str(caught.value) == (
        "in the expression, at column 15:\n"
        "  NEUTRALIZE(x, y)\n"
        "                ^\n"
        "column 'y' holds Float64, not groups: name a column of text or whole numbers"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IF(x > 1, 10, y)", [5.0, None, 10.0, None]),
        ("IF(x, 1, 0 - 1)", [-1.0, 1.0, 1.0, None]),
        ("IF(x > 1, 1 / 0, 2)", [2.0, 2.0, None, None]),
        ("CLIP(x, -1, 1)", [0.0, 1.0, 1.0, None]),
        ("CLIP(x, 1, 1)", [1.0, 1.0, 1.0, None]),
    ],
)
def test_choices_and_bounds(text: str, expected: list[float | None]) -> None:
    columns = {"x": [0.0, 1.0, 2.0, None], "y": [5.0, None, 6.0, 7.0]}
    rows = pl.DataFrame({"date": [1, 2, 3, 4], "entity": ["A"] * 4, **columns})

    assert evaluate(parse(text, OPERATORS), rows)["value"].to_list() == expected


@pytest.mark.parametrize("text", ["REF(x, 12)", "CORR(x, y, 2)", "TS_ARGMAX(x, 1)", "NEUTRALIZE(x, sector)"])
def test_an_empty_frame_gives_an_empty_frame(text: str) -> None:
    assert evaluate(parse(text, OPERATORS), frame(range(SIZE), range(SIZE), range(SIZE)).clear()).is_empty()


def test_a_form_along_rows_has_no_group() -> None:
    with pytest.raises(ValueError, match="group g narrows nothing: a form along row looks at one row"):
        Form((Series("x"), Group("g")), Axis.ROW, lambda x: x)
    with pytest.raises(ValueError, match="hi can't be compared: no literal lo before it"):
        Form((Series("x"), Literal("hi", not_below="lo")), Axis.ROW, lambda x, hi: x)
