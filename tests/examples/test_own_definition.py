"""The package in examples/own_definition: its definitions come through its entry point, and do their work."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from definitions.contract import ExtractRequest, Input, Kind, ReadRequest, Watermark
from definitions.errors import InvalidConfig, SourceError
from definitions.registry import Registry
from definitions.work import refresh as work
from instances.specification.resolution import resolve
from instances.specification.specs import AnySpec, ComponentSpec
from prefect_optaic.manifest import read_manifest
from tests.definitions.resources import make, resources
from tests.examples.installed_package import installed

PACKAGE = Path(__file__).parents[2] / "examples" / "own_definition"
CONFIG: dict[str, Any] = {"entities": ["A", "B"], "start": "2024-01-01", "end": "2024-01-31"}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with installed(PACKAGE, tmp_path, monkeypatch) as found:
        yield found


def the_specs() -> tuple[AnySpec, ...]:
    return read_manifest(PACKAGE / "instances.yaml")


def test_its_instances_can_exist(registry: Registry) -> None:
    resolved = resolve(the_specs(), registry, resources=resources())
    assert [instance.spec.name for instance in resolved if instance.flows] == ["walks", "walks-trend"]


def test_its_instances_do_their_work(registry: Registry, tmp_path: Path) -> None:
    parts = {spec.name: spec for spec in the_specs() if isinstance(spec, ComponentSpec)}

    def plugin(name: str) -> Any:
        return make(Kind(parts[name].type), parts[name].definition, parts[name].config, resources(tmp_path / name))

    store = plugin("walks-store")
    first, second = work.refresh(plugin("walks-pipeline"), store), work.refresh(plugin("walks-pipeline"), store)
    assert (first.row_count, first.watermark, first.found_new) == (3 * 262, dt.date(2024, 12, 31), True)
    assert (second.version, second.found_new) == (first.version, False)
    walks = plugin("walks-accessor").read(store, ReadRequest(version=first.version or ""))
    trend = work.refresh(
        plugin("walks-trend-pipeline"), plugin("walks-trend-store"), inputs=[Input("walks", "input", walks)]
    )
    assert trend.row_count == 3 * (262 - 19)


def test_a_refresh_reads_what_is_newer(registry: Registry) -> None:
    pipeline = make(Kind.PIPELINE, "random-walk", CONFIG)
    whole = pipeline.extract(ExtractRequest())
    part = pipeline.extract(ExtractRequest(since=Watermark(dt.date(2024, 1, 15))))
    assert part.equals(whole.filter(pl.col("date") > dt.date(2024, 1, 15)))
    assert whole.filter(pl.col("date").dt.weekday() > 5).is_empty()


def test_its_errors_say_what_and_the_remedy(registry: Registry) -> None:
    with pytest.raises(InvalidConfig, match=r"config\.volatility: Input should be greater than 0 \(got -1\)"):
        make(Kind.PIPELINE, "random-walk", CONFIG | {"volatility": -1})
    with pytest.raises(SourceError, match="end 2023-01-01 is before start 2024-01-01: swap them"):
        make(Kind.PIPELINE, "random-walk", CONFIG | {"end": "2023-01-01"}).check()
