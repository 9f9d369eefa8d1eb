"""Runs as Prefect's API tells of them, and the facts that the real reader makes of that.

A simulated Prefect speaks through this door, so that the domain's tests are fed by what the real one gives.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flows.reading.run_reader import ended_fact, live_fact
from instances.world.facts import ENDED, RunFact, RunId, RunState

Json = dict[str, Any]
NOBODY = UUID(int=1)


def run_json(
    run_id: RunId,
    state: RunState,
    name: str,
    at: dt.datetime,
    *,
    due: dt.datetime | None = None,
    message: str = "",
    parameters: Mapping[str, object] | None = None,
) -> Json:
    """Return a run in the state that it reached at a moment, as an answer of the API has it."""
    return {
        "id": str(run_id),
        "flow_id": str(NOBODY),
        "deployment_id": str(NOBODY),
        "name": "a run",
        "parameters": {"instance": "an instance", **(parameters or {})},
        "state_type": state.value,
        "state_name": name,
        "state": {"id": str(run_id), "type": state.value, "name": name, "message": message, "timestamp": _text(at)},
        "expected_start_time": _text(due or at),
        "start_time": None if state is RunState.SCHEDULED else _text(due or at),
        "end_time": _text(at) if state in ENDED else None,
    }


def as_read(answer: Json) -> RunFact:
    """Return what the reader makes of a run in an answer of the API."""
    return ended_fact(answer) if answer["state_type"] in ENDED else live_fact(answer)


def _text(moment: dt.datetime) -> str:
    """Write a moment as the API does."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
