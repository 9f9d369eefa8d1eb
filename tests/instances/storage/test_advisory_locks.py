"""Locks: one at a time, of one thing, and never left behind."""

import threading

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from instances.storage.advisory_locks import Lock, held, holder, take, try_to_take

HOLDERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"


def holders(database: Engine) -> int:
    with database.connect() as connection:
        return int(connection.execute(text(HOLDERS)).scalar_one())


@pytest.mark.parametrize("of", [None, "returns"])
def test_who_comes_second_waits_for_the_end_of_the_first(database: Engine, of: str | None) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with held(database, Lock.PROMOTION, of=of):
            order.append("second")

    with held(database, Lock.PROMOTION, of=of):
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait(10)
        thread.join(0.3)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_another_lock_and_one_of_another_thing_are_free(database: Engine) -> None:
    with (
        held(database, Lock.APPLY),
        held(database, Lock.MIGRATION),
        held(database, Lock.MLFLOW_TABLES),
        held(database, Lock.PROMOTION, of="returns"),
        held(database, Lock.PROMOTION, of="volatility"),
    ):
        assert holders(database) == 5
    assert holders(database) == 0


def test_a_try_says_whether_it_was_free(database: Engine) -> None:
    with holder(database) as one, holder(database) as other:
        assert try_to_take(one, Lock.APPLY)
        assert not try_to_take(other, Lock.APPLY)
        one.rollback()
        assert try_to_take(other, Lock.APPLY)


def test_the_end_of_the_transaction_frees_it_whatever_the_connection_does_then(database: Engine) -> None:
    with database.connect() as connection:
        with connection.begin():
            take(connection, Lock.MIGRATION)
            assert holders(database) == 1
        assert holders(database) == 0


def test_a_lost_connection_holds_nothing_and_takes_nothing_with_it(database: Engine) -> None:
    # As in a pool of its own: the loss must not be told by another holder's connection.
    own = create_engine(database.url)
    with held(own, Lock.APPLY):
        with database.connect() as connection:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            assert connection.scalars(text(ended)).all() == [True]
        with holder(database) as other:
            assert try_to_take(other, Lock.APPLY)
    own.dispose()


def test_a_database_that_is_not_there_is_an_error_at_once() -> None:
    nowhere = create_engine("postgresql+psycopg://postgres@/postgres?host=/nowhere")
    with pytest.raises(OperationalError), held(nowhere, Lock.APPLY):
        raise AssertionError("it was taken")


OLDER = {
    Lock.APPLY: "418498243705",
    Lock.MIGRATION: "1869640801",
    Lock.PROMOTION: "1886547821, hashtext('returns')",
    Lock.MLFLOW_TABLES: "120312342278007",
    Lock.RECORD: "1919247215, hashtext('returns')",
}


@pytest.mark.parametrize("lock", Lock)
def test_processes_of_older_code_wait_by_the_same_keys(database: Engine, lock: Lock) -> None:
    def is_free() -> bool:
        with database.connect() as older:
            return bool(older.scalar(text(f"SELECT pg_try_advisory_lock({OLDER[lock]})")))

    with held(database, lock, of="returns" if lock in (Lock.PROMOTION, Lock.RECORD) else None):
        assert not is_free()
    assert is_free()
