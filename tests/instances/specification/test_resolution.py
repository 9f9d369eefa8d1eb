from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from definitions.contract import FlowKind, Module, Resources
from definitions.modules.module import module_definition
from instances.errors import InvalidSpec
from instances.specification.resolution import ResolvedFlow, resolve
from instances.specification.schedules import Schedule
from instances.specification.specs import ComponentSpec, DatasetSpec, SignalInstanceSpec, spec_adapter
from tests.instances.catalogue import (
    CSV_2,
    DEFINITIONS,
    PARTS,
    RESOURCE_KINDS,
    FewDefinitions,
    NoParameters,
    component,
    dataset,
    resolved,
    signal,
)
from tests.instances.sample_world import days, hours


class NoCredentials:
    def secret(self, block_name: str) -> str:
        raise AssertionError(block_name)

    def database_url(self, block_name: str) -> str:
        raise AssertionError(block_name)


def mean_module(parameters: BaseModel) -> Module:
    raise AssertionError(parameters)


def problems(
    *specs: ComponentSpec | DatasetSpec, resources: Resources | None = None, sources: tuple[str, ...] = ()
) -> tuple[str, ...]:
    with pytest.raises(InvalidSpec) as caught:
        resolve([*PARTS, *specs], DEFINITIONS, resources=resources, sources=sources)
    return caught.value.problems


def flow_of(spec: DatasetSpec, *others: ComponentSpec | DatasetSpec) -> ResolvedFlow:
    instances = resolved(spec, *others)
    return next(i.flows[0] for i in instances if i.spec.name == spec.name)


def config_hash(spec: DatasetSpec, *others: ComponentSpec | DatasetSpec) -> str:
    return flow_of(spec, *others).config_hash


# What must exist


def test_parts_come_first_then_upstream_instances_before_their_readers() -> None:
    instances = resolved(dataset("c", "b"), dataset("b", "a"), dataset("a"))
    assert [i.spec.name for i in instances] == ["csv", "expression", "delta", "simple", "a", "b", "c"]


def test_components_have_their_definition_and_no_flow() -> None:
    found = {i.spec.name: i for i in resolved(dataset("prices"))}
    assert found["csv"].definition is CSV_2  # the newest, as none is pinned
    assert found["csv"].flows == ()
    assert found["prices"].definition is None


def test_a_pinned_version_is_used() -> None:
    pinned = component("pinned", "pipeline", "csv", definition_version=1)
    found = {i.spec.name: i for i in resolved(pinned)}
    assert found["pinned"].definition is not None
    assert found["pinned"].definition.ref == "pipeline csv@1"


def test_an_edge_leads_to_the_flow_that_makes_the_data() -> None:
    flow = flow_of(
        dataset("b", {"instance": "a", "max_age": "14d"}, {"instance": "u", "role": "universe"}),
        dataset("a"),
        dataset("u"),
    )
    assert flow.key == ("b", FlowKind.REFRESH)
    assert [edge.upstream for edge in flow.edges] == [("a", FlowKind.REFRESH), ("u", FlowKind.REFRESH)]
    assert [edge.ref.max_age for edge in flow.edges] == [days(14), None]


def test_a_flow_may_be_named() -> None:
    flow = flow_of(dataset("b", {"instance": "a", "flow": "refresh"}), dataset("a"))
    assert flow.edges[0].upstream == ("a", FlowKind.REFRESH)


def test_a_long_chain_resolves_whatever_its_order() -> None:
    names = [f"d{n}" for n in range(300)]
    chain = [dataset(name, *names[n - 1 : n]) for n, name in enumerate(names)]
    assert [i.spec.name for i in resolved(*reversed(chain))][4:] == names


# The configuration's hash


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": Schedule(type="interval", interval_minutes=5)},
        {"freshness": {"max_age": "1d"}},
        {"on_stale": "warn"},
        {"auto": False},
        {"source_retry": "1h"},
        {"project": "other"},
        {"description": "Other."},
        {"protect": True},
        {"work_pool": "other"},
        {"work_queue": "other"},
        {"job_variables": {"image": "other"}},
        {"concurrency": 2},
        {"upstream_refs": [{"instance": "a", "max_age": "1d"}]},
        {"upstream_refs": [{"instance": "a", "flow": "refresh"}]},
        {"signal_spec": {"neutral": 0.5}},
    ],
)
def test_schedules_tags_and_policies_do_not_count(change: dict[str, Any]) -> None:
    assert config_hash(signal("s", "a", **change), dataset("a")) == config_hash(signal("s", "a"), dataset("a"))


@pytest.mark.parametrize(
    "changed",
    [
        signal("s", "b"),
        signal("s", "a", "b"),
        signal("s", "a", {"instance": "a", "role": "universe"}),
        signal("s", "a", {"instance": "b", "required": False}),
        signal("s", "a", signal_spec={"min": 0}),
        dataset("s", "a"),
        signal("s", "a", pipeline_instance="other-expression"),
    ],
)
def test_upstreams_parts_and_checks_count(changed: DatasetSpec) -> None:
    others = (
        dataset("a"),
        dataset("b"),
        component("other-expression", "pipeline", "expression", config={"expression": "open"}),
    )
    assert config_hash(changed, *others) != config_hash(signal("s", "a"), *others)


def test_how_old_a_champion_may_be_does_not_count() -> None:
    module = module_definition(name="mean", version=1, summary="", parameters=NoParameters, factory=mean_module)
    definitions = FewDefinitions(*RESOURCE_KINDS, module)

    def hashes(**fields: Any) -> dict[FlowKind, str]:
        roles = [{"instance": "prices", "role": role} for role in ("prices", "features")]
        given = {"name": "m", "type": "model", "definition": "mean", "upstream_refs": roles}
        instances = resolve([*PARTS, dataset("prices"), spec_adapter.validate_python(given | fields)], definitions)
        return {flow.kind: flow.config_hash for flow in instances[-1].flows}

    assert hashes(champion_max_age="1d") == hashes()
    assert hashes(target={"horizon": 3}) != hashes()


SIGNAL_OF_BEFORE = "1d26af84caf2da26c532c8ee1145d36ee208b3667e06d619b9b897cc25c48b7d"
BACKTEST_OF_BEFORE = "510c79b62bfeb8a09d67b46f153e87db512746b0190f8f02229e2375daeb6135"


def test_fields_that_came_later_count_only_where_they_say_something_new() -> None:
    """Else an upgrade would make each signal another feature, and each model on it one of no use."""

    def backtest(**fields: Any) -> str:
        given = {"name": "b", "type": "backtest", "assets": {"instance": "a"}, "signals": {"primary": "s"}}
        spec = spec_adapter.validate_python(given | {"config": {"slippage_model": "linear"}} | fields)
        return resolve([*PARTS, dataset("a"), signal("s", "a"), spec], DEFINITIONS)[-1].flows[0].config_hash

    assert config_hash(signal("s", "a"), dataset("a")) == SIGNAL_OF_BEFORE
    weekly = signal("s", "a", signal_spec={"date_frequency": "weekly"})
    assert config_hash(weekly, dataset("a")) != SIGNAL_OF_BEFORE
    assert backtest() == BACKTEST_OF_BEFORE
    assert backtest(date_range={"frequency": "weekly"}) != BACKTEST_OF_BEFORE
    assert backtest(config={"slippage_model": "linear", "rebalance_day": 5}) != BACKTEST_OF_BEFORE


def test_the_neutral_value_of_a_filter_counts_for_the_backtest() -> None:
    given = {"name": "b", "type": "backtest", "assets": {"instance": "a"}}
    backtest = spec_adapter.validate_python(given | {"signals": {"primary": "s", "secondary": "filter"}})

    def content_hash(primary: float = 0.0, secondary: float = 0.0) -> str:
        signals = (
            signal("s", "a", signal_spec={"neutral": primary}),
            signal("filter", "a", signal_spec={"neutral": secondary}),
        )
        return resolve([*PARTS, dataset("a"), *signals, backtest], DEFINITIONS)[-1].flows[0].config_hash

    assert content_hash(primary=0.5) == content_hash()
    assert content_hash(secondary=0.5) != content_hash()


def test_the_definition_version_counts() -> None:
    pinned = component("pinned", "pipeline", "csv", definition_version=1)
    newest = component("pinned", "pipeline", "csv")
    spec = dataset("prices", pipeline_instance="pinned")
    assert config_hash(spec, pinned) != config_hash(spec, newest)
    assert config_hash(spec, newest) == config_hash(spec, newest.model_copy(update={"definition_version": 2}))


def test_a_default_that_is_spelled_out_does_not_count() -> None:
    spelled = component("spelled", "pipeline", "csv", config={"path": "prices.csv", "rows": 10})
    assert config_hash(dataset("prices", pipeline_instance="spelled"), spelled) == config_hash(dataset("prices"))


# What cannot exist


def test_an_unknown_definition_is_named_with_those_that_are_there() -> None:
    assert problems(component("p", "pipeline", "cvs")) == (
        "p: there is no pipeline definition named 'cvs'. Did you mean 'csv'? Installed: csv, expression, loose. "
        "Install the package that brings it (entry point group 'optaic.definitions'), or correct the name.",
    )


def test_an_unknown_pinned_version_lists_those_that_are_there() -> None:
    assert problems(component("p", "pipeline", "csv", definition_version=7)) == (
        "p: pipeline definition 'csv' has no version 7; there are: 1, 2. "
        "Pin one of those, or leave definition_version out for the newest.",
    )


def test_a_config_that_does_not_fit_names_each_field() -> None:
    assert problems(component("p", "pipeline", "csv", config={"rows": 0, "pth": "x"})) == (
        "p: the config does not fit pipeline csv@2: "
        "config.rows: Input should be greater than or equal to 1 (got 0); "
        "config.pth: is not a field that there is; did you mean 'path'? Its parameters are: path, rows.",
    )


def test_a_source_is_asked_for_only_with_resources_and_where_it_is_named() -> None:
    missing = component("p", "pipeline", "csv", config={"path": "missing.csv"})
    resources = Resources("/data", "p", NoCredentials())
    assert resolved(missing)
    assert resolve([*PARTS, missing], DEFINITIONS, resources=resources, sources={"csv"})
    assert resolve([*PARTS, missing], DEFINITIONS, sources={"p"})
    assert problems(missing, resources=resources, sources=("p",)) == ("p: there is no file 'missing.csv'",)


def test_a_name_that_is_there_twice() -> None:
    assert problems(component("csv", "pipeline", "csv"), dataset("a"), signal("a")) == (
        "csv: 2 instances have this name (pipeline, pipeline); names are unique over all types: rename all but one",
        "a: 2 instances have this name (dataset, signal); names are unique over all types: rename all but one",
    )


def test_a_part_that_does_not_exist() -> None:
    assert problems(dataset("prices", pipeline_instance="cvs")) == (
        "prices: pipeline_instance 'cvs' does not exist; did you mean 'csv'?",
    )
    assert problems(dataset("prices", store_instance="s3")) == (
        "prices: store_instance 's3' does not exist; describe it, or choose one of: delta",
    )


def test_a_part_of_the_wrong_type() -> None:
    assert problems(dataset("prices", accessor_instance="delta")) == (
        "prices: accessor_instance 'delta' is a store, not an accessor",
    )


def test_an_upstream_that_does_not_exist() -> None:
    assert problems(dataset("signal", "prics"), dataset("prices")) == (
        "signal: upstream 'prics' does not exist; did you mean 'prices'?",
    )


def test_an_upstream_that_has_no_flow() -> None:
    assert problems(dataset("signal", "delta")) == (
        "signal: upstream 'delta' is a store, which has no flow to wait for",
    )


def test_an_upstream_flow_that_does_not_exist() -> None:
    assert problems(dataset("signal", {"instance": "prices", "flow": "train"}), dataset("prices")) == (
        "signal: upstream 'prices' has no flow 'train'; it has: refresh",
    )


def test_a_role_that_is_not_accepted() -> None:
    assert problems(dataset("s", "prices", {"instance": "prices", "role": "covariance"}), dataset("prices")) == (
        "s: pipeline expression@1 accepts no upstream in the role 'covariance'; it accepts: input, universe",
    )
    assert problems(dataset("s", "prices", pipeline_instance="csv"), dataset("prices")) == (
        "s: pipeline csv@2 accepts no upstream in the role 'input'; it accepts: none: it reads no other instance",
    )


def test_a_role_that_only_one_may_play() -> None:
    two = ({"instance": "a", "role": "universe"}, {"instance": "b", "role": "universe"})
    assert problems(dataset("s", "a", *two), dataset("a"), dataset("b")) == (
        "s: pipeline expression@1 accepts one upstream in the role 'universe', not 2",
    )


def test_a_required_role_that_nobody_plays() -> None:
    assert problems(dataset("s", pipeline_instance="expression")) == (
        "s: pipeline expression@1 needs an upstream in the role 'input': add one to upstream_refs",
    )


def test_a_required_role_can_not_be_optional() -> None:
    prices, other = {"instance": "a", "required": False}, {"instance": "b", "required": False}
    assert problems(dataset("s", prices, other), dataset("a"), dataset("b")) == (
        "s: upstream 'a' plays the required role 'input' of pipeline expression@1, so it can't be optional: "
        "leave `required` out",
    )
    assert len(flow_of(dataset("s", prices, "b"), dataset("a"), dataset("b")).edges) == 2


def test_an_upstream_that_is_named_twice_in_one_role() -> None:
    twice = dataset("s", "prices", {"instance": "prices", "max_age": "1d"})
    assert problems(twice, dataset("prices")) == (
        "s: upstream 'prices' is named 2 times in the role 'input': keep one of these upstream_refs",
    )


def test_an_upstream_may_play_two_roles() -> None:
    assert len(flow_of(dataset("s", "a", {"instance": "a", "role": "universe"}), dataset("a")).edges) == 2


def test_a_cycle_is_named_edge_by_edge() -> None:
    assert problems(dataset("a", "c"), dataset("b", "a"), dataset("c", "b"), dataset("outside", "c")) == (
        "the lineage has a cycle: a.refresh -> b.refresh -> c.refresh -> a.refresh; remove one of these upstream_refs",
    )
    assert problems(dataset("a", "a")) == (
        "the lineage has a cycle: a.refresh -> a.refresh; remove one of these upstream_refs",
    )


def test_all_problems_are_told_together() -> None:
    with pytest.raises(InvalidSpec) as caught:
        resolve(
            [component("p", "pipeline", "cvs"), dataset("a", "b"), dataset("b", "a"), dataset("b", "x")], DEFINITIONS
        )
    message = str(caught.value)
    assert message.startswith(f"{len(caught.value.problems)} problems, nothing was written:\n  - b: 2 instances have")
    for part in ("p: there is no pipeline", "'x' does not exist", "the lineage has a cycle: a.refresh -> b.refresh"):
        assert part in message


def test_one_problem_is_counted_as_one() -> None:
    assert str(InvalidSpec(["a: no"])) == "1 problem, nothing was written:\n  - a: no"


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20, unique=True))
def test_a_lineage_without_a_cycle_resolves_upstream_first(pairs: list[tuple[int, int]]) -> None:
    upward = [(min(p), max(p)) for p in pairs if p[0] != p[1]]
    specs = [dataset(f"d{n}", *sorted({f"d{up}" for up, down in upward if down == n})) for n in range(8)]
    order = [i.spec.name for i in resolved(*reversed(specs))]
    assert all(order.index(f"d{up}") < order.index(f"d{down}") for up, down in upward)


# Specs as they are stored


def test_a_spec_comes_back_as_the_type_that_it_was() -> None:
    specs = [*PARTS, dataset("prices"), signal("momentum", "prices", freshness={"max_age": hours(36)})]
    for spec in specs:
        back = spec_adapter.validate_json(spec.model_dump_json())
        assert back == spec
        assert type(back) is type(spec)
    assert type(spec_adapter.validate_python(specs[-1].model_dump())) is SignalInstanceSpec
