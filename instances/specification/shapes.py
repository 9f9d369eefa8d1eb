"""Shapes of flows: what each kind of flow leaves, reads and depends on, whatever instance it belongs to."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from definitions.contract import FlowKind
from definitions.work.portfolios.portfolio_settings import TRADES


class Output(StrEnum):
    """What the version of a flow's output is a version of."""

    ROWS = "rows"
    MODEL = "model"
    NOTHING = "nothing"


@dataclass(frozen=True)
class OwnEdge:
    """A dependency on another flow of the same instance.

    `max_age_field` names the field of the spec that says how old its version may be; strict without.
    """

    upstream: FlowKind
    role: str
    max_age_field: str | None = None


@dataclass(frozen=True)
class FlowShape:
    """One kind of flow.

    `computed_from` are the fields of the spec that decide what its runs compute, beside the upstream_refs that it
    reads; schedules, tags and policies never count. `added` are, by their places, fields of these that came later,
    with the value that means what was before them: with it they don't count. `for_readers` are, by field, those of
    its own fields that only readers compute from. `neutral_of` are the roles of the signals whose neutral value
    they compute from. With `by_definition` the instance's definition and config decide too. `roles` are those of
    the upstream_refs that it reads, None for all. `learns_from` are the roles of those whose definition and
    configuration it learns the meaning of: what it leaves is of no use when one of them means something else.
    `follow_inputs` and `max_age` are the defaults of its freshness policy, without a schedule of its own.
    `second_stores` are the names of further stores that it writes to, beside the one for its readers.
    """

    run_kind: str
    leaves: Output
    computed_from: tuple[str, ...] = ()
    added: Mapping[str, object] = field(default_factory=dict)
    for_readers: Mapping[str, set[str]] = field(default_factory=dict)
    neutral_of: frozenset[str] = frozenset()
    by_definition: bool = True
    roles: frozenset[str] | None = None
    learns_from: frozenset[str] = frozenset()
    own_edges: tuple[OwnEdge, ...] = ()
    follow_inputs: bool = True
    max_age: dt.timedelta | None = None
    second_stores: tuple[str, ...] = ()


CHAMPION = OwnEdge(FlowKind.TRAIN, role="champion", max_age_field="champion_max_age")
PREDICTIONS = OwnEdge(FlowKind.INFER, role="predictions")


class _Shapes(dict[FlowKind, FlowShape]):
    """Shapes by kind; that of a flow that a definition brings is one for all of them."""

    def __missing__(self, kind: FlowKind) -> FlowShape:
        return FlowShape(f"{kind.value.title().replace('-', '')}Run", Output.NOTHING)


SHAPES: Mapping[FlowKind, FlowShape] = _Shapes(
    {
        FlowKind.REFRESH: FlowShape(
            "RefreshRun",
            Output.ROWS,
            computed_from=("signal_spec",),
            added=MappingProxyType({"signal_spec.date_frequency": "daily"}),
            for_readers=MappingProxyType({"signal_spec": {"neutral"}}),
        ),
        FlowKind.PREVIEW: FlowShape("PreviewRun", Output.NOTHING, computed_from=("date_range", "universe")),
        FlowKind.TRAIN: FlowShape(
            "TrainingRun",
            Output.MODEL,
            computed_from=("target", "validation", "promotion"),
            learns_from=frozenset({"features"}),
            follow_inputs=False,
            max_age=dt.timedelta(days=7),
        ),
        FlowKind.INFER: FlowShape(
            "InferenceRun",
            Output.ROWS,
            by_definition=False,
            roles=frozenset({"features"}),
            own_edges=(CHAMPION,),
        ),
        FlowKind.MONITOR: FlowShape(
            "MonitoringRun",
            Output.NOTHING,
            computed_from=("target", "monitoring"),
            by_definition=False,
            own_edges=(CHAMPION, PREDICTIONS),
        ),
        FlowKind.OPTIMIZE: FlowShape("OptimizationRun", Output.ROWS, computed_from=("settings",)),
        FlowKind.BACKTEST: FlowShape(
            "BacktestRun",
            Output.ROWS,
            computed_from=("assets", "benchmark", "date_range", "config"),
            added=MappingProxyType(
                {"assets.universe": None, "date_range.frequency": "daily", "config.rebalance_day": None}
            ),
            neutral_of=frozenset({"secondary"}),
            second_stores=(TRADES,),
        ),
    }
)
