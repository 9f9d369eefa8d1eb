"""What the tests of the repository and the ledger share."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

from definitions.contract import FlowKind
from instances.specification.specs import ComponentSpec, DatasetSpec
from instances.storage.repository import Repository
from instances.storage.writer import Writer
from instances.world.facts import FlowId
from tests.instances.catalogue import resolved
from tests.instances.sample_world import NOW


def saved(engine: Engine, *specs: ComponentSpec | DatasetSpec) -> Repository:
    """Return a repository in which these specs and their parts are applied."""
    Writer(engine).save(resolved(*specs), NOW)
    return Repository(engine)


def refresh_ids(repository: Repository) -> dict[str, FlowId]:
    """Return the ids of all refresh flows, by instance."""
    return {flow.instance: flow.flow_id for flow in repository.flows() if flow.kind is FlowKind.REFRESH}


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Collect the SQL statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
