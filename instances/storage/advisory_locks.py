"""Advisory locks of Postgres: what only one process at a time may do on a database.

There is one way to take them: in a transaction, for as long as that lasts. So nothing has to give one back, a
process that dies holds none, and a pooler between a process and Postgres leaves none behind.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.functions import Function


class Lock(IntEnum):
    """All locks there are, with their keys: any number will do, but it must stay, for older code waits by it too."""

    APPLY = 0x6170706C79  # a plan and what comes of it, on one extension database
    MIGRATION = 0x6F707461  # of one extension database
    PROMOTION = 0x70726F6D  # of one model: who its champion is
    RECORD = 0x7265636F  # of one flow: what its newest run left
    MLFLOW_TABLES = 0x6D6C666C6F77  # MLflow's own, on the database that it has


def take(connection: Connection, lock: Lock, of: str | None = None) -> None:
    """Wait for a lock, and hold it until the transaction of this connection ends.

    With `of`, which names a model or a flow, those who take it of another one don't wait. Its key has 32 bits.
    """
    connection.execute(select(func.pg_advisory_xact_lock(*_key(lock, of))))


def try_to_take(connection: Connection, lock: Lock) -> bool:
    """Say whether a lock was free; then it is held until the transaction of this connection ends."""
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(*_key(lock)))))


@contextmanager
def held(engine: Engine, lock: Lock, of: str | None = None) -> Iterator[None]:
    """Wait for a lock, and hold it for the length of a block; see `take`."""
    with holder(engine) as connection:
        take(connection, lock, of)
        yield


@contextmanager
def holder(engine: Engine) -> Iterator[Connection]:
    """Yield a connection to take locks on; it holds them until the end of the block, or until it is lost."""
    connection = engine.connect()
    try:
        yield connection
    finally:
        with suppress(SQLAlchemyError):  # one that was lost holds nothing any more
            connection.close()


def _key(lock: Lock, of: str | None = None) -> tuple[int | Function[int], ...]:
    return (lock.value,) if of is None else (lock.value, func.hashtext(of))
