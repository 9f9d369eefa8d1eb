import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from instances.errors import NotMigrated
from instances.storage.migrations import config, head, require_current, upgrade
from instances.storage.tables import SCHEMA, Base

HEAD = ScriptDirectory.from_config(config()).get_current_head()


@pytest.fixture
def empty(postgres_url: str) -> Iterator[Engine]:
    """A database that was never migrated."""
    name = f"empty_{uuid4().hex}"
    maintenance = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = create_engine(make_url(postgres_url).set(database=name))
    yield engine
    engine.dispose()
    with maintenance.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    maintenance.dispose()


def test_the_files_are_named_by_their_versions() -> None:
    assert head() == HEAD


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names(schema=SCHEMA))


def test_the_upgrade_is_safe_from_many_threads_at_once(empty: Engine) -> None:
    barrier = Barrier(4)

    def migrate(_: int) -> None:
        barrier.wait()
        upgrade(empty)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, range(4)))
    with empty.connect() as connection:
        require_current(connection)
        assert connection.scalars(text(f"SELECT version_num FROM {SCHEMA}.alembic_version")).all() == [HEAD]


def test_the_upgrade_makes_all_tables_in_their_own_schema(empty: Engine) -> None:
    upgrade(empty)
    names = {table.name for table in Base.metadata.tables.values()}
    assert tables(empty) == names | {"alembic_version"}
    assert inspect(empty).get_table_names(schema="public") == []


def test_a_second_upgrade_changes_nothing(empty: Engine) -> None:
    upgrade(empty)
    with empty.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO {SCHEMA}.instance (id, name, kept_as, type, project, spec) "
                "VALUES (:id, 'x', 'x', 'store', 'p', '{}')"
            ),
            {"id": uuid4()},
        )
    upgrade(empty)
    with empty.connect() as connection:
        assert connection.scalar(text(f"SELECT name FROM {SCHEMA}.instance")) == "x"


def test_costs_in_basis_points_become_shares(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        command.upgrade(config(connection), "0007")
        backtest = {"type": "backtest", "name": "b", "config": {"transaction_costs": 5.0, "slippage_bps": 5.0}}
        other = {"type": "dataset", "name": "d", "config": {"transaction_costs": 5.0}}
        flow, run = uuid4(), uuid4()
        for spec in (backtest, other):
            connection.execute(
                text(
                    f"INSERT INTO {SCHEMA}.instance (id, name, type, project, spec) "
                    "VALUES (:id, :name, :type, 'p', :spec)"
                ),
                {"id": uuid4(), "name": spec["name"], "type": spec["type"], "spec": json.dumps(spec)},
            )
        connection.execute(
            text(
                f"INSERT INTO {SCHEMA}.flow (id, instance_id, kind, config_hash, settings) "
                f"SELECT :id, id, 'backtest', 'x', '{{}}' FROM {SCHEMA}.instance WHERE name = 'b'"
            ),
            {"id": flow},
        )
        order = {"pins": [], "instances": {"b": {"spec": backtest}, "d": {"spec": other}}}
        connection.execute(
            text(
                f"INSERT INTO {SCHEMA}.run (prefect_run_id, flow_id, kind, config_hash, fingerprint, admission, "
                "report, guarded_at, work_order) VALUES (:id, :flow, 'BacktestRun', 'x', 'x', 'x', '{}', now(), :order)"
            ),
            {"id": run, "flow": flow, "order": json.dumps(order)},
        )
    upgrade(empty)
    with empty.connect() as connection:
        specs = dict(connection.execute(text(f"SELECT name, spec FROM {SCHEMA}.instance")).tuples().all())
        kept = connection.scalar(text(f"SELECT work_order FROM {SCHEMA}.run"))
    today = backtest | {"config": {"transaction_costs": 0.0005, "slippage_bps": 5.0}}
    assert specs == {"b": today, "d": other}
    assert kept == {"pins": [], "instances": {"b": {"spec": today}, "d": {"spec": other}}}


def test_an_upgrade_that_fails_leaves_nothing_behind(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        connection.execute(text(f"CREATE TABLE {SCHEMA}.run (id int)"))
    with pytest.raises(Exception, match="already exists"):
        upgrade(empty)
    assert tables(empty) == {"run"}


def test_a_database_that_is_not_migrated_says_what_to_do(empty: Engine) -> None:
    with empty.connect() as connection, pytest.raises(NotMigrated) as caught:
        require_current(connection)
    assert str(caught.value).startswith(
        f"the extension database is at schema version none, this code needs {HEAD}. Run `optaic up`"
    )


def test_a_database_of_another_version_is_refused(empty: Engine) -> None:
    upgrade(empty)
    with empty.begin() as connection:
        connection.execute(text(f"UPDATE {SCHEMA}.alembic_version SET version_num = '9999'"))
        with pytest.raises(
            NotMigrated, match=f"^the extension database is at schema version 9999, this code needs {HEAD}"
        ):
            require_current(connection)


def test_a_migrated_database_is_current(database: Engine) -> None:
    with database.connect() as connection:
        require_current(connection)
