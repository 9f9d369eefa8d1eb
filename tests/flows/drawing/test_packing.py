import random
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from flows.drawing.packing import Packing, Rectangle, pack

SIZES = st.floats(1, 500)
RECTANGLES = st.lists(st.builds(Rectangle, SIZES, SIZES), max_size=20)


@given(RECTANGLES)
def test_no_rectangle_lies_over_another_or_beside_the_page(rectangles: list[Rectangle]) -> None:
    packing = pack(rectangles, 5)
    placed = list(zip(packing.corners, rectangles, strict=True))
    for (x, y), each in placed:
        assert 0 <= x <= x + each.width <= packing.width + 1e-6
        assert 0 <= y <= y + each.height <= packing.height + 1e-6
    for ((ax, ay), a), ((bx, by), b) in combinations(placed, 2):
        assert ax + a.width < bx or bx + b.width < ax or ay + a.height < by or by + b.height < ay


@given(RECTANGLES)
def test_the_same_rectangles_are_packed_in_the_same_way(rectangles: list[Rectangle]) -> None:
    assert pack(rectangles, 5) == pack(list(rectangles), 5)


def test_equal_rectangles_are_a_grid_as_wide_as_a_page() -> None:
    packing = pack([Rectangle(100, 40)] * 100, 10)
    assert len({x for x, _ in packing.corners}) * len({y for _, y in packing.corners}) <= 110
    assert 1.3 < packing.width / packing.height < 1.9


def test_several_hundred_that_differ_fill_most_of_a_page() -> None:
    some = random.Random(5)
    rectangles = [Rectangle(some.randrange(110, 1500), 38 + 50 * some.randrange(4)) for _ in range(200)]
    packing = pack(rectangles, 24)
    assert 1.3 < packing.width / packing.height < 1.9
    used = sum((each.width + 24) * (each.height + 24) for each in rectangles)
    assert used > 0.85 * packing.width * packing.height


def test_nothing_is_an_empty_page_and_one_rectangle_fills_its_own() -> None:
    assert pack([], 5) == Packing((), 0, 0)
    assert pack([Rectangle(3, 4)], 5) == Packing(((0, 0),), 3, 4)
