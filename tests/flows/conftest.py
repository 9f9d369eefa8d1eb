"""Labs for the tests of flows."""

import asyncio
from pathlib import Path

import pytest

from prefect_optaic.stack import Target
from tests.flows.lab import Play, Scenario, lab


@pytest.fixture
def play(stack: Target, tmp_path: Path) -> Play:
    """Play a scenario in a lab of its own."""

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            async with lab(tmp_path) as opened_lab:
                await scenario(opened_lab)

        asyncio.run(main())

    return run
