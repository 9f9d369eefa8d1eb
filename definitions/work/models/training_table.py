"""The rows that a model learns from: features of a day, and the return that followed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from definitions.contract import Input
from definitions.errors import ModuleError
from definitions.work.models.features import feature_table
from research.frames.panels import KEYS
from research.models.labels import TargetSpec, forward_returns

RESERVED = ("target", "label_end", "prediction")


@dataclass(frozen=True)
class TrainingTable:
    """Features and targets, sorted by date and entity.

    `frame` holds `date`, `entity`, the features (Float64), `target` (Float64) and `label_end` (Date), both
    null where the label is not complete.
    """

    frame: pl.DataFrame
    feature_names: tuple[str, ...]
    target: TargetSpec

    @cached_property
    def labelled(self) -> pl.DataFrame:
        """The rows whose label is complete."""
        return self.frame.drop_nulls("target")


def training_table(
    features: Sequence[Input],
    prices: Input,
    *,
    target: TargetSpec,
    missing: Sequence[str] = (),
) -> TrainingTable:
    """Return the features of each row of `prices` that has any, and its target; see `feature_table`, `forward_returns`.

    The label of a row is counted over all rows of its entity in `prices`, whether they have features or not.
    Raises `ModuleError` as `feature_table` does, for a feature with a name that is taken, and for one without
    a value in any row; `ResearchError` as `forward_returns` does.
    """
    labels = forward_returns(prices.frame, target)
    table = feature_table(features, on=labels, missing=missing)
    names = tuple(name for name in table.columns if name not in KEYS)
    if taken := [name for name in names if name in RESERVED]:
        raise ModuleError(f"a feature can't have the name {taken[0]!r}, which the training needs: rename the column")
    for name in names:
        if table[name].null_count() == table.height:
            raise ModuleError(
                f"the feature {name!r} has no value on any row of {prices.instance!r}: "
                "see that both have the same entities, and that their dates overlap"
            )
    frame = table.join(labels, on=["date", "entity"], how="left", maintain_order="left")
    return TrainingTable(frame=frame, feature_names=names, target=target)
