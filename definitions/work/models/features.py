"""The features that a model sees: the same frame when it is trained and when it is asked."""

from collections.abc import Sequence

import polars as pl

from definitions.contract import Input
from definitions.errors import ModuleError
from definitions.joining import joined
from research.frames.panels import KEYS

CARRY_DAYS = 130
"""How long a row counts while its entity has no newer one: a quarterly report until the next one is out."""


def feature_table(
    features: Sequence[Input],
    *,
    on: pl.DataFrame | None = None,
    missing: Sequence[str] = (),
    carry_days: int = CARRY_DAYS,
) -> pl.DataFrame:
    """Return `date`, `entity` and the feature columns (Float64, null where there is none), sorted by both.

    There is a row for each (date, entity) of `on`; without it, of the inputs that come most often, those
    whose rows of one entity are in the median the fewest days apart: a report on a Saturday does not make
    it a day of trading. Each input gives the newest row of the entity that is not after the date, and at
    most `carry_days` calendar days before it: a row counts until the next one, with its nulls too. Nothing
    that is dated later is ever used. Rows for which no feature has a value are left out.

    Columns are named as in expressions: with several inputs, those that are `missing` counted in, the name
    of the instance comes first. NaN and infinity become null. Raises `ModuleError` where there is no
    feature, one is not numeric, or two have one name, and `SourceError` for an input with two rows for one
    (date, entity).
    """
    frames = [_values(number, features, missing) for number in range(len(features))]
    names = [name for frame in frames for name in frame.columns if name not in KEYS]
    if not names:
        raise ModuleError("there is no feature: name an instance with a value column in the role 'features'")
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ModuleError(
            f"two features have the name {min(repeated)!r}: use each instance once, and rename one of the two"
        )
    keys = [frame.select("date", "entity") for frame in ([on] if on is not None else _most_frequent(frames))]
    table = pl.concat(keys).unique().sort("date", "entity")
    for frame in frames:
        table = table.join_asof(
            frame.sort("date"),
            on="date",
            by="entity",
            strategy="backward",
            tolerance=f"{carry_days}d",
            check_sortedness=False,  # it can't look within each entity, and would warn
        )
    return table.filter(pl.any_horizontal(pl.col(names).is_not_null()))


def _values(number: int, features: Sequence[Input], missing: Sequence[str]) -> pl.DataFrame:
    """Return one input's rows, with the names that its columns have beside the others."""
    others = [one.instance for place, one in enumerate(features) if place != number]
    rows = joined([features[number]], missing=[*others, *missing])
    for name, dtype in rows.schema.items():
        if name not in KEYS and not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
            raise ModuleError(
                f"the feature {name!r} of {features[number].instance!r} holds {dtype}, not numbers: "
                "make numbers of it with an expression, or read that instance without it"
            )
    values = pl.exclude("date", "entity").cast(pl.Float64)
    return rows.select("date", "entity", pl.when(values.is_finite()).then(values).name.keep())


def _most_frequent(frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    steps = [
        frame.sort("entity", "date").select(pl.col("date").diff().over("entity").median()).item() for frame in frames
    ]
    fewest = min((step for step in steps if step is not None), default=None)
    return [frame for frame, step in zip(frames, steps, strict=True) if step == fewest]
