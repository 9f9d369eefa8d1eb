"""Training a model, and measuring it out of sample on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from definitions.contract import Module, Regressor
from definitions.errors import ModuleError
from definitions.work.models.prediction import predicted
from definitions.work.models.training_table import TrainingTable
from research.frames.pictures import Picture
from research.models.model_metrics import information_coefficients, model_metrics
from research.models.model_pictures import coefficients_picture, groups_picture
from research.models.walk_forward import Split, TooFewDates, Validation, walk_forward


@dataclass(frozen=True)
class Fold:
    """One split: how many rows the model learned from, and its metrics on the test window."""

    split: Split
    training_rows: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrainingResult:
    """A model fitted on all rows with a label, and what it is worth out of sample.

    `reference` holds the test rows of all folds, sorted by date and entity: `date`, `entity`, the features,
    `prediction` and `target` (Float64), each predicted by a model that learned only from what was known
    before its test window. The last window goes on to the newest row, so that every later row is the first
    that `model` may predict without looking ahead; `target` is null where its label is not complete.
    `metrics` are of those with a target, of all folds together (see `research.models.model_metrics`); `in_sample` are
    those of `model` on the very rows that it has learned from.
    """

    model: Regressor
    feature_names: tuple[str, ...]
    training_rows: int
    folds: tuple[Fold, ...]
    metrics: Mapping[str, float]
    reference: pl.DataFrame
    pictures: tuple[Picture, ...]
    in_sample: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def fold_table(self) -> pl.DataFrame:
        """A row for each fold: `test_first`, `test_last` (Date), `training_rows` and its metrics; null if undefined."""
        names = list(dict.fromkeys(name for fold in self.folds for name in fold.metrics))
        return pl.DataFrame(
            [
                {
                    "test_first": fold.split.test_first,
                    "test_last": fold.split.test_last,
                    "training_rows": fold.training_rows,
                }
                | {name: fold.metrics.get(name) for name in names}
                for fold in self.folds
            ]
        )


def train(module: Module, table: TrainingTable, validation: Validation) -> TrainingResult:
    """Return a model fitted on all rows of `table` whose label is complete, validated by walking forward.

    A fold's model learns from rows whose label ended before its test window; the days are those on which
    any row has a label. Modules get the features as a pandas DataFrame (Float64, NaN where there is none)
    and the target, in the order of date and entity. Raises `ModuleError` when no row has a label, there are
    too few dates for one split, a split has no row to learn from, or a prediction is not finite.
    """
    rows = table.labelled
    if rows.is_empty():
        raise ModuleError(
            f"no row has both a feature and a label of {table.target.horizon} rows ahead: bring prices that "
            "reach further past the features, or lower the target's horizon"
        )
    dates = rows["date"].unique().sort().to_list()
    try:
        splits = walk_forward(dates, validation, horizon=table.target.horizon)
    except TooFewDates as error:
        raise ModuleError(f"the labelled rows don't reach for one split: {error}") from error
    tested = [_tested(module, table, split, last=split is splits[-1]) for split in splits]
    folds = tuple(
        Fold(split, count, model_metrics(test.drop_nulls("target")))
        for split, (count, test) in zip(splits, tested, strict=True)
    )
    reference = pl.concat([test for _, test in tested])
    measured = reference.drop_nulls("target")
    model = _fitted(module, rows, table.feature_names)
    learned = rows.select("date", "entity", "target", predicted(model, rows, table.feature_names))
    return TrainingResult(
        model=model,
        feature_names=table.feature_names,
        training_rows=rows.height,
        folds=folds,
        metrics=model_metrics(measured),
        reference=reference,
        pictures=_pictures(measured, folds),
        in_sample=model_metrics(learned),
    )


def _tested(module: Module, table: TrainingTable, split: Split, *, last: bool) -> tuple[int, pl.DataFrame]:
    """Return how many rows the split's model learned from, and its test rows with their predictions.

    Those of the `last` split go on to the newest row of all.
    """
    feature_names = table.feature_names
    training = table.labelled.filter(split.train_rows)
    if training.is_empty():
        raise ModuleError(
            f"no label of {split.train_first} to {split.train_last} ends before {split.labels_before}: "
            "the entities trade on too few of these days. Raise train_days, or lower the target's horizon."
        )
    test = table.frame.filter(pl.col("date") >= split.test_first if last else split.test_rows)
    prediction = predicted(_fitted(module, training, feature_names), test, feature_names)
    return training.height, test.select("date", "entity", *feature_names, prediction, "target")


def _fitted(module: Module, rows: pl.DataFrame, feature_names: Sequence[str]) -> Regressor:
    import pandas as pd
    from threadpoolctl import threadpool_limits

    features = pd.DataFrame(rows.select(feature_names).to_numpy(), columns=list(feature_names))
    with threadpool_limits(1):  # a module may take more; see `predicted`
        return module.fit(features, pd.Series(rows["target"].to_numpy(), name="target"))


def _pictures(reference: pl.DataFrame, folds: Sequence[Fold]) -> tuple[Picture, ...]:
    windows = [(fold.split.test_first, fold.split.test_last) for fold in folds]
    pictures = (
        coefficients_picture(information_coefficients(reference), windows=windows),
        groups_picture(reference),
    )
    return tuple(picture for picture in pictures if picture is not None)
