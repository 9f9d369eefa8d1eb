"""`refresh` of a dataset, on the real servers: rows that nobody could read are not committed."""

from pathlib import Path
from typing import Any

import pytest

from prefect_optaic.manifest import described
from prefect_optaic.manifests.manifest_files import Document
from tests.flows.lab import Lab, Play

PLAIN = "date,entity,close\n2024-01-02,A,1.0\n"
REVISED = "date,entity,knowledge_date,close\n2024-01-02,A,2024-01-03,1.0\n"


def manifest(lab: Lab, name: str, file: Path, accessor: str) -> Any:
    entry = {
        "name": lab.prefix + name,
        "type": "dataset",
        "pipeline_instance": {"definition": "csv", "config": {"path": str(file)}},
        "accessor_instance": {"definition": accessor},
    }
    return described([Document("a.yaml", {"instances": [entry]})], {}).specs


@pytest.mark.parametrize(
    ("accessor", "text", "fitting", "problem"),
    [
        (
            "point-in-time",
            PLAIN,
            REVISED,
            "the rows have no knowledge_date, which the accessor 'point-in-time'",
        ),
        ("simple", REVISED, PLAIN, "the rows have a knowledge_date, so they may be revised, and the accessor 'simple'"),
    ],
)
def test_rows_that_the_accessor_can_not_read_are_refused_before_they_are_committed(
    play: Play, tmp_path: Path, accessor: str, text: str, fitting: str, problem: str
) -> None:
    async def scenario(lab: Lab) -> None:
        file = tmp_path / "rows.csv"
        file.write_text(text)
        await lab.bootstrap(manifest=manifest(lab, "prices", file, accessor))
        state = await lab.run("prices")
        assert state.is_failed()
        assert problem in str(state.message)
        assert lab.rows("prices") == {}
        assert (await lab.verdict("prices")).status == "ERROR"

        file.write_text(fitting)
        assert (await lab.run("prices")).is_completed()

    play(scenario)
