"""Constraints on weights, as an optimizer's parameters give them; each optimizer takes those that it can honour."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from definitions.parameters import Parameters

GREATEST = 10.0  # times the capital: what is more is most likely a percentage


def _of_capital(value: float) -> float:
    if abs(value) > GREATEST:
        raise ValueError(
            f"this is a multiple of the capital: 0.2 is 20 %, 1.5 is 150 %; {value:g} is more than "
            f"{GREATEST:g} times it"
        )
    return value


Multiple = Annotated[float, AfterValidator(_of_capital)]
"""A multiple of the capital, at most ten times of it, long or short."""


class GroupLimit(Parameters):
    """The least and the greatest sum of the weights in a group."""

    min: Multiple | None = Field(default=None, description="The least sum of the group's weights; none: any.")
    max: Multiple | None = Field(default=None, description="The greatest sum of the group's weights; none: any.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min, {self.min:g}, is greater than max, {self.max:g}: swap them")
        return self


class OptimizerParameters(Parameters):
    """Base of the parameters of optimizers: an option that the method can't honour is an error that says so."""

    model_config = ConfigDict(allow_inf_nan=False)

    refused: ClassVar[dict[str, str]] = {}  # why, by the name of the option

    @property
    def named_entities(self) -> frozenset[str]:
        """The entities that these parameters name."""
        return frozenset()

    @model_validator(mode="before")
    @classmethod
    def _honoured(cls, values: Any) -> Any:
        for name, why in cls.refused.items():
            if isinstance(values, dict) and values.get(name) is not None:
                raise ValueError(f"{name} can't be honoured: {why}. Leave it out, or use mean-variance or minimum-cvar")
        return values


class Bounds(OptimizerParameters):
    """Limits of each weight."""

    min_weight: Multiple = Field(default=0.0, description="The least weight of each entity; below 0: sold short.")
    max_weight: Multiple = Field(default=1.0, description="The greatest weight of each entity.")

    @model_validator(mode="after")
    def _ordered_weights(self) -> Self:
        if self.min_weight > self.max_weight:
            raise ValueError(
                f"min_weight, {self.min_weight:g}, is greater than max_weight, {self.max_weight:g}: swap them"
            )
        return self


class LongOnly(Bounds):
    """Limits of each weight where all are long and add up to 1."""

    min_weight: float = Field(default=0.0, ge=0, le=1, description="The least weight of each entity.")
    max_weight: float = Field(default=1.0, gt=0, le=1, description="The greatest weight of each entity.")


class Leverage(Bounds):
    """Limits of each weight and of their sums, short positions allowed."""

    net_leverage: Multiple = Field(default=1.0, description="The sum of all weights; the rest of capital is cash.")
    gross_leverage: Multiple | None = Field(
        default=None, gt=0, description="The greatest sum of all absolute weights; none: any."
    )

    @model_validator(mode="after")
    def _gross_is_not_less_than_net(self) -> Self:
        if self.gross_leverage is not None and self.gross_leverage < abs(self.net_leverage):
            raise ValueError(
                f"gross_leverage, {self.gross_leverage:g}, is less than net_leverage, {self.net_leverage:g}: raise it"
            )
        return self

    @model_validator(mode="after")
    def _more_than_the_capital_takes_leverage(self) -> Self:
        for name in ("min_weight", "max_weight"):
            weight = abs(getattr(self, name))
            if weight > 1 and (self.gross_leverage is None or weight > self.gross_leverage):
                raise ValueError(
                    f"{name} is a share of the capital, 0.2 is 20 %, and {weight:g} of it in one entity takes a "
                    f"gross_leverage of at least {weight:g}: give that too, or lower {name}"
                )
        return self


class Groups(OptimizerParameters):
    """Limits of groups of entities."""

    groups: dict[str, str] = Field(
        default={}, description='The group of each entity, like {"AAPL": "tech", "XOM": "energy"}.'
    )
    group_limits: dict[str, GroupLimit] = Field(
        default={}, description='Limits by group, like {"tech": {"max": 0.4}}; a group without has none.'
    )

    @property
    def named_entities(self) -> frozenset[str]:
        return super().named_entities | self.groups.keys()

    @model_validator(mode="after")
    def _known_groups(self) -> Self:
        known = sorted(set(self.groups.values()))
        unknown = [name for name in self.group_limits if name not in known]
        if unknown:
            raise ValueError(
                f"group_limits has {', '.join(unknown)}, to which groups gives no entity; it knows: "
                f"{', '.join(known) or 'none'}"
            )
        return self


class Turnover(OptimizerParameters):
    """A limit of what is traded."""

    max_turnover: Multiple | None = Field(
        default=None,
        gt=0,
        description="The greatest turnover: half the sum of the absolute changes from the weights that are held, also "
        "of entities that are no longer there. The first weights are free. None: any.",
    )
