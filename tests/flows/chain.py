"""The research chain of the demo, on fewer years, under names with a prefix: for tests of all types of instances."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from instances.specification.specs import AnySpec
from prefect_optaic.manifest import read_manifest

MANIFEST = Path(__file__).parents[2] / "examples" / "sp500" / "instances.yaml"
START = "2016-01-01"
NAMING = {"name", "instance", "optimizer", "benchmark", "primary", "secondary"}
SHORTER: Mapping[str, dict[str, Any]] = {
    "prices": {"pipeline_instance": {"definition": "sp500-sample", "config": {"start": START}}},
    "sp500-index": {"pipeline_instance": {"definition": "sp500-index-sample", "config": {"start": START}}},
    "trend": {"date_range": {"start": "2018-01-01"}},
    "returns": {"validation": {"train_days": 504, "test_days": 252, "embargo_days": 5}},
    "portfolio": {"settings": {"lookback": 126, "date_range": {"start": "2020-01-01"}}},
    "backtest": {"date_range": {"start": "2020-01-01"}},
}


def chain(prefix: str, folder: Path, only: tuple[str, ...] = (), **changed: Mapping[str, Any]) -> tuple[AnySpec, ...]:
    """Return the specs of the chain, of all its instances or of those named, with fields of some `changed`."""
    entries = yaml.safe_load(MANIFEST.read_text())["instances"]
    chosen = [
        _prefixed(
            {**entry, **SHORTER.get(entry["name"], {}), **changed.get(entry["name"].replace("-", "_"), {})},
            prefix,
        )
        for entry in entries
        if not only or entry["name"] in only
    ]
    file = folder / "chain.yaml"
    file.write_text(yaml.safe_dump({"project": "chain", "instances": chosen}))
    return read_manifest(file)


def _prefixed(value: Any, prefix: str) -> Any:
    """Return the entry with the prefix before each name of an instance."""
    if isinstance(value, list):
        return [_prefixed(each, prefix) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: prefix + each if key in NAMING and isinstance(each, str) else _prefixed(each, prefix)
        for key, each in value.items()
    }
