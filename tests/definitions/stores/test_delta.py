import datetime as dt
import itertools
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from definitions.contract import Kind, RowChanges, StoreVersion, Watermark
from definitions.errors import InvalidConfig, MissingSecret, StoreConflict, StoreError
from definitions.stores.delta import DeltaStore
from tests.definitions.resources import FakeCredentials, make, resources
from tests.properties import examples

DAY = dt.date(2024, 1, 1)
SCHEMA = {"date": pl.Date, "entity": pl.String, "close": pl.Float64}
REVISED = {"date": pl.Date, "entity": pl.String, "knowledge_date": pl.Date, "close": pl.Float64}


def day(n: int) -> dt.date:
    return DAY + dt.timedelta(n)


def rows(*given: tuple[int, str, float | None]) -> pl.DataFrame:
    return pl.DataFrame([(day(n), entity, close) for n, entity, close in given], schema=SCHEMA, orient="row")


def numbered(store: DeltaStore, number: int) -> str:
    """Return the version of that number of the store's table."""
    head = store.head()
    assert head is not None
    return f"{number}-{head.version.partition('-')[2]}"


def content(store: DeltaStore, number: int) -> list[tuple[object, ...]]:
    return store.scan(numbered(store, number)).sort("date", "entity").collect().rows()


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    return DeltaStore(str(tmp_path / "prices"))


def test_nothing_was_ever_written(store: DeltaStore) -> None:
    assert store.head() is None
    with pytest.raises(StoreError, match="has no table yet: refresh the instance first"):
        store.scan("0")


def test_versions_count_commits_and_stay_readable(store: DeltaStore) -> None:
    first = store.write(rows((0, "A", 1.0)))
    second = store.write(rows((1, "A", 2.0), (0, "A", 1.5)))

    assert first == StoreVersion(numbered(store, 0), 1, Watermark(day(0)), changed=True)
    assert second == StoreVersion(numbered(store, 1), 2, Watermark(day(1)), changed=True)
    assert store.head() == StoreVersion(numbered(store, 1), 2, Watermark(day(1)))
    assert content(store, 0) == [(day(0), "A", 1.0)]
    assert content(store, 1) == [(day(0), "A", 1.5), (day(1), "A", 2.0)]


@pytest.mark.parametrize("replace", [False, True])
def test_what_changes_nothing_commits_nothing(store: DeltaStore, *, replace: bool) -> None:
    frame = rows((0, "A", 1.0), (0, "B", None), (0, "C", float("nan")))
    store.write(frame)

    assert store.write(frame.reverse(), replace=replace) == StoreVersion(
        numbered(store, 0), 3, Watermark(day(0)), changed=False
    )


def test_a_missing_value_and_nan_are_different(store: DeltaStore) -> None:
    store.write(rows((0, "A", None)))

    assert store.write(rows((0, "A", float("nan")))).changed
    assert store.write(rows((0, "A", None))).changed


def test_an_update_leaves_all_else(store: DeltaStore) -> None:
    store.write(rows((0, "A", 1.0), (0, "B", 2.0), (5, "A", 3.0)))

    assert store.write(rows((0, "B", 2.5), (5, "A", 3.0))) == StoreVersion(
        numbered(store, 1), 3, Watermark(day(5)), changed=True
    )
    assert content(store, 1) == [(day(0), "A", 1.0), (day(0), "B", 2.5), (day(5), "A", 3.0)]


def test_replace_leaves_exactly_the_frame_and_may_change_the_columns(store: DeltaStore) -> None:
    store.write(rows((0, "A", 1.0), (9, "A", 2.0)))

    written = store.write(rows((0, "A", 1.0)).rename({"close": "price"}), replace=True)

    assert written == StoreVersion(numbered(store, 1), 1, Watermark(day(0)), changed=True)
    assert store.scan(numbered(store, 1)).collect_schema().names() == ["date", "entity", "price"]
    assert content(store, 0) == [(day(0), "A", 1.0), (day(9), "A", 2.0)]


def test_a_write_says_what_it_has_changed(store: DeltaStore) -> None:
    assert store.write(rows((0, "A", 1.0), (1, "A", 1.0))).changes == RowChanges(inserted=2)
    assert store.write(rows((1, "A", 2.0), (2, "A", 1.0), (3, "A", 1.0))).changes == RowChanges(inserted=2, updated=1)
    assert store.write(rows((4, "A", 1.0))).changes == RowChanges(inserted=1)
    assert store.write(rows((4, "A", 1.0))).changes == RowChanges()
    assert store.write(rows()).changes == RowChanges()
    kept = rows((3, "A", 9.0), (4, "A", 1.0), (5, "A", 1.0))
    assert store.write(kept, replace=True).changes == RowChanges(inserted=1, updated=1, deleted=3)
    assert store.write(kept, replace=True).changes == RowChanges()
    assert store.write(kept.rename({"close": "price"}), replace=True).changes == RowChanges(updated=3)
    assert store.head().changes is None  # type: ignore[union-attr]


def test_an_empty_frame(store: DeltaStore) -> None:
    assert store.write(rows()) == StoreVersion(numbered(store, 0), 0, None, changed=True)
    assert store.write(rows()) == StoreVersion(numbered(store, 0), 0, None, changed=False)
    assert store.write(rows((0, "A", 1.0))).row_count == 1
    assert store.write(rows()) == StoreVersion(numbered(store, 1), 1, Watermark(day(0)), changed=False)
    assert store.write(rows(), replace=True) == StoreVersion(numbered(store, 2), 0, None, changed=True)


def test_revisions_are_keys_of_their_own_and_set_the_watermark(store: DeltaStore) -> None:
    def revision(known: int, close: float) -> pl.DataFrame:
        return pl.DataFrame([(day(0), "A", day(known), close)], schema=REVISED, orient="row")

    store.write(revision(1, 1.0))

    assert store.write(revision(4, 2.0)).watermark == Watermark(day(0), day(4))
    assert sorted(content(store, 1)) == [(day(0), "A", day(1), 1.0), (day(0), "A", day(4), 2.0)]


def test_integers_fit_a_column_of_floats_and_nulls_any(store: DeltaStore) -> None:
    store.write(rows((0, "A", 1.0)).with_columns(sector=pl.lit("tech")))
    store.write(rows((1, "A", 2.0)).with_columns(pl.col("close").cast(pl.Int32), sector=pl.lit(None)))

    assert content(store, 1) == [(day(0), "A", 1.0, "tech"), (day(1), "A", 2.0, None)]


def test_columns_that_do_not_fit_are_refused(store: DeltaStore) -> None:
    remedy = "Change what the pipeline gives, or refresh everything, which replaces the table."
    store.write(rows((0, "A", 1.0)))

    with pytest.raises(StoreError) as renamed:
        store.write(rows((1, "A", 1.0)).rename({"close": "price"}))
    with pytest.raises(StoreError) as retyped:
        store.write(rows((1, "A", 1.0)).with_columns(close=pl.lit("high")))

    assert str(renamed.value) == (
        f"the columns date, entity, price don't fit the table at {store.location}, "
        f"whose columns are date, entity, close. {remedy}"
    )
    assert str(retyped.value) == f"column 'close' holds String, but Float64 in the table at {store.location}. {remedy}"
    assert store.head() == StoreVersion(numbered(store, 0), 1, Watermark(day(0)))


def test_duplicate_and_missing_keys_are_refused(store: DeltaStore) -> None:
    with pytest.raises(StoreError, match="1 key more than once"):
        store.write(rows((0, "A", 1.0), (0, "A", 2.0)))
    with pytest.raises(StoreError, match="1 row without 'entity'"):
        store.write(rows((0, "", 1.0)))
    assert store.head() is None


@pytest.mark.parametrize("version", ["2", "-1", "newest"])
def test_an_unknown_version_says_which_there_are(store: DeltaStore, version: str) -> None:
    store.write(rows((0, "A", 1.0)))
    store.write(rows((1, "A", 1.0)))

    with pytest.raises(StoreError, match=f"has no version '{version}': its versions are 0 to 1"):
        store.scan(version)


def test_a_version_of_a_table_that_was_there_before_is_not_read_from_the_new_one(store: DeltaStore) -> None:
    before = store.write(rows((0, "A", 1.0))).version
    store.delete()
    store.delete()  # nothing is there any more
    after = store.write(rows((0, "A", 2.0))).version
    assert before != after
    with pytest.raises(StoreError, match="is of another table than the one now at"):
        store.scan(before)


@pytest.mark.parametrize("close", [1.0, 2.0])
def test_of_two_writers_at_once_one_commits(store: DeltaStore, monkeypatch: pytest.MonkeyPatch, close: float) -> None:
    store.write(rows((0, "A", 1.0)))
    other = DeltaStore(store.location)
    seen = other._open()
    monkeypatch.setattr(other, "_open", lambda: seen)
    store.write(rows((1, "A", 1.0)))

    with pytest.raises(StoreConflict) as caught:
        other.write(rows((0, "A", close), (1, "A", 5.0)))

    assert str(caught.value) == (
        f"{store.location}: the rows can't be committed: another writer committed meanwhile. "
        "Run it again; nothing of it was written."
    )
    assert content(store, 1) == [(day(0), "A", 1.0), (day(1), "A", 1.0)]


def test_of_two_that_create_a_table_at_once_one_does(store: DeltaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    other, looks = DeltaStore(store.location), itertools.count()
    real = other._open
    monkeypatch.setattr(other, "_open", lambda: real() if next(looks) else None)
    store.write(rows((0, "A", 1.0)))
    with pytest.raises(StoreConflict, match="the table can't be created: another writer committed meanwhile"):
        other.write(rows((0, "A", 2.0)))
    assert content(store, 0) == [(day(0), "A", 1.0)]


def test_a_creation_that_delta_has_put_on_top_of_another_is_told(
    store: DeltaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an object store, where nobody can be kept out: there both commit, and the rows are there twice."""

    def as_delta_does(location: str, given: pl.DataFrame, *, mode: str, **settings: Any) -> None:
        write_deltalake(location, rows((0, "A", 1.0)))
        settings.pop("configuration")
        write_deltalake(location, given, mode="append", **settings)

    monkeypatch.setattr("definitions.stores.delta.write_deltalake", as_delta_does)
    with pytest.raises(StoreError, match="another writer has created the table at the same time") as caught:
        store.write(rows((0, "A", 1.0)))
    assert not isinstance(caught.value, StoreConflict)  # to try again would not help
    monkeypatch.undo()
    store.write(rows((0, "A", 1.0)), replace=True)
    assert content(store, 2) == [(day(0), "A", 1.0)]


def test_a_place_that_can_not_be_written_is_named() -> None:
    with pytest.raises(StoreError, match=r"^/dev/null/prices: the table can't be created: "):
        DeltaStore("/dev/null/prices").write(rows((0, "A", 1.0)))


keys = st.tuples(st.integers(0, 4), st.sampled_from("AB"))
values = st.one_of(st.none(), st.integers(0, 2).map(float), st.just(float("nan")))
writes = st.lists(st.tuples(st.dictionaries(keys, values, max_size=5), st.booleans()), max_size=6)


@examples(20)
@given(writes)
def test_the_store_is_a_dict_with_versions(writes: list[tuple[dict[tuple[int, str], float | None], bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = DeltaStore(f"{folder}/prices")
        model: dict[tuple[int, str], float | None] = {}
        history: list[dict[tuple[int, str], float | None]] = []
        for given, replace in writes:
            model = dict(given) if replace else {**model, **given}
            changed = not history or repr(sorted(model.items())) != repr(sorted(history[-1].items()))
            history.extend([model] if changed else [])

            written = store.write(rows(*((n, entity, value) for (n, entity), value in given.items())), replace=replace)

            watermark = Watermark(day(max(n for n, _ in model))) if model else None
            assert written == StoreVersion(numbered(store, len(history) - 1), len(model), watermark, changed=changed)
        for version, expected in enumerate(history):
            found = content(store, version)
            assert repr(found) == repr([(day(n), entity, value) for (n, entity), value in sorted(expected.items())])


def test_the_table_lies_under_the_data_root_or_the_root_of_the_config(tmp_path: Path) -> None:
    assert make(Kind.STORE, "delta", {}, resources(tmp_path)).location == f"{tmp_path}/prices"
    assert make(Kind.STORE, "delta", {}, resources("s3://bucket/data/")).location == "s3://bucket/data/prices"
    assert make(Kind.STORE, "delta", {"root": "/elsewhere"}, resources(tmp_path)).location == "/elsewhere/prices"


def test_storage_options_come_from_a_secret() -> None:
    secrets = FakeCredentials(secrets={"s3": '{"AWS_REGION": "eu-west-1"}', "bad": "hunter2"})
    given = resources("s3://bucket", secrets)

    assert make(Kind.STORE, "delta", {"storage_options_secret": "s3"}, given).storage_options == {
        "AWS_REGION": "eu-west-1"
    }
    with pytest.raises(StoreError, match="'bad' does not hold storage options: write a JSON object") as caught:
        make(Kind.STORE, "delta", {"storage_options_secret": "bad"}, given)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(MissingSecret):
        make(Kind.STORE, "delta", {"storage_options_secret": "none"}, given)
    with pytest.raises(InvalidConfig):
        make(Kind.STORE, "delta", {"path": "/data"}, given)
