import datetime as dt
from dataclasses import fields

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from definitions.contract import FlowKind, Kind
from definitions.work.outcome import Outcome
from instances.errors import UnknownHandle
from instances.specification.handles import InstanceHandles
from instances.specification.resolution import resolve
from instances.specification.specs import spec_adapter
from instances.storage.handle_columns import HandleKind, ModelHandles, handle, handles_of, outside_handles, set_handles
from instances.storage.ledger import Ledger
from instances.storage.repository import Repository
from instances.storage.tables import ROWS, DatasetInstanceRow, ExperimentInstanceRow, RunRow
from instances.storage.writer import Writer
from tests.instances.catalogue import FewDefinitions, dataset, definition
from tests.instances.database import saved
from tests.instances.sample_world import NOW, run_id
from tests.instances.storage.test_ledger import guarded

DATA = ("last_data_date", "row_count", "data_version")
OUTSIDE = ("mlflow_experiment_id", "mlflow_registered_model_name", "evidently_project_id")


def test_each_type_of_row_has_the_handles_that_it_has_columns_for() -> None:
    assert {name: handles_of(row) for name, row in ROWS.items() if handles_of(row)} == {
        "dataset": DATA,
        "signal": DATA,
        "model": (*OUTSIDE, *DATA),
        "portfolio_optimizer": DATA,
        "backtest": DATA,
    }


def test_each_handle_is_told_in_python_and_in_json() -> None:
    told = {each.name for each in fields(InstanceHandles)}
    assert {name for row in ROWS.values() for name in handles_of(row)} <= told


def test_a_column_that_is_made_as_a_handle_is_one() -> None:
    class Base(DeclarativeBase):
        pass

    class Row(ModelHandles, Base):
        __tablename__ = "row"

        name: Mapped[str] = mapped_column(primary_key=True)
        type: Mapped[str]
        page: Mapped[str | None] = handle(HandleKind.OUTSIDE)

    row = Row(name="returns", type="model")
    assert set(handles_of(Row)) == {*OUTSIDE, "page"}
    assert outside_handles(row) == {}
    set_handles(row, {"page": "https://page"})
    assert outside_handles(row) == {"page": "https://page"}


def test_a_handle_that_a_row_has_no_column_for_is_refused() -> None:
    with pytest.raises(UnknownHandle) as caught:
        set_handles(DatasetInstanceRow(name="prices"), {"mlflow_experiment_id": "1"})
    assert str(caught.value) == (
        "dataset 'prices' has no handle 'mlflow_experiment_id'; its handles are: "
        "last_data_date, row_count, data_version. Use one of those."
    )
    with pytest.raises(UnknownHandle, match="experiment 'look' has no handle 'spec'; its handles are: none"):
        set_handles(ExperimentInstanceRow(name="look"), {"spec": "{}"})


def test_nothing_is_written_where_a_handle_is_unknown(database: Engine) -> None:
    saved(database, dataset("prices"))
    with pytest.raises(UnknownHandle, match="no handle 'mlflow_experiment'"):
        Writer(database).set_handle("prices", "mlflow_experiment", "1")


def test_a_preview_leaves_its_count_on_the_run_alone(database: Engine) -> None:
    look = spec_adapter.validate_python({"name": "look", "type": "experiment"})
    previewed = definition(Kind.PIPELINE, "expression", flows=(FlowKind.PREVIEW,))
    Writer(database).save(resolve([look], FewDefinitions(previewed)), NOW)
    flow_id, ledger = Repository(database).flow("look", FlowKind.PREVIEW).flow_id, Ledger(database)
    ledger.record_guard(guarded("e1", flow_id, kind=FlowKind.PREVIEW))
    ledger.record_outcome(run_id("e1"), Outcome(None, dt.date(2026, 3, 10), row_count=500), NOW)
    with Session(database) as session:
        assert session.scalars(select(RunRow.row_count)).one() == 500
        assert not hasattr(session.scalars(select(ExperimentInstanceRow)).one(), "row_count")
