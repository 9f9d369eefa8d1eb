from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.expressions.operators import OPERATORS
from research.expressions.parser import ExpressionError, parse

KNOWN = (
    "The operators are: ABS, BETA, CLIP, CORR, COV, DECAY_LINEAR, DELTA, EWMA, IF, KURT, LOG, MAX, MEAN, MIN, "
    "NEUTRALIZE, QUANTILE, RANK, REF, SCALE, SKEW, STD, SUM, TS_ARGMAX, TS_ARGMIN, TS_RANK, WINSORIZE, ZSCORE."
)
FOREIGN = (
    "this is not of the expression language, which has numbers, column names, parentheses, "
    "+ - * / **, comparisons and operators"
)


@pytest.mark.parametrize(
    ("text", "marks", "problem"),
    [
        ("MEEN(close, 5)", "^^^^", f"there is no operator 'MEEN'. Did you mean 'MEAN'? {KNOWN}"),
        ("mean(close, 5)", "^^^^", f"there is no operator 'mean'. Did you mean 'MEAN'? {KNOWN}"),
        ("__import__('os')", "^^^^^^^^^^", f"there is no operator '__import__'. {KNOWN}"),
        ("MEAN(close)", "^^^^^^^^^^^", "MEAN does not take 1 argument: write MEAN(x, n)"),
        (
            "ZSCORE(a, 5, 6)",
            "^^^^^^^^^^^^^^^",
            "ZSCORE does not take 3 arguments: write ZSCORE(x, n) or ZSCORE(x)",
        ),
        (
            "MEAN(x=close, n=5)",
            "^^^^^^^^^^^^^^^^^^",
            "arguments go by position, without names: write MEAN(x, n)",
        ),
        (
            "REF(close, -5)",
            "           ^^",
            "n of REF(x, n) is negative: that would look ahead, at what was not known yet",
        ),
        ("REF(close, 0)", "           ^", "n of REF(x, n) is 0: it must be at least 1"),
        ("STD(close, 1)", "           ^", "n of STD(x, n) is 1: it must be at least 2"),
        (
            "MEAN(close, 2.0)",
            "            ^^^",
            "n of MEAN(x, n) is a number of rows: write a whole number, like 20",
        ),
        (
            "MEAN(close, n)",
            "            ^",
            "n of MEAN(x, n) is a number of rows: write a whole number, like 20",
        ),
        (
            "MEAN(close, True)",
            "            ^^^^",
            "n of MEAN(x, n) is a number of rows: write a whole number, like 20",
        ),
        (
            "MEAN(close, 9999999999)",
            "            ^^^^^^^^^^",
            "n of MEAN(x, n) is larger than any table: write a smaller number of rows",
        ),
        (
            "close + MEAN(2, 3)",
            "             ^",
            "x of MEAN(x, n) reads no column, so it is the same everywhere: name a column",
        ),
        ("1 + 2", "^^^^^", "it reads no column, so it is the same everywhere: name a column"),
        ("1 + MEAN", "    ^^^^", "MEAN is an operator: call it, as MEAN(x, n)"),
        ("close - date", "        ^^^^", "'date' is a key of the rows, not a value: name a value column"),
        ("close.x", "^^^^^^^", "a dot has no meaning here: write the name of a column alone"),
        ("a.MEAN(x, 5)", "^^^^^^", "a dot has no meaning here: write the name of a column alone"),
        (
            "é + clôse.x",
            "    ^^^^^^^",
            "a dot has no meaning here: write the name of a column alone",
        ),
        (
            "close[1]",
            "^^^^^^^^",
            "square brackets have no meaning here: write REF(x, n) for the value n rows earlier",
        ),
        ("1 + 'a'", "    ^^^", "text has no place here: write the name of a column without quotes"),
        ("lambda x: x", "^^^^^^^^^^^", "a lambda has no place here: use the operators"),
        (
            "a > 1 and b > 1",
            "^^^^^^^^^^^^^^^",
            "'and' and 'or' have no meaning here: multiply conditions, like (a > 0) * (b > 0)",
        ),
        ("not a", "^^^^^", "'not' has no meaning here: turn the comparison round"),
        ("0 < a < 1", "^^^^^^^^^", "comparisons can't be chained: multiply them, like (0 < x) * (x < 1)"),
        ("a // b", "^^^^^^", "// has no meaning here: use /"),
        ("a % b", "^^^^^", FOREIGN),
        ("a if b else c", "^^^^^^^^^^^^^", "'if' and 'else' have no meaning here: write IF(condition, a, b)"),
        ("QUANTILE(a, 5, b)", "               ^", "q of QUANTILE(x, n, q) is a number: write it out, like 0.5"),
        ("QUANTILE(a, 5, 1 / 2)", "               ^^^^^", "q of QUANTILE(x, n, q) is a number: write it out, like 0.5"),
        ("QUANTILE(a, 5, True)", "               ^^^^", "q of QUANTILE(x, n, q) is a number: write it out, like 0.5"),
        ("QUANTILE(a, 5, 1.5)", "               ^^^", "q of QUANTILE(x, n, q) is 1.5: it must be between 0 and 1"),
        ("QUANTILE(a, 5, -0.5)", "               ^^^^", "q of QUANTILE(x, n, q) is -0.5: it must be between 0 and 1"),
        ("CLIP(a, 1, -1)", "           ^^", "hi of CLIP(x, lo, hi) is -1: it must be at least lo, which is 1"),
        ("CLIP(a, -1e999, 1)", "         ^^^^^", "this number is too large for a 64-bit float: write a smaller one"),
        (
            "NEUTRALIZE(a, 5)",
            "              ^",
            "group of NEUTRALIZE(x, group) is the name of a column: write one, like sector",
        ),
        ("NEUTRALIZE(a, LOG)", "              ^^^", "LOG is an operator: call it, as LOG(x)"),
        (
            "NEUTRALIZE(a, entity)",
            "              ^^^^^^",
            "'entity' is a key of the rows, not a value: name a value column",
        ),
        (
            "NEUTRALIZE(2, sector)",
            "           ^",
            "x of NEUTRALIZE(x, group) reads no column, so it is the same everywhere: name a column",
        ),
        ("[a for a in b]", "^^^^^^^^^^^^^^", FOREIGN),
        ("a + True", "    ^^^^", FOREIGN),
        ("RANK(*a)", "     ^^", "a star has no meaning here: write the arguments one by one"),
        ("(a)(b)", " ^", f"there is no operator 'a'. {KNOWN}"),
        ("MEAN(a, 5)(b)", "^^^^^^^^^^^^^", "this can't be called"),
        ("1e999 * a", "^^^^^", "this number is too large for a 64-bit float: write a smaller one"),
        ("a + # b", "    ^", "a comment has no place here: leave it out"),
        ("close +", "       ^", "it ends too early: something is missing here"),
        ("MEAN(close, 5", "    ^", "it can't be read: '(' was never closed"),
        ("a) + (b", " ^", "it can't be read: unmatched ')'"),
        ("a = 1", "  ^", "it can't be read: invalid syntax"),
        ("", "^", "it is empty: write one, like REF(close, 1)"),
    ],
)
def test_what_is_not_of_the_language_is_shown(text: str, marks: str, problem: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, OPERATORS)

    place = len(marks) - len(marks.lstrip())
    assert str(caught.value) == f"in the expression, at column {place + 1}:\n  {text}\n  {marks}\n{problem}"


@pytest.mark.parametrize("text", ["-" * 5000 + "a", "(" * 300 + "a" + ")" * 300, "+".join("a" * 2000), "a\x00"])
def test_what_would_overwhelm_the_parser_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text, OPERATORS)


def test_line_breaks_are_spaces() -> None:
    expression = parse("  close /\n\tREF(close, 1)\n", OPERATORS)

    assert expression.text == "close /  REF(close, 1)"
    assert [column.name for column in expression.columns] == ["close", "close"]


@given(st.text(alphabet="abMEANRK()+-*/<>=,.15 '\"[]:#\\\n", max_size=30))
def test_any_text_is_an_expression_or_an_expression_error(text: str) -> None:
    with suppress(ExpressionError):
        parse(text, OPERATORS)
