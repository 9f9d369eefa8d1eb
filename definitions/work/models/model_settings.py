"""Settings of models that no definition describes: what to predict, how to validate, when to promote, what drift is.

The specs of instances embed them.
"""

from typing import Self

from pydantic import Field, model_validator

from definitions.parameters import Parameters, TradingDays
from research.models.labels import TargetSpec
from research.models.promotion_rule import PromotionRule
from research.models.walk_forward import Validation


class Target(Parameters):
    """What a model learns to predict: the forward return of a price."""

    horizon: TradingDays = Field(
        default=21, ge=1, description="Over how many trading days, rows of the entity, the return is; 21: a month."
    )
    column: str = Field(default="close", min_length=1, description="The column of the prices.")

    @property
    def spec(self) -> TargetSpec:
        return TargetSpec(horizon=self.horizon, column=self.column)


class WalkForward(Parameters):
    """How a model is validated: on the days after those that it learned from, again and again."""

    train_days: TradingDays = Field(
        default=756, ge=1, description="The length of the first training window, in trading days; 756: three years."
    )
    test_days: TradingDays = Field(default=252, ge=1, description="The length of each test window, in trading days.")
    embargo_days: TradingDays = Field(
        default=0, ge=0, description="Days left out between the last day of the training labels and the test window."
    )
    expanding: bool = Field(
        default=True, description="Whether later windows train on all days before; if not, on train_days of them."
    )

    @property
    def windows(self) -> Validation:
        return Validation(**self.model_dump())


class Promotion(Parameters):
    """When a newly trained version becomes the champion by itself."""

    automatic: bool = Field(default=True, description="Whether it ever does; if not, people promote by hand.")
    metric: str = Field(default="ic_mean", description="The out-of-sample metric that decides, like ic_mean or rmse.")
    threshold: float | None = Field(default=None, description="The worst value that will do; none: any.")
    must_beat_champion: bool = Field(default=True, description="Whether it must be better than the champion's.")

    @model_validator(mode="after")
    def _known(self) -> Self:
        _ = self.rule
        return self

    @property
    def rule(self) -> PromotionRule:
        return PromotionRule(self.metric, self.threshold, self.must_beat_champion)


class DriftSettings(Parameters):
    """What is compared with the training's own test rows, and when it counts as drift."""

    window_days: TradingDays = Field(
        default=252, ge=20, description="How many of the newest days are compared with the training reference."
    )
    column_threshold: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="A column has drifted from this Wasserstein distance on, in standard deviations of the reference.",
    )
    share: float = Field(default=0.5, gt=0, le=1, description="Which share of the features must have drifted.")
