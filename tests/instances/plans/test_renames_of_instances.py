"""Which instances are renamed, and which can't be: a pure rule."""

from typing import Any

from instances.plans.plan import Fields
from instances.plans.renames import (
    Renames,
    find_renames,
    former_references,
    kept_names,
    look_alikes,
    made_again,
    present_names,
    renamed_names,
)
from instances.specification.applied import RecordedName
from instances.specification.specs import AnySpec, spec_adapter
from instances.specification.types import PARTS, followed, refers_to, with_names
from tests.instances.catalogue import dataset, signal


def whole(name: str, *, path: str = "a.csv", **fields: Any) -> tuple[AnySpec, ...]:
    """Return a dataset with its parts described inside it."""
    definitions = {"pipeline": ("csv", {"path": path}), "store": ("delta", {}), "accessor": ("simple", {})}
    parts = [
        {"name": f"{name}-{type_}", "type": type_, "definition": definition, "config": config}
        for type_, (definition, config) in definitions.items()
    ]
    own = {"name": name, "type": "dataset"} | {field: f"{name}-{type_}" for field, type_ in PARTS.items()}
    return tuple(spec_adapter.validate_python(each) for each in (*parts, own | fields))


def rows(*specs: AnySpec) -> dict[str, Fields]:
    return {spec.name: spec.model_dump(mode="json", exclude={"name"}) | {"flows": {}} for spec in specs}


def found(specs: tuple[AnySpec, ...], on_record: tuple[AnySpec, ...], **given: Any) -> Renames:
    names = given.pop("names", [RecordedName(spec.name, spec.name) for spec in on_record])
    in_file = {spec.name for spec in specs}
    return find_renames(specs, given.pop("in_file", in_file), rows(*on_record), names, **given)


def test_a_rename_takes_the_parts_inside_along() -> None:
    told = found(whole("prices", renamed_from="px"), whole("px"))
    inside = {f"px-{type_}": f"prices-{type_}" for type_ in PARTS.values()}
    assert told == Renames({"px": "prices", **inside}, frozenset({"prices"}))


def test_what_is_done_already_is_quiet() -> None:
    specs, done = whole("prices", renamed_from="px"), [RecordedName("prices", "px", ("px",))]
    assert found(specs, whole("prices"), names=done) == Renames()
    # Also where something new has the former name by now.
    again = (*specs, *whole("px"))
    assert found(again, again, names=[*done, RecordedName("px", "px.2")]) == Renames()


def test_what_never_was_is_made_new_and_told() -> None:
    told = found(whole("prices", renamed_from="px"), ())
    assert told.names == {}
    assert told.warnings == ("prices: renamed_from 'px' names no instance that is on record, so prices is made new",)


def test_a_new_instance_with_a_former_name_is_warned_of() -> None:
    on_record = [
        RecordedName("prices", "px", ("px",)),
        RecordedName("prices-pipeline", "px-pipeline", ("px-pipeline",)),
    ]
    assert made_again(on_record, whole("px")) == (
        "px is new: what had this name is called 'prices' now, and keeps its rows. If that is meant, write 'prices' in "
        "its place",
    )
    assert made_again([*on_record, RecordedName("px", "px.2")], whole("px")) == ()
    assert made_again(on_record, whole("prices")) == ()


def problems(*given: Any, **more: Any) -> tuple[str, ...]:
    told = found(*given, **more)
    assert told.names == {}
    return tuple(map(str, told.problems))


def test_each_rename_that_can_not_be_is_one_clear_problem() -> None:
    wish = whole("prices", renamed_from="px")
    assert problems(whole("px", renamed_from="px"), whole("px")) == (
        "px: renamed_from 'px' is its own name; take it out",
    )
    assert problems((*wish, *whole("px")), whole("px")) == (
        "prices: renamed_from 'px' is still described in the same manifest; take one of the two out",
    )
    assert problems(wish, (*whole("px"), *whole("prices"))) == (
        "prices: renamed_from 'px' can't be: both are on record, each an instance of its own. Choose another name, or "
        "take renamed_from out, or `optaic destroy` one of them first",
    )
    assert problems(wish, (signal("px"),)) == (
        "prices: renamed_from 'px' is a signal, and prices a dataset: an instance keeps its type; make a new one",
    )
    theirs = whole("px", project="theirs")
    assert problems(wish, theirs) == (
        "prices: renamed_from 'px' is an instance of the project 'theirs'; leave it there, or take it over with "
        "--adopt",
    )
    assert found(wish, theirs, adopt=True).names["px"] == "prices"
    (pipeline, *_) = whole("us", path="a.csv")
    part = type(pipeline).model_validate(pipeline.model_dump() | {"renamed_from": "px-pipeline"})
    assert problems((part,), whole("px")) == (
        "us-pipeline: renamed_from 'px-pipeline' is a part of px, and named after it: it is renamed with that",
    )
    both = (*wish, *whole("other", renamed_from="px"))
    assert [problem.instance for problem in found(both, whole("px")).problems] == ["prices", "other"]
    assert problems(both, whole("px"))[0] == (
        "prices: renamed_from 'px' is said of 2 instances (other, prices); keep one of them"
    )
    assert problems(wish, whole("us"), names=[RecordedName("us", "px", ("px",))]) == (
        "prices: renamed_from 'px' is 'us' by now; say renamed_from: us, or take it out",
    )


def test_a_block_that_is_left_of_the_former_name_does_not_forbid_it() -> None:
    specs = (*whole("prices", renamed_from="px"), *whole("px"))
    assert found(specs, whole("px"), in_file=set()).names["px"] == "prices"


def test_rows_are_as_they_will_be() -> None:
    reader = signal("s", "px")
    on_record = rows(*whole("px"), reader)
    on_record["s"]["flows"] = {"refresh": {"config_hash": "h", "reads": {"px.refresh as input": {"required": True}}}}
    told = found((*whole("prices", renamed_from="px"), reader), (*whole("px"), reader)).rows(on_record)
    assert set(told) == {"prices", *(f"prices-{type_}" for type_ in PARTS.values()), "s"}
    assert told["prices"]["renamed_from"] == "px"
    assert told["prices"]["store_instance"] == "prices-store"
    assert told["s"]["upstream_refs"][0]["instance"] == "prices"
    assert told["s"]["flows"]["refresh"]["reads"] == {"prices.refresh as input": {"required": True}}


def test_references_by_a_former_name_are_followed_as_long_as_nothing_else_bears_it() -> None:
    recorded = [RecordedName("prices", "px", ("px", "p"))]
    present = present_names(recorded, {"prices", "s"})
    assert present == {"px": "prices", "p": "prices"}
    assert followed(signal("s", "px"), present) == signal("s", "prices")
    assert former_references([signal("s", "px"), dataset("d")], present) == (
        "s refers to 'px', which is called 'prices' now, and is taken at that; write the new name there",
    )
    assert present_names(recorded, {"prices", "px"}) == {"p": "prices"}


def test_every_field_that_names_an_instance_is_followed() -> None:
    backtest = {
        "name": "b",
        "type": "backtest",
        "assets": {"instance": "px", "universe": "u"},
        "signals": {"primary": "px", "secondary": "s"},
        "benchmark": "px",
        "upstream_refs": [],
        "date_range": {"start": "2020-01-01"},
    }
    names = {"px": "prices", "s": "veto", "u": "members"}
    told = with_names(backtest, names)
    assert (told["assets"], told["signals"], told["benchmark"]) == (
        {"instance": "prices", "universe": "members"},
        {"primary": "prices", "secondary": "veto"},
        "prices",
    )
    spec = spec_adapter.validate_python(backtest)
    assert followed(spec, names) == spec_adapter.validate_python(told)
    assert refers_to(spec, {"s"})
    assert not refers_to(followed(spec, names), names)


def test_a_new_instance_does_not_get_what_a_renamed_one_keeps_under_its_name() -> None:
    recorded = renamed_names([RecordedName("px", "px"), RecordedName("other", "other")], {"px": "prices"})
    assert recorded == (RecordedName("prices", "px", ("px",)), RecordedName("other", "other"))
    assert kept_names(recorded, ["prices", "px", "new"]) == {"prices": "px", "px": "px.2"}


def test_what_looks_like_a_rename_is_seen_through_its_parts_and_its_readers() -> None:
    was = (*whole("px"), signal("s", "px"))
    assert look_alikes(was, (*whole("prices"), signal("t", "prices"))) == {"px": "prices", "s": "t"}
    assert look_alikes(whole("px"), whole("prices", renamed_from="ab")) == {"px": "prices"}
    assert look_alikes(whole("px"), whole("prices", path="b.csv")) == {}
    assert look_alikes(whole("px"), whole("prices", description="other")) == {}
    assert look_alikes((signal("s", "px"),), (signal("t", "prices"),)) == {}
    assert look_alikes((dataset("px"),), (signal("prices"),)) == {}
    assert look_alikes(whole("px"), ()) == {}
