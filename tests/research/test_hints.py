"""What the errors of all floors say alike."""

import pytest

from research.errors import did_you_mean, first_line, nearest


def test_the_nearest_name_is_asked_for() -> None:
    assert nearest("closse", ("open", "close", "closed")) == "close"
    assert did_you_mean("closse", iter(("open", "close"))) == " Did you mean 'close'?"


@pytest.mark.parametrize("known", [(), ("volume", "sector")])
def test_no_name_is_asked_for_where_none_is_near(known: tuple[str, ...]) -> None:
    assert nearest("closse", known) is None
    assert did_you_mean("closse", known) == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("bad\nat line 3"), "bad"),
        (OSError(" \n it broke\r\n\nbacktrace "), "it broke"),
        (RuntimeError(), "RuntimeError"),
        (TimeoutError("\n"), "TimeoutError"),
    ],
)
def test_the_first_line_of_an_error_says_something(error: Exception, line: str) -> None:
    assert first_line(error) == line
