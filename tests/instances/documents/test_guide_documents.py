"""The guide's documents as entries of a manifest: names, ids, and what lies behind a backtest's signals."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from definitions.registry import default_registry
from instances.documents.guide_documents import in_our_words
from instances.specification.resolution import resolve
from instances.specification.specs import spec_adapter
from prefect_optaic.manifest import described, look_through
from prefect_optaic.manifests.manifest_files import Document

FILE = Path(__file__).with_name("guide_documents.json")
DOCUMENTS: list[dict[str, Any]] = json.loads(FILE.read_text())


WRONG: tuple[Any, ...] = (
    *(None, [], {}, "", 0, -1, True, "x", [None], [[]], {"a": {}}, 1e300, "9" * 3000, [1], {"resource_id": 3}),
)


def places(value: object, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where each value of a document stands."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for word, each in inside:
        yield (*at, word)
        yield from places(each, (*at, word))


def document(name: str) -> dict[str, Any]:
    return next(copy.deepcopy(each) for each in DOCUMENTS if each["name"] == name)


def problems(*documents: dict[str, Any]) -> list[str]:
    changed = {each["name"]: each for each in documents}
    return list(in_our_words([changed.get(each["name"], each) for each in DOCUMENTS]).problems)


def test_the_file_describes_a_chain_as_it_is() -> None:
    manifest = look_through(FILE)
    assert manifest.problems == ()
    assert manifest.notes == (
        "names are in lower case with dashes here: Prices_Pipeline is prices-pipeline, and 11 more alike",
    )
    resolved = {each.spec.name: each for each in resolve(manifest.specs, default_registry())}
    assert resolved.keys() == {each["name"].lower().replace("_", "-") for each in DOCUMENTS}
    expected = spec_adapter.validate_python(
        {
            "name": "q1-2020-backtest",
            "type": "backtest",
            "assets": {"instance": "prices", "entities": ["AAPL", "MSFT", "XOM"]},
            "signals": {"primary": "12m-momentum", "secondary": ["reversal-5d"]},
            "benchmark": {"instance": "prices", "entity": "MSFT"},
            "date_range": {"start": "2020-01-01", "end": "2020-03-31"},
            "config": {"rebalance_frequency": "daily", "transaction_costs": 0.001, "slippage_model": "linear"},
        }
    )
    assert resolved["q1-2020-backtest"].spec == expected


def test_a_backtest_of_tickers_trades_the_one_dataset_behind_its_signals() -> None:
    other = document("Reversal_5D")
    other["metadata_json"]["upstream_refs"] = [{"resource_id": "Other", "role": "input"}]
    (told,) = in_our_words([*(each for each in DOCUMENTS if each["name"] != "Reversal_5D"), other, _other()]).problems
    assert told == (
        "q1-2020-backtest: assets_json.instance: is missing: the dataset of the prices; only tickers are named, and "
        "behind the signals lies 2 datasets (other, prices)"
    )


def _other() -> dict[str, Any]:
    return document("Prices") | {"name": "Other", "id": "00000000-0000-0000-0000-000000000001"}


def test_every_document_says_what_of_it_is_unknown() -> None:
    for each in DOCUMENTS:
        wrong = copy.deepcopy(each)
        wrong["metadata_json"]["colour"] = "red"
        (found,) = look_through_list([*(d for d in DOCUMENTS if d["name"] != each["name"]), wrong])
        name = each["name"].lower().replace("_", "-")
        assert found.startswith(f"{name}: colour: is not a field that there is; "), found


def look_through_list(documents: list[dict[str, Any]]) -> list[str]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "documents.json"
        file.write_text(json.dumps(documents))
        return list(look_through(file).problems)


def test_a_reference_to_nothing_is_told_with_its_place() -> None:
    wrong = document("12M_Momentum")
    wrong["metadata_json"]["upstream_refs"][0]["resource_id"] = "00000000-0000-0000-0000-000000000002"
    told, *_ = problems(wrong)
    assert told == (
        "12m-momentum: upstream_refs.0.resource_id: 00000000-0000-0000-0000-000000000002 is the id of no document "
        "here: write the name of the instance"
    )


def test_a_part_that_there_is_not_is_told_of() -> None:
    dataset = {"name": "prices", "type": "dataset", "pipeline_instance": {"definition": "csv"}}
    dataset |= {"foo_instance": {"definition": "x"}}
    manifest = described([Document("guide.json", {"instances": [dataset]})], {})
    assert any("foo_instance: is not a field that there is" in told for told in manifest.problems), manifest.problems


@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: str(value)[:20])
def test_a_wrong_value_anywhere_is_told_in_short_or_taken(wrong: object) -> None:
    for place in places(DOCUMENTS):
        documents: Any = copy.deepcopy(DOCUMENTS)
        within = documents
        for step in place[:-1]:
            within = within[step]
        within[place[-1]] = wrong
        manifest = described([Document("guide.json", {"instances": documents})], {})
        assert [told for told in manifest.problems if len(told) > 500] == [], place
