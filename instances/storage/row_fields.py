"""Rows as fields: what the row of an instance is to hold, and what it holds, in one form that a plan can compare."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Engine, select, union_all
from sqlalchemy.orm import Session, aliased

from definitions.contract import FlowKind
from instances.plans.plan import Fields
from instances.specification.fields import FlowSettings
from instances.specification.resolution import ResolvedFlow, ResolvedInstance
from instances.specification.specs import AnySpec, spec_adapter
from instances.storage.tables import DEFINED, EdgeRow, FlowRow, InstanceRow


def desired_row(instance: ResolvedInstance) -> Fields:
    """Return what the row of an instance is to hold."""
    fields = instance.spec.model_dump(mode="json", exclude={"name"})
    if instance.definition is not None:
        fields["applied_version"] = instance.definition.version
    return fields | {"flows": {flow.kind.value: _wanted_flow(flow) for flow in instance.flows}}


def _wanted_flow(flow: ResolvedFlow) -> Fields:
    reads = {
        f"{edge.upstream[0]}.{edge.upstream[1]} as {edge.ref.role}": {
            "required": edge.ref.required,
            "max_age_seconds": edge.ref.max_age.total_seconds() if edge.ref.max_age is not None else None,
        }
        for edge in flow.edges
    }
    return {"config_hash": flow.config_hash, "reads": reads}


def recorded_rows(engine: Engine) -> dict[str, Fields]:
    """Return what the rows of all instances hold, by name; four statements, whatever their number."""
    with Session(engine) as session:
        found: dict[str, dict[str, Any]] = {}
        for name, spec in session.execute(select(InstanceRow.name, InstanceRow.spec)):
            fields = spec if isinstance(spec, dict) else {}  # what is none is written anew
            found[name] = {field: value for field, value in fields.items() if field != "name"} | {"flows": {}}
        versions = union_all(*(select(row.name, row.definition_version) for row in DEFINED))
        for name, version in session.execute(versions):
            found[name]["applied_version"] = version
        reads = _reads(session)
        flows = select(InstanceRow.name, FlowRow.kind, FlowRow.id, FlowRow.config_hash, FlowRow.settings)
        for name, kind, flow_id, config_hash, settings in session.execute(flows.join(FlowRow.instance)):
            damaged = {} if readable_settings(settings) else {"settings": "can't be read"}
            found[name]["flows"][kind] = {"config_hash": config_hash, "reads": reads[flow_id]} | damaged
    return dict(found)


def readable_settings(stored: object) -> FlowSettings | None:
    """Return the settings of a flow as its row has them; None where they can't be read."""
    try:
        return FlowSettings.model_validate(stored)
    except ValidationError:
        return None


def recorded_spec(name: str, fields: Fields) -> AnySpec | None:
    """Return the spec of an instance as its row has it; None where that can't be read."""
    own = {field: value for field, value in fields.items() if field not in {"flows", "applied_version"}}
    try:
        return spec_adapter.validate_python(own | {"name": name})
    except ValidationError:
        return None


def without_flows(rows: Mapping[str, Fields], flows: Iterable[tuple[str, FlowKind]]) -> dict[str, Fields]:
    """Return the rows without some of their flows, which are deleted in steps of their own."""
    left = dict(rows)
    for name, kind in flows:
        kept = {key: value for key, value in left[name]["flows"].items() if key != kind}
        left[name] = left[name] | {"flows": kept}
    return left


def _reads(session: Session) -> defaultdict[Any, dict[str, Any]]:
    upstream = aliased(FlowRow)
    statement = (
        select(EdgeRow, InstanceRow.name, upstream.kind)
        .join(upstream, upstream.id == EdgeRow.upstream_flow_id)
        .join(InstanceRow, InstanceRow.id == upstream.instance_id)
    )
    reads: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    for edge, name, kind in session.execute(statement):
        reads[edge.flow_id][f"{name}.{kind} as {edge.role}"] = {
            "required": edge.required,
            "max_age_seconds": edge.max_age.total_seconds() if edge.max_age is not None else None,
        }
    return reads
