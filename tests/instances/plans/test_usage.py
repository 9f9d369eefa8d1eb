from instances.plans.usage import blocks_gone, still_used
from instances.specification.specs import spec_adapter
from tests.instances.catalogue import PARTS, dataset, signal

SEVEN = [dataset(f"d{n}") for n in range(1, 8)]


def test_a_part_of_many_is_told_of_once() -> None:
    (store,) = [part.name for part in PARTS if part.type == "store"]
    assert still_used({store}, [*PARTS, *SEVEN], without_block=()) == [
        f"{store}: can't be deleted while d1, d2, d3, d4, d5 and 2 more use it; "
        "delete those too, or give them another store_instance"
    ]
    assert still_used({store}, SEVEN[:1], without_block={store}) == [
        f"{store}: can't be deleted while d1 uses it; delete that too, or give it another store_instance; "
        f"its block is gone: `optaic import {store}` brings it back"
    ]


def test_an_upstream_is_told_of_with_all_fields_that_name_it() -> None:
    backtest = {"name": "b", "type": "backtest", "assets": {"instance": "d1"}, "signals": {"primary": "s"}}
    readers = [signal("s", "d1"), spec_adapter.validate_python(backtest)]
    assert still_used({"d1", "d2"}, [*SEVEN, *readers], without_block=()) == [
        "d1: can't be deleted while s and b read it; delete those too, or take it out of upstream_refs and "
        "assets.instance"
    ]
    assert blocks_gone({"d1", "d2"}, readers) == {
        "d1": "d1: its block is gone, and s and b read it. `optaic import d1` brings it back as it was applied; "
        "else describe it anew, or take it out of upstream_refs and assets.instance"
    }
    assert still_used({"d7"}, [*SEVEN, *readers], without_block={"d7"}) == []
