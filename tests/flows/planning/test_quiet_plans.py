"""A plan of what was applied is quiet, whatever the values: through Prefect's blocks and deployments, and the rows."""

from typing import Any

from tests.flows.lab import Lab, Play
from tests.flows.planning.described import described, said

AWKWARD: dict[str, Any] = {
    "description": "  Öl, “gold” & 100 % 🌍\n\n- a list\ttabbed  ",
    "project": "ein Projekt",
    "job_variables": {"great": 1e30, "greater": [2.709966592507033e16, 1e300], "small": 5e-324, "": {"none": None}},
    "schedule": {"type": "interval", "interval_minutes": 143_998_559},
    "freshness": {"max_age": "99999d", "grace": "61s"},
    "source_retry": "1w",
    "concurrency": 2**31 - 1,
}


def test_a_second_plan_has_nothing_to_do_whatever_the_values_are(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        signal: dict[str, Any] = {"type": "signal", "signal_spec": {"min": -1e30, "max": 1e30, "neutral": 1e23}}
        specs = (
            *described(lab, "prices", **AWKWARD),
            *described(lab, "signal", "prices", **signal),
            *described(lab, "n" * (63 - len(lab.prefix)), "signal", "prices"),
        )
        await lab.bootstrap(manifest=specs)
        assert said((await lab.plan(manifest=specs)).plan) == []
        assert said((await lab.plan()).plan) == []

    play(scenario)
