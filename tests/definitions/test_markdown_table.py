"""Tables in Markdown, and that no cell can break one."""

from collections.abc import Sequence
from itertools import pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from definitions.markdown_table import Code, frame_table, markdown_table

PAGE = MarkdownIt("commonmark").enable("table")
ODD = st.text(st.sampled_from("a `|\\\n\r\u2028\x85-:*[]()<>&#~"))
CELLS = st.one_of(st.text(), ODD, ODD.map(Code), st.integers(), st.none())
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(CELLS, min_size=width, max_size=width),
        st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=4),
    )
)


def seen(lines: Sequence[str]) -> list[list[str]]:
    """Return the text of the cells, row by row, as a page shows them; all must be in one table, with text after it."""
    found: list[list[str]] = []
    tokens = PAGE.parse("\n".join([*lines, "", "After."]))
    for before, token in pairwise(tokens):
        if before.type == "tr_open":
            found.append([])
        if before.type in {"th_open", "td_open"}:
            found[-1].append("".join(child.content for child in token.children or ()))
    assert [token.type for token in tokens if token.level == 0] == [
        "table_open",
        "table_close",
        "paragraph_open",
        "paragraph_close",
    ]
    return found


def bare_pipes(line: str) -> int:
    """Return how many pipes of a line end a cell where the backslashes before one are counted, as `marked` does."""
    parts = line.split("|")
    return sum((len(part) - len(part.rstrip("\\"))) % 2 == 0 for part in parts[:-1])


def test_a_table_has_a_header_and_a_line_for_each_row() -> None:
    assert markdown_table(("name", "value"), [("rows", 4), ("mean", None)]) == [
        "| name | value |",
        "| --- | --- |",
        "| rows | 4 |",
        "| mean | None |",
    ]
    assert frame_table(pl.DataFrame({"entity": ["A|B"], "close": [1.5]})) == [
        "| entity | close |",
        "| --- | --- |",
        "| A\\|B | 1.5 |",
    ]


def test_marks_and_line_breaks_are_shown_as_text() -> None:
    lines = markdown_table(("a|b",), [("`x` \\| y",), ("one\r\ntwo\nthree",), (Code("p|q `r` *s*"),), (Code(""),)])
    assert seen(lines) == [["a|b"], ["`x` \\| y"], ["one two three"], ["p|q 'r' *s*"], [""]]
    assert lines[4] == "| `p\\|q 'r' *s*` |"


@settings(deadline=None)
@given(TABLES)
def test_no_cell_can_break_a_table(table: tuple[list[object], list[list[object]]]) -> None:
    header, rows = table
    lines = markdown_table(header, rows)
    assert [len(line.splitlines()) for line in lines] == [1] * (2 + len(rows))
    assert [bare_pipes(line) for line in lines] == [len(header) + 1] * len(lines)
    assert [len(cells) for cells in seen(lines)] == [len(header)] * (1 + len(rows))


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("ab `|\n")), min_size=1, max_size=3))
def test_a_cell_shows_what_it_holds(cells: list[str]) -> None:
    (_, row) = seen(markdown_table(["x"] * len(cells), [cells]))
    assert row == [" ".join(cell.splitlines()).strip() for cell in cells]
