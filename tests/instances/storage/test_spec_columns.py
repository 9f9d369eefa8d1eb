"""What is particular to a type is in its own table, as the spec has it: after an apply, and after a rename."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from definitions.registry import default_registry
from instances.specification.fields import (
    BacktestFields,
    ExperimentFields,
    ModelFields,
    PortfolioOptimizerFields,
    SignalFields,
)
from instances.specification.resolution import resolve
from instances.storage.spec_columns import spec_columns
from instances.storage.tables import ROWS, InstanceRow
from instances.storage.writer import Writer
from tests.flows.chain import chain
from tests.instances.sample_world import NOW

FIELDS: dict[str, type[BaseModel]] = {
    "signal": SignalFields,
    "experiment": ExperimentFields,
    "model": ModelFields,
    "portfolio_optimizer": PortfolioOptimizerFields,
    "backtest": BacktestFields,
}


@pytest.mark.parametrize("type_", ROWS)
def test_a_type_has_columns_for_the_fields_that_are_its_own(type_: str) -> None:
    own = FIELDS[type_].model_fields.keys() if type_ in FIELDS else set()
    assert set(spec_columns(ROWS[type_])) == own - {"definition"}  # of which there is a column with its version


def repeated(engine: Engine) -> dict[str, dict[str, Any]]:
    """Return, by instance, the fields that its own table has, each as its spec has it: they agree."""
    found = {}
    with Session(engine) as session:
        for row in session.scalars(select(InstanceRow)):
            columns = {name: getattr(row, name) for name in spec_columns(type(row))}
            assert columns == {name: row.spec[name] for name in columns}
            found[row.name] = columns
    return found


def test_they_are_what_the_spec_says_also_under_other_names(database: Engine, tmp_path: Path) -> None:
    Writer(database).save(resolve(chain("", tmp_path), default_registry()), NOW)
    before = repeated(database)
    assert before["backtest"]["optimizer"] == "portfolio"
    assert before["backtest"]["assets"]["instance"] == "prices"
    assert before["returns"]["champion_max_age"] == "2w"
    Writer(database).rename({"portfolio": "weights", "prices": "closes"}, ["weights", "closes"])
    after = repeated(database)
    assert after["backtest"]["optimizer"] == "weights"
    assert after["backtest"]["assets"]["instance"] == "closes"
