"""Macros: what a call stands for, and how what is wrong is shown."""

import ast
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.expressions.macros import Macro, MacroError, Macros, macros_by_name
from research.expressions.operators import OPERATORS
from research.expressions.parser import ExpressionError, check_macro, parse


def table(**texts: tuple[str, str]) -> Macros:
    """Return macros by name, each from its parameters, like "x n", and its expression."""
    return macros_by_name((Macro(name, tuple(names.split()), text) for name, (names, text) in texts.items()), OPERATORS)


MACROS = table(
    MOM=("x n", "REF(x, 21) / REF(x, n) - 1"),
    BAND=("x c", "CLIP(x, -c, c)"),
    NEUTRAL_MOM=("x n by", "NEUTRALIZE(MOM(x, n), by)"),
    SWAP=("x y", "y - x"),
    TWICE=("x", "SWAP(x, SWAP(x, x)) * 2"),
    DOLLARS=("n", "MEAN(close * volume, n)"),
    TURNOVER=("", "close * volume"),
)


@pytest.mark.parametrize(
    ("text", "written_out"),
    [
        ("MOM(close, 252)", "REF(close, 21) / REF(close, 252) - 1"),
        ("2 * MOM(a + b, 252) ** 2", "2 * (REF(a + b, 21) / REF(a + b, 252) - 1) ** 2"),
        ("RANK(MOM(MOM(close, 5), 10))", "RANK(REF(MOM(close, 5), 21) / REF(MOM(close, 5), 10) - 1)"),
        ("BAND(x, 3)", "CLIP(x, -3, 3)"),
        ("NEUTRAL_MOM(close, 252, sector)", "NEUTRALIZE(REF(close, 21) / REF(close, 252) - 1, sector)"),
        ("SWAP(y, x)", "x - y"),
        ("SWAP(SWAP(y, x), y)", "y - (x - y)"),
        ("SWAP(1, x)", "x - 1"),
        ("TWICE(y)", "((y - y) - y) * 2"),
        ("DOLLARS(5) / n", "MEAN(close * volume, 5) / n"),
        ("RANK(TURNOVER())", "RANK(close * volume)"),
    ],
)
def test_a_call_is_what_it_stands_for(text: str, written_out: str) -> None:
    expanded = parse(text, OPERATORS, MACROS)

    assert expanded == parse(written_out, OPERATORS, MACROS)
    assert expanded.text == text


def test_an_expression_names_all_macros_and_operators_behind_it() -> None:
    expression = parse("RANK(NEUTRAL_MOM(close, 252, sector))", OPERATORS, MACROS)

    assert expression.macros == {"NEUTRAL_MOM", "MOM"}
    assert expression.operators == {"RANK", "NEUTRALIZE", "REF"}


class _Substitution(ast.NodeTransformer):
    """Another way to expand: the arguments put in for the names, in a copy of the tree."""

    def __init__(self, arguments: Mapping[str, ast.expr]) -> None:
        self.arguments = arguments

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.arguments.get(node.id, node)


names = st.sampled_from(["x", "y", "z", "close"])
terms = st.recursive(
    names | st.sampled_from(["1", "2.5", "-3"]),
    lambda parts: st.one_of(
        st.tuples(parts, st.sampled_from(["+", "-", "*", "/", "**", "<"]), parts).map(lambda p: f"({' '.join(p)})"),
        parts.map(lambda part: f"-{part}"),
        st.tuples(parts, parts, parts).map(lambda p: f"IF({', '.join(p)})"),
        st.tuples(names, st.integers(1, 9)).map(lambda p: f"MEAN({p[0]}, {p[1]})"),
    ),
    max_leaves=8,
)


@given(body=terms, first=terms, second=terms)
def test_expansion_equals_substitution_in_the_tree(body: str, first: str, second: str) -> None:
    body = f"x + z * y * ({body})"
    first, second = f"({first} + close)", f"({second} + close)"
    arguments = {"x": ast.parse(first, mode="eval").body, "y": ast.parse(second, mode="eval").body}
    written_out = ast.unparse(_Substitution(arguments).visit(ast.parse(body, mode="eval").body))

    called = parse(f"M({first}, {second}) - 1", OPERATORS, table(M=("x y", body)))

    assert called == parse(f"({written_out}) - 1", OPERATORS)


def shown(text: str, marks: str, problem: str, within: str = "the expression") -> str:
    return f"in {within}, at column {len(marks)}:\n  {text}\n  {marks}\n{problem}"


@pytest.mark.parametrize(
    ("text", "start", "length", "problem"),
    [
        ("MOM(close)", 0, 10, "MOM does not take 1 argument: write MOM(x, n)"),
        ("TURNOVER(5)", 0, 11, "TURNOVER does not take 1 argument: write TURNOVER()"),
        ("MOM(x=close, n=5)", 0, 17, "arguments go by position, without names: write MOM(x, n)"),
        ("1 + MOM", 4, 3, "MOM is a macro: call it, as MOM(x, n)"),
        (
            "MOM(close, -5)",
            11,
            2,
            "n of REF(x, n) in the macro MOM(x, n) is negative: that would look ahead, at what was not known yet",
        ),
        (
            "MOM(close, high)",
            11,
            4,
            "n of REF(x, n) in the macro MOM(x, n) is a number of rows: write a whole number, like 20",
        ),
        (
            "NEUTRAL_MOM(7, 5, sector)",
            12,
            1,
            "x of REF(x, n) in the macro MOM(x, n) reads no column, so it is the same everywhere: name a column",
        ),
        (
            "BAND(close, -1)",
            12,
            2,
            "hi of CLIP(x, lo, hi) in the macro BAND(x, c) is -1: it must be at least lo, which is 1",
        ),
        (
            "NEUTRAL_MOM(close, 5, 5)",
            22,
            1,
            "group of NEUTRALIZE(x, group) in the macro NEUTRAL_MOM(x, n, by) is the name of a column: "
            "write one, like sector",
        ),
        ("MOM(close.x, 5)", 4, 7, "a dot has no meaning here: write the name of a column alone"),
    ],
)
def test_what_is_wrong_with_an_argument_is_shown_where_it_stands(
    text: str, start: int, length: int, problem: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, OPERATORS, MACROS)

    assert (
        str(caught.value)
        == f"in the expression, at column {start + 1}:\n  {text}\n  {' ' * start}{'^' * length}\n{problem}"
    )


def test_an_unknown_name_lists_the_macros_too() -> None:
    with pytest.raises(
        ExpressionError, match=r"there is no operator 'MOMM'\. Did you mean 'MOM'\? The operators are: .*"
    ):
        parse("MOMM(close, 5)", OPERATORS, MACROS)
    with pytest.raises(ExpressionError, match=r"ZSCORE\. The macros are: BAND, DOLLARS, MOM, .*TWICE\.$"):
        parse("NOTHING(close, 5)", OPERATORS, MACROS)


def test_what_is_wrong_in_a_macro_is_shown_in_the_macro_and_where_it_is_called() -> None:
    macros = table(OUTER=("x", "1 + INNER(x)"), INNER=("x", "MEAN(x, 5) + MEEN(x)"))

    with pytest.raises(ExpressionError) as caught:
        parse("close + OUTER(close)", OPERATORS, macros)

    lines = str(caught.value).splitlines()
    assert lines[:3] == ["in the macro INNER(x), at column 14:", "  MEAN(x, 5) + MEEN(x)", "               ^^^^"]
    assert lines[3].startswith("there is no operator 'MEEN'. Did you mean 'MEAN'?")
    assert lines[4] == "The macro is called in the expression, at column 9."


def test_a_missing_column_of_a_macro_is_shown_at_its_call() -> None:
    expression = parse("1 + DOLLARS(5)", OPERATORS, MACROS)

    with pytest.raises(ExpressionError) as caught:
        expression.require(("close",))

    assert str(caught.value) == (
        "in the expression, at column 5:\n  1 + DOLLARS(5)\n      ^^^^^^^^^^\n"
        "there is no column 'volume'. The columns are: close."
    )


@pytest.mark.parametrize(
    ("macros", "chain"),
    [
        (table(A=("x", "A(x) + 1")), "A -> A"),
        (table(A=("x", "B(x) + 1"), B=("x", "2 * C(x)"), C=("x", "RANK(A(x))")), "A -> B -> C -> A"),
        (table(A=("x", "RANK(B(x))"), B=("x", "1 + B(B(x))")), "B -> B"),
    ],
)
def test_a_macro_that_calls_itself_is_refused_with_the_chain(macros: Macros, chain: str) -> None:
    name = chain.split()[0]
    problem = rf"macro {name} calls itself \({chain}\), so it never ends: write out what it stands for"
    with pytest.raises(ExpressionError, match=problem):
        parse("A(close)", OPERATORS, macros)
    with pytest.raises(ExpressionError, match=problem):
        check_macro(macros["A"], OPERATORS, macros)


def test_a_macro_in_the_argument_of_itself_is_no_cycle() -> None:
    assert parse("SWAP(SWAP(SWAP(a, b), c), d)", OPERATORS, MACROS) == parse("d - (c - (b - a))", OPERATORS)


def test_macros_that_grow_without_measure_are_refused() -> None:
    grown = {f"M{n}": ("x", f"M{n - 1}(x) + M{n - 1}(x)") for n in range(1, 40)}

    with pytest.raises(ExpressionError, match="here it has more than 10,000 steps: split it into several datasets"):
        parse("M39(close)", OPERATORS, table(M0=("x", "x + 1"), **grown))
    deep = {f"M{n}": ("x", f"M{n - 1}(x + 1)") for n in range(1, 250)}
    with pytest.raises(ExpressionError, match="it is nested deeper than 200 steps: split it into several datasets"):
        parse("M249(close)", OPERATORS, table(M0=("x", "x + 1"), **deep))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("REF(x, n) + REFF(x)", "there is no operator 'REFF'"),
        ("REF(x, -n)", "n of REF\\(x, n\\) is negative: that would look ahead"),
        ("REF(x, 2) + MEAN(n, x.y)", "n of MEAN\\(x, n\\) is a number of rows: write a whole number"),
        ("REF(2, n) + x", "x of REF\\(x, n\\) reads no column"),
        ("QUANTILE(x, n, 2)", "q of QUANTILE\\(x, n, q\\) is 2: it must be between 0 and 1"),
        ("x + n + date", "'date' is a key of the rows"),
    ],
)
def test_a_macro_is_checked_without_its_arguments(text: str, problem: str) -> None:
    macro = Macro("M", ("x", "n"), text)

    with pytest.raises(ExpressionError, match=f"(?s)in the macro M\\(x, n\\), at column .*{problem}"):
        check_macro(macro, OPERATORS)


@pytest.mark.parametrize("macro", MACROS.values(), ids=lambda macro: macro.name)
def test_sound_macros_pass(macro: Macro) -> None:
    check_macro(macro, OPERATORS, MACROS)


@pytest.mark.parametrize(
    ("name", "parameters", "text", "problem"),
    [
        ("mom", ("x",), "x", "'mom' can't name a macro: use upper-case letters, digits and underscores"),
        ("A-B", ("x",), "x", "'A-B' can't name a macro: use upper-case letters, digits and underscores"),
        ("M", ("X",), "X", "'X' can't name a parameter of macro M: use lower-case letters, digits and underscores"),
        ("M", ("if",), "1", "'if' can't name a parameter of macro M: use lower-case letters, digits and underscores"),
        ("M", ("x", "x"), "x", "macro M has two parameters 'x': give each its own name"),
        ("M", ("x", "n"), "x + 1", r"the expression of macro M\(x, n\) has no 'n': use it or leave it out"),
    ],
)
def test_what_can_not_be_a_macro(name: str, parameters: tuple[str, ...], text: str, problem: str) -> None:
    with pytest.raises(MacroError, match=problem):
        Macro(name, parameters, text)


def test_a_macro_that_can_not_be_read_is_shown() -> None:
    with pytest.raises(ExpressionError) as caught:
        Macro("M", ("x",), "x +")

    assert str(caught.value) == shown("x +", "   ^", "it ends too early: something is missing here", "the macro M(x)")


def test_names_are_given_once() -> None:
    with pytest.raises(MacroError, match="macro MEAN has the name of an operator: choose another name"):
        table(MEAN=("x", "x + 1"))
    with pytest.raises(MacroError, match="macro MEAN has the name of an operator: choose another name"):
        parse("MEAN(close, 5)", OPERATORS, {"MEAN": Macro("MEAN", ("x", "n"), "x + n")})
    one, other = Macro("M", ("x",), "x + 1"), Macro("M", ("y",), "y + 2")
    with pytest.raises(MacroError, match=r"there are two macros M: M\(x\) and M\(y\); choose another name for one"):
        macros_by_name((one, other), OPERATORS)
