"""The tables that a new type of instance or kind of flow goes into cover each other."""

from typing import get_args

import blocks
from blocks.base import InstanceBlock
from definitions.builtin import definitions
from definitions.contract import FlowKind, Kind
from definitions.work.outcome import Outcome
from flows.planning.block_writer import BLOCK_OF
from flows.planning.deployment_spec import flow_function
from instances.specification.shapes import SHAPES, Output
from instances.specification.specs import AnySpec, InstanceSpec
from instances.specification.types import TYPES
from instances.storage.handle_columns import HandleKind, data_handles, handles_of
from instances.storage.tables import ROWS

OF_THE_LANGUAGE = {Kind.OPERATOR, Kind.MACRO}  # what expressions are written in; no instance is configured with one


def specs() -> dict[str, type[InstanceSpec]]:
    """Return the specs that a document can hold, by the type that it names."""
    union, _ = get_args(AnySpec)
    return {name: spec for spec in get_args(union) for name in _types(spec)}


def _types(spec: type[InstanceSpec]) -> tuple[str, ...]:
    return get_args(spec.model_fields["type"].annotation)


def test_every_type_has_a_spec_a_row_and_a_block() -> None:
    exported = [getattr(blocks, name) for name in blocks.__all__]
    of_instances = [block for block in exported if issubclass(block, InstanceBlock)]
    assert {name: each.spec for name, each in TYPES.items()} == specs()
    assert set(ROWS) == set(TYPES)
    assert sorted(block.instance_type for block in of_instances) == sorted(TYPES)
    assert set(of_instances) == set(BLOCK_OF.values())


def test_every_kind_of_flow_has_a_shape_a_flow_and_a_type() -> None:
    assert set(SHAPES) == set(FlowKind)
    assert {kind: flow_function(kind).name for kind in FlowKind} == {kind: kind.value for kind in FlowKind}
    assert {kind for each in TYPES.values() for kind in each.flows} == set(FlowKind)
    for kind, shape in SHAPES.items():
        for type_ in (each for each in TYPES.values() if kind in each.flows):
            spec = type_.spec.model_fields
            assert {own.max_age_field for own in shape.own_edges} - {None} <= set(spec)
            assert {own.upstream for own in shape.own_edges} <= set(type_.flows)
            if shape.leaves is Output.ROWS:
                assert set(data_handles(Outcome("1"))) == set(handles_of(ROWS[type_.name], HandleKind.DATA))


def test_every_kind_of_definition_is_of_a_type_or_of_the_language() -> None:
    defined = {each.defined_by for each in TYPES.values()} - {None}
    assert defined | OF_THE_LANGUAGE == set(Kind)
    called_for = {(d.kind, flow) for d in definitions() for flow in d.flows}
    allowed = {
        (kind, flow)
        for each in TYPES.values()
        for flow in each.flows
        for kind in (each.defined_by, each.defining_part and Kind.PIPELINE)
    }
    assert called_for <= allowed
