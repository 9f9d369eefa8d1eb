from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from flows.drawing.packing import Box, Sheet, packed

SIZES = st.floats(1, 500)
BOXES = st.lists(st.builds(Box, SIZES, SIZES), max_size=20)


@given(BOXES)
def test_no_box_lies_over_another_or_beside_the_sheet(boxes: list[Box]) -> None:
    sheet = packed(boxes, 5)
    placed = list(zip(sheet.places, boxes, strict=True))
    for (x, y), box in placed:
        assert 0 <= x <= x + box.width <= sheet.width + 1e-6
        assert 0 <= y <= y + box.height <= sheet.height + 1e-6
    for ((ax, ay), a), ((bx, by), b) in combinations(placed, 2):
        assert ax + a.width < bx or bx + b.width < ax or ay + a.height < by or by + b.height < ay


def test_equal_boxes_are_a_grid_as_wide_as_a_page() -> None:
    sheet = packed([Box(100, 40)] * 100, 10)
    assert len({x for x, _ in sheet.places}) * len({y for _, y in sheet.places}) <= 110
    assert 1.3 < sheet.width / sheet.height < 1.9


def test_nothing_is_an_empty_sheet_and_one_box_fills_its_own() -> None:
    assert packed([], 5) == Sheet((), 0, 0)
    assert packed([Box(3, 4)], 5) == Sheet(((0, 0),), 3, 4)
