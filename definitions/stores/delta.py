"""The `delta` store: one Delta Lake table for each instance, on local disk or S3."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from pydantic import Field

from definitions.contract import Definition, Kind, Resources, RowChanges, StoreVersion, Watermark
from definitions.errors import StoreConflict, StoreError
from definitions.frames import key_columns, long_form
from definitions.parameters import Parameters
from definitions.stores.locations import delta_location
from research.errors import first_line

# A version that some run consumed must stay readable, so old entries of the log are never dropped.
CONFIGURATION = {"delta.enableExpiredLogCleanup": "false"}
_CREATOR = "optaic.creator"  # in the first commit of a table: who has made it


class DeltaParameters(Parameters):
    root: str | None = Field(
        default=None,
        description="Folder or URL (s3://bucket/folder) under which each instance's table lies, "
        "instead of the platform's data root.",
    )
    storage_options_secret: str | None = Field(
        default=None,
        description="Name of a Secret block that holds the object store's options as JSON, "
        'like {"AWS_REGION": "eu-west-1"}; without it they come from the environment.',
    )


class DeltaStore:
    """Keeps rows in the Delta table at `location`; see `Store` for the contract.

    Every write says in its commit which version it has seen, under one name: of two writers at once one
    commits and the other gets a `StoreConflict`, also where Delta itself would let both append.
    """

    def __init__(self, location: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.location = location
        self.storage_options = dict(storage_options) if storage_options else None

    def head(self) -> StoreVersion | None:
        table = self._open()
        return None if table is None else _describe(table)

    def write(self, frame: pl.DataFrame, *, replace: bool = False) -> StoreVersion:
        rows = long_form(frame, source=f"what is written to {self.location}", error=StoreError)
        table = self._open()
        if table is None:
            return self._create(rows)
        if replace or _describe(table).row_count == 0:
            return self._replace(table, rows)
        return self._upsert(table, rows)

    def scan(self, version: str) -> pl.LazyFrame:
        table = self._open()
        if table is None:
            raise StoreError(f"{self.location} has no table yet: refresh the instance first")
        newest = table.version()
        number, _, table_mark = version.partition("-")
        if not number.isdecimal() or int(number) > newest:
            raise StoreError(f"{self.location} has no version {version!r}: its versions are 0 to {newest}")
        if table_mark != _table_mark(table):
            raise StoreError(f"version {version!r} is of another table than the one now at {self.location}")
        with self._translated(f"version {version} can't be read"):
            table.load_as_version(int(number))
            return pl.scan_delta(table, storage_options=self.storage_options)

    def delete(self) -> None:
        if "://" in self.location:
            raise StoreError(f"{self.location} is not on a local disk: delete it with the tools of its object store")
        with self._translated("the table can't be deleted"):
            if Path(self.location).exists():
                shutil.rmtree(self.location)

    def _open(self) -> DeltaTable | None:
        with self._translated("the table can't be opened"):
            try:
                return DeltaTable(self.location, storage_options=self.storage_options)
            except TableNotFoundError:
                return None

    def _create(self, rows: pl.DataFrame) -> StoreVersion:
        what, creator = "the table can't be created", uuid4().hex
        with self._alone():
            if self._open() is not None:
                raise self._conflict(what)
            try:
                with self._translated(what):
                    write_deltalake(
                        self.location,
                        rows,
                        mode="error",
                        configuration=CONFIGURATION,
                        storage_options=self.storage_options,
                        commit_properties=_seen(-1, creator=creator),
                    )
                    table = DeltaTable(self.location, version=0, storage_options=self.storage_options)
            except StoreError as error:
                if self._open() is not None:
                    raise self._conflict(what) from error
                raise
        if table.history()[-1].get(_CREATOR) != creator:
            raise StoreError(
                f"{self.location}: another writer has created the table at the same time, so rows may be there twice. "
                "Refresh everything, which replaces them."
            )
        return _describe(table, RowChanges(inserted=rows.height))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else on this machine create a table in the same folder meanwhile; in an object store others may.

        Delta itself lets them: of two that create a table at once, one may commit on top of the other
        (deltalake 1.6.6, in nearly half of the tries).
        """
        if "://" in self.location:
            yield
            return
        folder = Path(self.location).absolute().parent
        with self._translated("the table can't be created"):
            folder.mkdir(parents=True, exist_ok=True)
            opened = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            yield
        finally:
            os.close(opened)  # which lets go of the lock, as the end of a killed process does

    def _replace(self, table: DeltaTable, rows: pl.DataFrame) -> StoreVersion:
        kept = self._rows(table)
        keys = key_columns(rows.columns)
        if kept.schema == rows.schema and kept.sort(keys).equals(rows.sort(keys)):
            return _describe(table, RowChanges(), changed=False)
        with self._translated("the rows can't be replaced"):
            seen = _seen(table.version())
            write_deltalake(table, rows, mode="overwrite", schema_mode="overwrite", commit_properties=seen)
        return _describe(table, _replaced(rows, kept, keys))

    def _upsert(self, table: DeltaTable, rows: pl.DataFrame) -> StoreVersion:
        schema = self._schema(table)
        rows = self._fitted(rows, schema)
        if rows.is_empty():
            return _describe(table, RowChanges(), changed=False)
        within = pl.col("date").is_between(rows["date"].min(), rows["date"].max())
        kept = self._rows(table, within)
        keys = key_columns(rows.columns)
        new = rows.join(kept, on=keys, how="anti")
        updated = _updated(rows, kept, keys)
        with self._translated("the rows can't be committed"):
            if not updated.is_empty():
                _merge(table, pl.concat([new, updated]), keys)
            elif not new.is_empty():
                write_deltalake(table, new, mode="append", commit_properties=_seen(table.version()))
            else:
                return _describe(table, RowChanges(), changed=False)
        return _describe(table, RowChanges(inserted=new.height, updated=updated.height))

    def _schema(self, table: DeltaTable) -> pl.Schema:
        with self._translated("the table can't be read"):
            return pl.scan_delta(table, storage_options=self.storage_options).collect_schema()

    def _rows(self, table: DeltaTable, within: pl.Expr | None = None) -> pl.DataFrame:
        with self._translated("the table can't be read"):
            rows = pl.scan_delta(table, storage_options=self.storage_options)
            return (rows if within is None else rows.filter(within)).collect()

    def _fitted(self, rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
        remedy = "Change what the pipeline gives, or refresh everything, which replaces the table."
        if set(rows.columns) != set(schema):
            raise StoreError(
                f"the columns {', '.join(rows.columns)} don't fit the table at {self.location}, "
                f"whose columns are {', '.join(schema)}. {remedy}"
            )
        for name, dtype in rows.schema.items():
            all_null = rows[name].null_count() == rows.height
            widened = dtype == pl.Int64 and schema[name] == pl.Float64
            if dtype != schema[name] and not all_null and not widened:
                raise StoreError(
                    f"column {name!r} holds {dtype}, but {schema[name]} in the table at {self.location}. {remedy}"
                )
        # Values all null have no type of their own, and take the table's.
        return rows.select(
            pl.repeat(None, pl.len(), dtype=dtype).alias(name)
            if rows[name].null_count() == rows.height
            else pl.col(name).cast(dtype)
            for name, dtype in schema.items()
        )

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except CommitFailedError as error:
            raise self._conflict(what) from error
        except Exception as error:  # deltalake raises bare Exceptions, with a backtrace below the first line
            raise StoreError(f"{self.location}: {what}: {first_line(error)}") from error

    def _conflict(self, what: str) -> StoreConflict:
        return StoreConflict(
            f"{self.location}: {what}: another writer committed meanwhile. Run it again; nothing of it was written."
        )


def _seen(version: int, *, creator: str | None = None) -> CommitProperties:
    named = {_CREATOR: creator} if creator is not None else None
    return CommitProperties(custom_metadata=named, app_transactions=[Transaction("optaic", version + 1)])


def _table_mark(table: DeltaTable) -> str:
    """Return what tells the versions of this table from those of another one that was at the same place before."""
    return str(table.metadata().id)[:8]


def _describe(table: DeltaTable, changes: RowChanges | None = None, *, changed: bool | None = None) -> StoreVersion:
    """Count the rows and find the watermark in the log, whose statistics hold both for every file.

    What a write has changed it has committed, unless it says otherwise: a new version may hold the same rows.
    """
    files = pl.DataFrame(table.get_add_actions(flatten=True))
    row_count = int(files["num_records"].sum()) if files.height else 0
    watermark = None
    if row_count:
        known = files["max.knowledge_date"].max() if "max.knowledge_date" in files.columns else None
        watermark = Watermark(date=files["max.date"].max(), knowledge_date=known)  # type: ignore[arg-type]
    version = f"{table.version()}-{_table_mark(table)}"
    committed = changes is not None if changed is None else changed
    return StoreVersion(version, row_count, watermark, changed=committed, changes=changes)


def _replaced(rows: pl.DataFrame, kept: pl.DataFrame, keys: list[str]) -> RowChanges:
    """Return what changes when all rows take the place of those that were kept; of other columns all are updated."""
    if key_columns(kept.columns) != keys:
        return RowChanges(inserted=rows.height, deleted=kept.height)
    pairs = rows.join(kept, on=keys, how="inner").height
    alike = set(rows.columns) == set(kept.columns)
    return RowChanges(
        inserted=rows.height - pairs,
        updated=_updated(rows, kept, keys).height if alike else pairs,
        deleted=kept.height - pairs,
    )


def _updated(rows: pl.DataFrame, kept: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    values = [name for name in rows.columns if name not in keys]
    pairs = rows.join(kept, on=keys, how="inner", suffix=" (kept)")
    differs = [pl.col(name).ne_missing(pl.col(f"{name} (kept)")) for name in values]
    return pairs.filter(pl.any_horizontal(differs) if differs else pl.lit(False)).select(rows.columns)


def _merge(table: DeltaTable, rows: pl.DataFrame, keys: list[str]) -> None:
    same_key = " and ".join(f"kept.{key} = given.{key}" for key in keys)
    # Bounds on the date let Delta skip the files that hold none of these rows.
    bounds = rows.select(first=pl.col("date").min().cast(pl.String), last=pl.col("date").max().cast(pl.String))
    within = "kept.date >= '{}' and kept.date <= '{}'".format(*bounds.row(0))
    merger = table.merge(
        rows,
        f"{within} and {same_key}",
        source_alias="given",
        target_alias="kept",
        commit_properties=_seen(table.version()),
    )
    merger.when_matched_update_all().when_not_matched_insert_all().execute()


def _store(parameters: DeltaParameters, resources: Resources) -> DeltaStore:
    location = delta_location(parameters.root or resources.data_root, resources.instance)
    return DeltaStore(location, _storage_options(parameters, resources))


def _storage_options(parameters: DeltaParameters, resources: Resources) -> dict[str, str] | None:
    if parameters.storage_options_secret is None:
        return None
    try:
        options = json.loads(resources.credentials.secret(parameters.storage_options_secret))
    except ValueError:
        options = None  # the error would show the secret
    if not isinstance(options, dict):
        raise StoreError(
            f"the Secret block {parameters.storage_options_secret!r} does not hold storage options: "
            'write a JSON object, like {"AWS_REGION": "eu-west-1"}'
        )
    return {str(key): str(value) for key, value in options.items()}


DELTA = Definition(
    kind=Kind.STORE,
    name="delta",
    version=1,
    summary="A Delta Lake table for each instance, on local disk or S3.",
    parameters=DeltaParameters,
    factory=_store,
)
