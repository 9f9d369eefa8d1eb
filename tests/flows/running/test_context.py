"""What the work of a run gets, and what an extra of its frame may not do to it."""

from typing import cast
from uuid import uuid4

import httpx
import polars as pl
import pytest
from prefect.exceptions import PrefectException
from prefect.logging import disable_run_logger
from sqlalchemy.exc import SQLAlchemyError

from definitions.contract import Input
from flows.integrations.services import Services
from flows.running.context import Context, NothingToRead
from flows.running.guard import log_failure
from instances.specification.applied import AppliedInstance
from tests.instances.catalogue import dataset

PRICES = Input("prices", "prices", pl.DataFrame())


def context(*inputs: Input) -> Context:
    return Context(cast(Services, None), uuid4(), AppliedInstance(dataset("s", "prices")), inputs)


def test_what_a_run_needs_is_there_or_named() -> None:
    assert context(PRICES).needed("prices") is PRICES
    with pytest.raises(NothingToRead) as caught:
        context(PRICES).needed("features")
    assert str(caught.value) == (
        "s: no version was pinned of the upstream in the role 'features', which the run needs. "
        "Run that upstream first, and see that its upstream_ref is required."
    )


@pytest.mark.parametrize("error", [SQLAlchemyError("gone"), httpx.ConnectError("gone"), PrefectException(), OSError()])
def test_an_event_that_can_not_be_sent_does_not_decide_how_a_run_ends(error: Exception) -> None:
    with disable_run_logger(), log_failure("the event"):
        raise error
