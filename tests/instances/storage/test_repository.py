import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from definitions.contract import FlowKind
from instances.errors import UnknownFlow, UnknownInstance
from instances.specification.applied import FlowRecord
from instances.specification.fields import UpstreamRef
from instances.specification.schedules import Schedule
from instances.specification.specs import ComponentSpec, DatasetSpec
from instances.storage.repository import Repository
from instances.storage.tables import EdgeRow
from instances.storage.writer import Writer
from instances.world.facts import Edge, FlowId
from tests.instances.catalogue import LOOSE_PART, PARTS, component, dataset, signal
from tests.instances.database import refresh_ids, saved, statements
from tests.instances.sample_world import NOW, days
from tests.properties import examples

# Specs


def test_specs_come_back_as_they_were_saved(database: Engine) -> None:
    specs: list[ComponentSpec | DatasetSpec] = [
        *PARTS[:1],
        component("dated", "pipeline", "csv", config={"path": "b.csv", "rows": 3}, project="lab", description="Dated."),
        dataset("prices", schedule=Schedule(type="cron", expression="0 18 * * 1-5"), source_retry="20m"),
        signal("momentum", {"instance": "prices", "max_age": "3d"}, signal_spec={"min": -1, "max": 20}, auto=True),
    ]
    repository = saved(database, *specs[1:])
    stored = {spec.name: spec for spec in repository.specs()}
    assert list(stored) == sorted(stored)
    for spec in specs:
        assert stored[spec.name] == spec
        assert type(stored[spec.name]) is type(spec)
        assert repository.spec(spec.name) == spec


def test_a_config_may_hold_what_yaml_makes_of_a_date(database: Engine) -> None:
    # YAML reads 2020-01-01 as a date, for which JSON has no type.
    dated = component("dated", "pipeline", "csv", config={"path": dt.date(2020, 1, 1)})
    assert (
        saved(database, dated).spec("dated")
        == dated
        == component("dated", "pipeline", "csv", config={"path": "2020-01-01"})
    )


def test_an_unknown_instance_is_named_with_those_that_are_there(database: Engine) -> None:
    with pytest.raises(UnknownInstance) as caught:
        Repository(database).spec("prices")
    assert str(caught.value) == (
        "there is no instance named 'prices'; there are: none. Apply a manifest that describes it, or correct the name."
    )
    with pytest.raises(UnknownInstance, match=r"no instance named 'price'; did you mean 'prices'\?"):
        saved(database, dataset("prices")).spec("price")


def test_of_an_instance_that_was_renamed_its_present_name_is_told(database: Engine) -> None:
    repository = saved(database, dataset("px"))
    Writer(database).rename({"px": "closes"}, ["closes"])
    Writer(database).rename({"closes": "prices"}, ["prices"])
    for former in ("px", "closes"):
        for ask in (repository.spec, repository.flow):
            with pytest.raises(UnknownInstance) as caught:
                ask(former)
            assert str(caught.value) == (
                f"there is no instance named {former!r} any more: it is called 'prices' now. Say that name."
            )


# Flows


def test_flows_are_those_of_the_named_instances(database: Engine) -> None:
    repository = saved(database, dataset("a"), dataset("b", "a"), dataset("c"))
    assert [f.instance for f in repository.flows()] == ["a", "b", "c"]
    assert [f.instance for f in repository.flows(instances=["c", "a", "unknown"])] == ["a", "c"]
    assert repository.flows(instances=[]) == ()


def test_a_flow_is_read_with_its_handles_settings_and_edges(database: Engine) -> None:
    repository = saved(database, dataset("a", on_stale="refresh"), dataset("s", {"instance": "a", "max_age": "14d"}))
    ids = refresh_ids(repository)
    deployment = uuid4()
    repository.set_deployment(ids["s"], deployment)
    (found,) = repository.flows(instances=["s"])
    assert found == FlowRecord(
        flow_id=ids["s"],
        instance="s",
        type="dataset",
        kind=FlowKind.REFRESH,
        deployment_id=deployment,
        config_hash=found.config_hash,
        settings=dataset("s").flow_settings(FlowKind.REFRESH),
        edges=(Edge(ids["a"], max_age=days(14)),),
        configured_at=NOW,
        scheduled_at=NOW,
    )
    assert repository.flow_of_deployment(deployment) == found
    assert repository.flow_of_deployment(uuid4()) is None


def test_a_flow_is_found_by_instance_and_kind(database: Engine) -> None:
    repository = saved(database, dataset("a"))
    assert repository.flow("a", "refresh").flow_id == refresh_ids(repository)["a"]
    assert (repository.flow("a", "refresh"),) == repository.flows(instances=["a"])
    with pytest.raises(UnknownFlow) as caught:
        repository.flow("a", "train")
    assert str(caught.value) == "instance 'a' has no flow 'train'; its flows are: refresh."
    with pytest.raises(UnknownFlow) as caught:
        repository.flow("delta", "refresh")
    assert str(caught.value) == (
        "instance 'delta' has no flow 'refresh'; its flows are: none (it is a part of other instances)."
    )
    with pytest.raises(UnknownInstance):
        repository.flow("b", "refresh")


def test_children_are_the_flows_directly_downstream_each_once(database: Engine) -> None:
    repository = saved(
        database,
        dataset("a"),
        dataset("b", "a", {"instance": "a", "role": "universe"}),
        dataset("c", "b", {"instance": "a", "role": "universe", "required": False}),
        dataset("d", "c"),
    )
    ids = refresh_ids(repository)
    assert set(repository.children(ids["a"])) == {ids["b"], ids["c"]}
    assert len(repository.children(ids["a"])) == 2
    assert repository.children(ids["d"]) == ()


def test_the_only_flow_of_an_instance(database: Engine) -> None:
    repository = saved(database, dataset("a"))
    assert repository.flow("a").kind is FlowKind.REFRESH
    with pytest.raises(UnknownFlow, match=r"^instance 'delta' has not just one flow: say which; its flows are: none"):
        repository.flow("delta")
    with pytest.raises(UnknownInstance):
        repository.flow("b")


def test_instances_come_with_their_parts_at_the_applied_versions(database: Engine) -> None:
    repository = saved(database, dataset("prices"), signal("momentum", "prices"))
    found = repository.applied(["prices", "momentum", "delta", "unknown"])
    assert set(found) == {"prices", "momentum", "delta"}
    assert found["delta"].spec == component("delta", "store", "delta", definition_version=1)
    assert found["momentum"].spec == signal("momentum", "prices")
    assert found["prices"].parts == {
        "pipeline": component("csv", "pipeline", "csv", definition_version=2),
        "store": component("delta", "store", "delta", definition_version=1),
        "accessor": component("simple", "accessor", "simple", definition_version=1),
    }


# Surroundings

KINDS: dict[str, dict[str, Any]] = {"strict": {}, "tolerant": {"max_age": "1d"}, "optional": {"required": False}}
NODES = [f"d{n}" for n in range(9)]
lineages = st.dictionaries(
    st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(lambda pair: pair[0] < pair[1]),
    st.sampled_from(sorted(KINDS)),
    max_size=16,
)


def brute_force(lineage: dict[tuple[int, int], str], starts: list[int]) -> set[str]:
    """Walk as `surroundings` promises: the starts, their strict ancestors, and two steps up from all of those."""
    found = set(starts)
    for _ in NODES:
        found |= {up for (up, down), kind in lineage.items() if down in found and kind == "strict"}
    for _ in range(2):
        found |= {up for up, down in lineage if down in found}
    return {NODES[n] for n in found}


@examples(15, suppress=[HealthCheck.function_scoped_fixture])
@given(lineage=lineages, starts=st.lists(st.integers(0, 8), unique=True, max_size=3))
def test_surroundings_are_what_a_walk_finds(
    database: Engine, lineage: dict[tuple[int, int], str], starts: list[int]
) -> None:
    refs = {
        down: [
            UpstreamRef.model_validate({"instance": NODES[up]} | KINDS[kind])
            for (up, to), kind in sorted(lineage.items())
            if to == down
        ]
        for down in range(9)
    }
    nodes = (dataset(name, *refs[n], pipeline_instance="loose") for n, name in enumerate(NODES))
    repository = saved(database, LOOSE_PART, *nodes)
    ids = refresh_ids(repository)
    found = repository.surroundings([ids[NODES[n]] for n in starts])
    assert {flow.instance for flow in found} == brute_force(lineage, starts)
    assert len({flow.flow_id for flow in found}) == len(found)
    whole = {flow.instance: flow for flow in repository.flows()}
    assert all(flow == whole[flow.instance] for flow in found)


def test_surroundings_end_where_there_is_a_cycle(database: Engine) -> None:
    repository = saved(database, dataset("a"), dataset("b", "a"))
    ids = refresh_ids(repository)
    with Session(database) as session, session.begin():
        session.add(EdgeRow(flow_id=ids["a"], upstream_flow_id=ids["b"], role="input", required=True))
    assert {f.instance for f in repository.surroundings([ids["b"]])} == {"a", "b"}


def test_surroundings_of_an_unknown_flow_are_none(database: Engine) -> None:
    assert Repository(database).surroundings([FlowId(uuid4())]) == ()


@pytest.mark.parametrize("upstreams", [1, 10, 100, 1000])
def test_surroundings_cost_one_statement_however_many_upstreams(database: Engine, upstreams: int) -> None:
    start = _many_flows(database, upstreams)
    with statements(database) as sent:
        found = Repository(database).surroundings([start])
    assert len(found) == upstreams + 1
    assert len([s for s in sent if "FROM optaic" in s]) == len(sent) == 1


def _many_flows(engine: Engine, upstreams: int) -> FlowId:
    """Write flows by SQL: half of the upstreams in a chain, half directly above the one that is returned."""
    saved(engine, dataset("last"))
    (last,) = refresh_ids(Repository(engine)).values()
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO optaic.instance (id, name, kept_as, type, project, spec) "
                "SELECT gen_random_uuid(), 'u' || n, 'u' || n, 'dataset', 'default', '{}' FROM generate_series(1, :n) n"
            ),
            {"n": upstreams},
        )
        connection.execute(
            text(
                "INSERT INTO optaic.flow (id, instance_id, kind, config_hash, settings) "
                "SELECT gen_random_uuid(), id, 'refresh', 'config', '{}' FROM optaic.instance WHERE name ~ '^u[0-9]+$'"
            )
        )
        connection.execute(
            text(
                "WITH flows AS (SELECT f.id, substr(i.name, 2)::int AS n FROM optaic.flow f JOIN optaic.instance i "
                "ON i.id = f.instance_id WHERE i.name ~ '^u[0-9]+$') "
                "INSERT INTO optaic.edge (flow_id, upstream_flow_id, role, required) "
                "SELECT CASE WHEN a.n > :n / 2 OR a.n = 1 THEN :last ELSE b.id END, a.id, 'input', true "
                "FROM flows a LEFT JOIN flows b ON b.n = a.n - 1"
            ),
            {"n": upstreams, "last": last},
        )
    return last


# Handles


def test_a_deployment_belongs_to_one_flow(database: Engine) -> None:
    repository = saved(database, dataset("a"), dataset("b"))
    ids = refresh_ids(repository)
    deployment = UUID(int=1)
    repository.set_deployment(ids["a"], deployment)
    repository.set_deployment(ids["a"], deployment)
    (found,) = repository.flows(instances=["a"])
    assert found.deployment_id == deployment
