import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from flows.planning.changeset import Changeset, WouldRemoveAll, WouldRemoveMost
from flows.planning.deployment_spec import Storage
from flows.planning.resources import DesiredState
from flows.planning.scope import Scope
from flows.reading.block_reader import SavedBlocks
from instances.errors import InvalidSpec
from instances.plans.plan import Action, Change, Plan, Step
from prefect_optaic.planfile import CannotWrite, WorldChanged, check_same, is_plan, read_scope, write_plan
from tests.instances.catalogue import PARTS, component, dataset, signal

STORAGE = Storage(None, None, {}, None, (), "flows")
SCOPE = Scope(
    (
        *PARTS,
        component("dated", "pipeline", "csv", config={"path": "b.csv"}),
        dataset("prices", schedule={"type": "cron", "expression": "0 18 * * *"}),
        signal("momentum", {"instance": "prices", "max_age": "3d"}, signal_spec={"min": -1}),
    ),
    prune=True,
    destroy=("old", "older"),
)


def changeset(*steps: Step, deleted: tuple[str, ...] = (), members: Mapping[str, str] | None = None) -> Changeset:
    return Changeset(Plan(steps), DesiredState((), STORAGE, SavedBlocks({}), deleted=deleted), members or {})


STEP = Step("instance", "a", Action.UPDATE, (Change("description", "", "A."),), {"description": "A."})


def test_a_kept_plan_gives_back_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, SCOPE, changeset(STEP))
    assert is_plan(path)
    assert read_scope(path) == SCOPE
    assert [type(spec) for spec in read_scope(path).specs] == [type(spec) for spec in SCOPE.specs]
    assert json.loads(path.read_text())["summary"] == "0 to create, 1 to update, 0 to delete, 0 unchanged"
    check_same(path, changeset(STEP))


@pytest.mark.parametrize(
    "other",
    [
        changeset(),
        changeset(STEP, STEP),
        changeset(Step("instance", "a", Action.UPDATE, (Change("description", "B.", "A."),), {"description": "A."})),
    ],
)
def test_it_is_refused_when_it_would_do_something_else_now(tmp_path: Path, other: Changeset) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, SCOPE, changeset(STEP))
    with pytest.raises(WorldChanged) as caught:
        check_same(path, other)
    assert str(caught.value) == (
        f"the world has changed since the plan {path} was made: it would do something else now. "
        "Nothing was written. Make a new plan, and read it."
    )


def test_a_plan_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    manifest = tmp_path / "instances.yaml"
    manifest.write_text("instances: []\n")
    assert not is_plan(manifest)
    other = tmp_path / "other.json"
    other.write_text('{"format": "something else"}')
    assert not is_plan(other)
    assert not is_plan(tmp_path / "missing.json")
    (tmp_path / "broken.json").write_text("{")
    assert not is_plan(tmp_path / "broken.json")
    path = tmp_path / "saturday"
    write_plan(path, SCOPE, changeset(STEP))
    assert is_plan(path)


def test_without_a_file_is_another_scope_than_with_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    for scope in (Scope(), Scope(()), Scope((), project="lab", data=True, destroy=("a",)), Scope((), adopt=True)):
        write_plan(path, scope, changeset(STEP))
        assert read_scope(path) == scope


def problem(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(InvalidSpec) as caught:
        read_scope(path)
    (told,) = caught.value.problems
    return told


def test_a_file_that_is_no_plan_of_this_version_says_so(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 20) / "plan.json"  # the path is told whole: people open it
    path.parent.mkdir()
    remedy = f"make a new plan with `optaic plan --out {path}`"
    assert problem(path, "{").startswith(f"the plan {path} cannot be read: ")
    assert problem(path, "[]") == f"{path} is not a plan: {remedy}"
    assert problem(path, '{"format": "optaic-plan-1"}') == (
        f"the plan {path} has the format 'optaic-plan-1', and this version reads 'optaic-plan-2': {remedy}"
    )
    write_plan(path, SCOPE, changeset(STEP))
    content = json.loads(path.read_text())
    for field in ("digest", "manifest"):
        rest = {name: value for name, value in content.items() if name != field}
        assert problem(path, json.dumps(rest)) == f"the plan {path}: {field}: is missing; {remedy}"
    content["manifest"] = [content["manifest"][0] | {"definition": 7}]
    assert problem(path, json.dumps(content)) == (
        f"the plan {path}: manifest.0.pipeline.definition: must be text, not 7; {remedy}"
    )


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "plan.json"
    with pytest.raises(CannotWrite) as caught:
        write_plan(path, SCOPE, changeset(STEP))
    assert str(caught.value) == f"{path} cannot be written: No such file or directory. Choose another file."


@pytest.mark.parametrize(("deleted", "members", "burns"), [(0, 0, False), (1, 2, False), (2, 3, True), (1, 1, True)])
def test_the_fuse_burns_at_more_than_half(deleted: int, members: int, burns: bool) -> None:
    plan = changeset(
        deleted=tuple(f"i{n}" for n in range(deleted)), members=dict.fromkeys((f"i{n}" for n in range(members)), "")
    )
    if not burns:
        plan.check_fuse()
        return
    with pytest.raises(WouldRemoveMost, match=rf"this would delete {deleted} of {members} instances, more than half"):
        plan.check_fuse()


def test_the_fuse_burns_for_a_small_project_too() -> None:
    members = {"a": "small", "b": "small", **{f"i{n}": "large" for n in range(98)}}
    changeset(deleted=("a", "i1"), members=members).check_fuse()
    with pytest.raises(WouldRemoveMost) as caught:
        changeset(deleted=("a", "b"), members=members).check_fuse()
    assert str(caught.value).startswith("this would delete 2 of 2 instances of the project 'small', more than half.")
    members |= {"c": "tiny"}
    with pytest.raises(WouldRemoveMost) as caught:
        changeset(deleted=("a", "b", "c"), members=members).check_fuse()
    assert str(caught.value).startswith(
        "this would delete 2 of 2 instances of the project 'small' and 1 of 1 instances of the project 'tiny', "
    )


def test_all_of_a_project_is_more_than_its_only_instance() -> None:
    only = {"a": "lab", "a-pipeline": "lab", "a-store": "lab", "a-accessor": "lab", "x": "other", "y": "other"}
    changeset(deleted=("a", "a-pipeline", "a-store", "a-accessor", "x"), members=only).check_emptied()
    with pytest.raises(WouldRemoveAll) as caught:
        changeset(deleted=("a", "a-store", "b"), members=only | {"b": "lab"}).check_emptied()
    assert str(caught.value) == (
        "this would delete 2 of 2 instances of the project 'lab', so all that there is. "
        "If that is what you want, say --yes."
    )
