import json
from pathlib import Path

import pytest

from blocks.documents import SavedBlocks
from flows.deployments import Storage
from flows.planning import Planned, Scope, WouldRemoveMost
from flows.things import Wanted
from instances.errors import InvalidSpec
from instances.plan import Action, Change, Plan, Step
from optaic.planfile import WorldChanged, check_same, is_plan, read_scope, write_plan
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


def planned(*steps: Step, gone: tuple[str, ...] = (), members: int = 0) -> Planned:
    return Planned(Plan(steps), Wanted((), STORAGE, SavedBlocks({}), gone=gone), members)


STEP = Step("instance", "a", Action.UPDATE, (Change("description", "", "A."),), {"description": "A."})


def test_a_kept_plan_gives_back_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, SCOPE, planned(STEP))
    assert is_plan(path)
    assert read_scope(path) == SCOPE
    assert [type(spec) for spec in read_scope(path).manifest] == [type(spec) for spec in SCOPE.manifest]
    assert json.loads(path.read_text())["summary"] == "0 to create, 1 to update, 0 to delete, 0 unchanged"
    check_same(path, planned(STEP))


@pytest.mark.parametrize(
    "other",
    [
        planned(),
        planned(STEP, STEP),
        planned(Step("instance", "a", Action.UPDATE, (Change("description", "B.", "A."),), {"description": "A."})),
    ],
)
def test_it_is_refused_when_it_would_do_something_else_now(tmp_path: Path, other: Planned) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, SCOPE, planned(STEP))
    with pytest.raises(WorldChanged) as caught:
        check_same(path, other)
    assert str(caught.value) == (
        f"the world has changed since the plan {path} was made: it would do something else now. "
        "Nothing was written. Make a new plan, and read it."
    )


def test_a_manifest_is_no_plan(tmp_path: Path) -> None:
    manifest = tmp_path / "instances.yaml"
    manifest.write_text("instances: []\n")
    assert not is_plan(manifest)
    other = tmp_path / "other.json"
    other.write_text('{"format": "something else"}')
    assert not is_plan(other)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    with pytest.raises(InvalidSpec, match=r"the plan .*missing\.json cannot be read: .*No such file"):
        is_plan(missing)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(InvalidSpec, match=r"the plan .*broken\.json cannot be read"):
        is_plan(broken)
    listed = tmp_path / "list.json"
    listed.write_text("[]")
    with pytest.raises(InvalidSpec, match=r"list\.json is not a plan: make one with `optaic plan --out"):
        is_plan(listed)


@pytest.mark.parametrize(("gone", "members", "burns"), [(0, 0, False), (1, 2, False), (2, 3, True), (1, 1, True)])
def test_the_fuse_burns_at_more_than_half(gone: int, members: int, burns: bool) -> None:
    plan = planned(gone=tuple(f"i{n}" for n in range(gone)), members=members)
    if not burns:
        plan.check_fuse()
        return
    with pytest.raises(WouldRemoveMost, match=rf"this would delete {gone} of {members} instances, more than half"):
        plan.check_fuse()
