"""`backtest` on the real servers: a universe by date is one more input, which the guard pins."""

from pathlib import Path
from typing import Any

import pytest

from instances.rules.flow_status import FlowStatus
from instances.specification.plugins import second_store
from prefect_optaic.manifest import described
from prefect_optaic.manifests.manifest_files import Document
from tests.flows.lab import Lab, Play
from tests.flows.recorded import last_run, metrics

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05")
CLOSES = "date,entity,close\n" + "".join(f"{day},{name},10\n" for day in DAYS for name in "AB")
SCORES = "date,entity,value\n" + "".join(f"{day},A,2\n{day},B,1\n" for day in DAYS)
LISTS = "date,entity\n2024-01-01,A\n2024-01-01,B\n2024-01-03,B\n"


def manifest(lab: Lab, folder: Path) -> Any:
    files = {"closes": CLOSES, "scores": SCORES, "lists": LISTS}
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    datasets: list[dict[str, Any]] = [
        {
            "name": lab.prefix + name,
            "type": "dataset",
            "pipeline_instance": {"definition": "csv", "config": {"path": str(folder / f"{name}.csv")}},
        }
        for name in files
    ]
    backtest = {
        "name": f"{lab.prefix}b",
        "type": "backtest",
        "assets": {"instance": f"{lab.prefix}closes", "universe": f"{lab.prefix}lists"},
        "signals": {"primary": f"{lab.prefix}scores"},
        "config": {"rebalance_frequency": "daily", "top_fraction": 0.5, "transaction_costs": 0, "slippage_bps": 0},
    }
    return described([Document("a.yaml", {"instances": [*datasets, backtest]})], {}).specs


def test_a_universe_is_read_at_its_pinned_version(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=manifest(lab, tmp_path))
        for name in ("closes", "scores", "lists"):
            assert (await lab.run(name)).is_completed()
        await lab.drain("b.backtest")
        assert (await lab.verdict("b.backtest")).status is FlowStatus.READY
        run, consumed = last_run(lab, "b.backtest")
        assert consumed == {"closes", "scores", "lists"}
        store = second_store(f"{lab.prefix}b", "trades", lab.services.resources)
        trades = store.scan(run.further_versions["trades"]).collect().sort("date", "entity")  # type: ignore[index]
        assert [(row[0].day, row[1], row[2]) for row in trades.iter_rows()] == [
            (2, "A", 100_000),
            (4, "A", -100_000),
            (4, "B", 100_000),
        ]
        recorded = metrics(lab, "b.backtest")
        assert recorded["num_trades"] == 3
        assert recorded["annualized_return"] == recorded["annual_return"] == pytest.approx(0)
        assert recorded["duration_seconds"] > 0

        # Another list makes it stale, and it runs again.
        (tmp_path / "lists.csv").write_text(f"{LISTS}2024-01-04,A\n")
        await lab.run("lists")
        await lab.drain("b.backtest")
        assert last_run(lab, "b.backtest")[0].prefect_run_id != run.prefect_run_id

    play(scenario)
