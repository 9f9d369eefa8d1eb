"""What bootstrap writes to Postgres: what differs, and no more."""

import datetime as dt
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from definitions.contract import FlowKind, Kind
from instances.specification.plugins import ConfiguredDefinition
from instances.specification.resolution import ResolvedFlow, ResolvedInstance
from instances.storage.repository import Repository
from instances.storage.tables import (
    ClaimRow,
    DatasetInstanceRow,
    DefinitionRow,
    EdgeRow,
    FlowRow,
    InstanceRow,
    RequestRow,
    RunInputRow,
    RunRow,
    SignalInstanceRow,
)
from instances.storage.writer import Writer
from instances.world.facts import Edge, FlowId
from tests.instances.catalogue import CSV_2, DELTA, NoParameters, component, dataset, definition, resolved, signal
from tests.instances.database import refresh_ids, saved, statements
from tests.instances.sample_world import NOW, hours

WRITES = ("INSERT", "UPDATE", "DELETE")


def updated_at(engine: Engine) -> dict[str, dt.datetime]:
    with Session(engine) as session:
        return dict(session.execute(select(InstanceRow.name, InstanceRow.updated_at)).tuples().all())


def contents(engine: Engine) -> dict[str, Any]:
    """Return every row of every table, but for the order."""
    with engine.connect() as connection:
        tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'optaic'")).all()
        return {t: sorted(map(str, connection.execute(text(f"SELECT * FROM optaic.{t}")))) for t in tables}


def count(engine: Engine, table: type[Any]) -> int:
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


# Saving


def test_saving_the_same_again_writes_nothing(database: Engine) -> None:
    specs = [dataset("prices"), signal("momentum", "prices", {"instance": "prices", "role": "universe"})]
    repository = saved(database, *specs)
    repository.set_deployment(refresh_ids(repository)["prices"], uuid4())
    before = contents(database)
    with statements(database) as sent:
        Writer(database).save(resolved(*specs), NOW)
    assert [statement for statement in sent if statement.startswith(WRITES)] == []
    assert contents(database) == before


def test_only_what_changed_is_updated(database: Engine) -> None:
    repository = saved(database, dataset("prices"), signal("momentum", "prices"))
    before, ids = updated_at(database), refresh_ids(repository)
    Writer(database).save(resolved(dataset("prices", description="Daily."), signal("momentum", "prices")), NOW)
    after = updated_at(database)
    assert {name for name in after if after[name] != before[name]} == {"prices"}
    assert refresh_ids(repository) == ids


def test_a_change_reaches_settings_and_configuration_hash(database: Engine) -> None:
    repository = saved(database, dataset("a"), signal("s", "a"))
    Writer(database).save(resolved(dataset("a"), signal("s", "a", on_stale="warn", signal_spec={"min": 0})), NOW)
    flow = next(f for f in repository.flows() if f.instance == "s")
    (wanted,) = next(
        i.flows
        for i in resolved(dataset("a"), signal("s", "a", signal_spec={"min": 0}))
        if i.flows and i.spec.name == "s"
    )
    assert flow.settings.on_stale == "warn"
    assert flow.config_hash == wanted.config_hash


def test_edges_are_replaced(database: Engine) -> None:
    repository = saved(database, dataset("a"), dataset("b"), dataset("s", "a", {"instance": "b", "max_age": "1d"}))
    ids = refresh_ids(repository)
    Writer(database).save(
        resolved(
            dataset("a"), dataset("b"), dataset("s", "b", {"instance": "b", "role": "universe", "required": False})
        ),
        NOW,
    )
    flow = next(f for f in repository.flows() if f.instance == "s")
    assert flow.edges == (Edge(ids["b"], "input"), Edge(ids["b"], "universe", required=False))


def test_an_instance_may_lose_all_its_edges(database: Engine) -> None:
    saved(database, dataset("a"), dataset("s", "a"))
    Writer(database).save(resolved(dataset("a"), dataset("s")), NOW)
    assert count(database, EdgeRow) == 0
    assert count(database, FlowRow) == 2


@pytest.mark.parametrize(
    ("first", "second", "there"),
    [
        (dataset("x"), component("x", "store", "delta"), "a dataset"),
        (dataset("x"), signal("x"), "a dataset"),
        (signal("x"), dataset("x"), "a signal"),
    ],
)
def test_a_name_keeps_its_type(database: Engine, first: Any, second: Any, there: str) -> None:
    saved(database, first)
    before = contents(database)
    assert Writer(database).problems(resolved(second)) == [
        f"x: there is {there} of this name already; choose another name"
    ]
    assert Writer(database).problems(resolved(first)) == []
    assert contents(database) == before


def test_a_save_that_fails_writes_nothing(database: Engine) -> None:
    good = resolved(dataset("a"), dataset("b", "a"))
    dangling = replace(
        good[-1].flows[0], edges=(replace(good[-1].flows[0].edges[0], upstream=("x", FlowKind.REFRESH)),)
    )
    with pytest.raises(KeyError):
        Writer(database).save([*good[:-1], replace(good[-1], flows=(dangling,))], NOW)
    assert Repository(database).specs() == ()


# Tables


def test_the_tables_have_the_names_that_users_know(database: Engine) -> None:
    saved(database, dataset("prices"), signal("momentum", "prices", signal_spec={"min": -1}))
    with database.connect() as connection:
        row = connection.execute(
            text(
                "SELECT i.type, p.name AS pipeline, s.name AS store, a.name AS accessor, g.signal_spec->'min' AS min "
                "FROM optaic.instance i JOIN optaic.dataset_instance d USING (id)"
                " JOIN optaic.signal_instance g USING (id) "
                "JOIN optaic.instance p ON p.id = d.pipeline_instance_id "
                "JOIN optaic.instance s ON s.id = d.store_instance_id "
                "JOIN optaic.instance a ON a.id = d.accessor_instance_id WHERE i.name = 'momentum'"
            )
        ).one()
        assert tuple(row) == ("signal", "expression", "delta", "simple", -1)
        part = connection.execute(
            text(
                "SELECT definition, definition_version, config FROM optaic.pipeline_instance JOIN optaic.instance "
                "USING (id) WHERE name = 'csv'"
            )
        ).one()
        assert tuple(part) == ("csv", 2, {})


def test_a_signal_has_the_rows_of_a_dataset(database: Engine) -> None:
    saved(database, dataset("prices"), signal("momentum", "prices"))
    assert count(database, DatasetInstanceRow) == 2
    assert count(database, SignalInstanceRow) == 1


# Definitions


def test_definitions_are_noted_once_with_their_schema(database: Engine) -> None:
    saved(database, dataset("prices"))
    before = contents(database)
    saved(database, dataset("prices"))
    assert contents(database) == before
    with Session(database) as session:
        row = session.get_one(DefinitionRow, ("pipeline", "csv", 2))
        assert row.content_hash == CSV_2.content_hash
        assert row.parameters_schema == CSV_2.schema


def test_a_definition_that_changed_under_its_version_is_a_problem(database: Engine) -> None:
    saved(database, dataset("prices"))
    changed = definition(Kind.STORE, "delta", parameters=CSV_2.parameters)
    described = [
        replace(instance, configured=ConfiguredDefinition(changed, NoParameters()))
        if instance.definition == DELTA
        else instance
        for instance in resolved(dataset("prices"))
    ]
    assert Writer(database).problems(described) == [
        "store delta@1 has changed under the same version: its schema, flows or roles differ from those on record. "
        "Raise its version; a version's content never changes.",
    ]
    assert Writer(database).problems(resolved(dataset("prices"))) == []


# Removing


def with_train(instance: ResolvedInstance) -> ResolvedInstance:
    """Return an instance whose definition calls for one more flow, which reads what the first one reads."""
    (flow,) = instance.flows
    return replace(instance, flows=(flow, ResolvedFlow(flow.instance, FlowKind.TRAIN, "config", flow.edges)))


def with_history(engine: Engine, flow_id: FlowId, upstream: FlowId) -> None:
    """Give a flow a run with an input, a request and a claim."""
    now, run = dt.datetime.now(dt.UTC), uuid4()
    with Session(engine) as session, session.begin():
        session.add(
            RunRow(
                prefect_run_id=run,
                flow_id=flow_id,
                kind="RefreshRun",
                config_hash="config",
                fingerprint="print",
                admission="start",
                report={},
                guarded_at=now,
            )
        )
        session.flush()
        session.add(RunInputRow(run_id=run, upstream_flow_id=upstream, role="input", version="0"))
        session.add(RequestRow(flow_id=flow_id, parameters={}, created_at=now))
        session.add(ClaimRow(key=str(run), flow_id=flow_id, fingerprint="print", reason="asked for", claimed_at=now))


HISTORY: tuple[type[Any], ...] = (RunRow, RunInputRow, RequestRow, ClaimRow)


def test_a_flow_that_is_removed_takes_its_edges_and_its_history_along(database: Engine) -> None:
    instances = resolved(dataset("a"), dataset("s", "a"))
    Writer(database).save([*instances[:-1], with_train(instances[-1])], NOW)
    repository = Repository(database)
    train, refresh = repository.flow("s", "train").flow_id, repository.flow("s", "refresh").flow_id
    with_history(database, train, repository.flow("a", "refresh").flow_id)
    Writer(database).remove_flows([("s", FlowKind.TRAIN)])
    assert [(f.instance, f.kind) for f in repository.flows()] == [("a", FlowKind.REFRESH), ("s", FlowKind.REFRESH)]
    assert repository.flow("s", "refresh").flow_id == refresh
    assert [count(database, table) for table in HISTORY] == [0, 0, 0, 0]
    assert count(database, EdgeRow) == 1


def test_an_instance_that_is_removed_takes_all_its_rows_along_and_no_others(database: Engine) -> None:
    repository = saved(database, dataset("a"), dataset("s", "a"), dataset("t", "a"))
    ids = refresh_ids(repository)
    with_history(database, ids["s"], ids["a"])
    before = {spec.name: spec for spec in repository.specs()}
    Writer(database).remove(["s"])
    assert {spec.name: spec for spec in repository.specs()} == {n: s for n, s in before.items() if n != "s"}
    assert [count(database, table) for table in HISTORY] == [0, 0, 0, 0]
    assert refresh_ids(repository) == {"a": ids["a"], "t": ids["t"]}
    assert [flow.edges for flow in repository.flows()] == [(), (Edge(ids["a"], "input"),)]


def test_instances_that_read_each_other_go_together_with_their_parts(database: Engine) -> None:
    repository = saved(database, dataset("a"), signal("s", "a"))
    Writer(database).remove([spec.name for spec in repository.specs()])
    tables: tuple[type[Any], ...] = (InstanceRow, DatasetInstanceRow, SignalInstanceRow, FlowRow, EdgeRow)
    assert [count(database, table) for table in tables] == [0, 0, 0, 0, 0]


# Automations


def test_an_automation_is_noted_once_under_its_name(database: Engine) -> None:
    writer, first, second = Writer(database), uuid4(), uuid4()
    for automation in (first, second):
        writer.note_automation("overdue", automation)
    assert Repository(database).automations() == {"overdue": second}


# Since when a flow is as it is


def since(database: Engine) -> tuple[dt.datetime | None, dt.datetime | None]:
    (flow,) = (flow for flow in Repository(database).flows() if flow.instance == "a")
    return flow.configured_at, flow.scheduled_at


def save_at(database: Engine, hour: int, **fields: Any) -> tuple[dt.datetime | None, dt.datetime | None]:
    Writer(database).save(resolved(signal("a", **fields)), NOW + hours(hour))
    return since(database)


def test_a_flow_keeps_when_its_schedule_and_its_configuration_were_changed(database: Engine) -> None:
    daily = {"type": "cron", "expression": "57 20 * * *"}
    at = {hour: NOW + hours(hour) for hour in range(9)}
    assert save_at(database, 0) == (at[0], at[0])
    assert save_at(database, 1, schedule=daily) == (at[0], at[1])
    assert save_at(database, 2, schedule=daily, on_stale="warn") == (at[0], at[1])
    patient = {**daily, "retry_policy": {"max_retries": 2}}
    assert save_at(database, 3, schedule=patient) == (at[0], at[1])
    assert save_at(database, 4, schedule={**daily, "timezone": "Europe/London"}) == (at[0], at[4])
    assert save_at(database, 5, schedule={**daily, "enabled": False}) == (at[0], at[5])
    assert save_at(database, 6, schedule=daily, signal_spec={"min": 0}) == (at[6], at[6])
    assert save_at(database, 7, schedule=daily, signal_spec={"min": 0}) == (at[6], at[6])


def test_the_moment_of_a_deployment_s_schedule_is_noted_with_it(database: Engine) -> None:
    repository = saved(database, dataset("a"))
    flow_id = refresh_ids(repository)["a"]
    repository.set_deployment(flow_id, uuid4())
    assert since(database) == (NOW, NOW)
    repository.set_deployment(flow_id, uuid4(), scheduled_at=NOW + hours(1))
    assert since(database) == (NOW, NOW + hours(1))
