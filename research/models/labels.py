"""Labels: what a model learns to predict, the return that follows a day."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from research.errors import ResearchError

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class TargetSpec:
    """The return over the next `horizon` rows of the entity, of the price in `column`.

    Raises `ResearchError` for a horizon below 1.
    """

    horizon: int
    column: str

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise ResearchError(f"the target's horizon is {self.horizon}: a return takes 1 row or more")


def forward_returns(prices: "pl.DataFrame", target: TargetSpec) -> "pl.DataFrame":
    """Return the target of each row: `price[t + horizon] / price[t] - 1`, counted in rows of the entity.

    `prices` holds `date`, `entity` and the price, one row per (date, entity). The result holds `date`,
    `entity`, `target` (Float64) and `label_end` (Date), the day of the later price, sorted by date and
    entity. Rows without a finite price are left out and do not count; target and label_end are null where
    the later price is not there yet, and where there is no finite return. Raises `ResearchError` for a
    price that is not there or not numeric.
    """
    import polars as pl  # not by all who only name a target

    if target.column not in prices.columns:
        raise ResearchError(
            f"the prices have no column {target.column!r}; they have: {', '.join(prices.columns)}. "
            "Correct the target's column."
        )
    if not prices.schema[target.column].is_numeric():
        raise ResearchError(
            f"the prices' column {target.column!r} holds {prices.schema[target.column]}, not numbers: "
            "choose another one for the target"
        )
    price = pl.col(target.column).cast(pl.Float64)
    later, last = price.shift(-target.horizon).over("entity"), pl.col("date").shift(-target.horizon).over("entity")
    rows = prices.filter(price.is_finite()).sort("entity", "date").with_columns(target=later / price - 1)
    labelled = pl.col("target").is_finite()
    return rows.select(
        "date",
        "entity",
        pl.when(labelled).then("target").alias("target"),
        pl.when(labelled).then(last).alias("label_end"),
    ).sort("date", "entity")
