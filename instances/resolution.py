"""Resolution: from what the user describes to what must exist, checked as a whole.

All problems are found together, before anything is written.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

from pydantic import TypeAdapter

from definitions.contract import Definition, FlowKind, Kind, Resources
from definitions.errors import DefinitionError
from instances.errors import InvalidSpec
from instances.lineage import find_cycle
from instances.specs import AnySpec, ComponentSpec, DatasetSpec, RunnableSpec, SignalInstanceSpec, UpstreamRef
from instances.wording import a

spec_adapter: TypeAdapter[ComponentSpec | DatasetSpec | SignalInstanceSpec] = TypeAdapter(AnySpec)

# The fields of a spec that decide what a run computes; schedules, tags and policies don't count.
COMPUTED_FROM = ("upstream_refs", "signal_spec")
PARTS = {"pipeline_instance": "pipeline", "store_instance": "store", "accessor_instance": "accessor"}


class Definitions(Protocol):
    """Where definitions are looked up; the registry is one."""

    def get(self, kind: Kind, name: str, version: int | None = None) -> Definition: ...


@dataclass(frozen=True)
class ResolvedEdge:
    """An edge of the lineage, flow to flow, by names."""

    upstream: tuple[str, FlowKind]
    ref: UpstreamRef


@dataclass(frozen=True)
class ResolvedFlow:
    """A flow that must exist; `config_hash` changes when what its runs compute from changes."""

    instance: str
    kind: FlowKind
    config_hash: str
    edges: tuple[ResolvedEdge, ...]

    @property
    def key(self) -> tuple[str, FlowKind]:
        return self.instance, self.kind


@dataclass(frozen=True)
class ResolvedInstance:
    """An instance that must exist, with its definition if it is a component."""

    spec: ComponentSpec | DatasetSpec
    definition: Definition | None
    flows: tuple[ResolvedFlow, ...]


def resolve(
    specs: Sequence[ComponentSpec | DatasetSpec],
    definitions: Definitions,
    *,
    resources: Resources | None = None,
    sources: Collection[str] = (),
) -> tuple[ResolvedInstance, ...]:
    """Check the specs as a whole and return what must exist, upstream instances first.

    With `resources` the pipelines named in `sources` are also asked whether their source looks usable.
    Raises `InvalidSpec` with every problem found.
    """
    problems = _duplicates(specs)
    by_name = {spec.name: spec for spec in specs}
    found: dict[str, Definition] = {}
    for spec in specs:
        if isinstance(spec, ComponentSpec):
            try:
                found[spec.name] = _definition(spec, definitions, resources if spec.name in sources else None)
            except DefinitionError as error:
                problems.append(f"{spec.name}: {error}")
    runnable = [spec for spec in specs if isinstance(spec, DatasetSpec)]
    for spec in runnable:
        problems.extend(_part_problems(spec, by_name))
        problems.extend(_upstream_problems(spec, by_name, found))
    problems.extend(_cycle_problems(runnable))
    if problems:
        raise InvalidSpec(problems)
    resolved = [
        ResolvedInstance(
            spec=spec,
            definition=found.get(spec.name),
            flows=_flows(spec, by_name, found) if isinstance(spec, DatasetSpec) else (),
        )
        for spec in specs
    ]
    return tuple(_upstream_first(resolved))


def _duplicates(specs: Iterable[ComponentSpec | DatasetSpec]) -> list[str]:
    counts = Counter(spec.name for spec in specs)
    return [
        f"{name}: {count} instances have this name ({', '.join(s.type for s in specs if s.name == name)}); "
        "names are unique over all types: rename all but one"
        for name, count in counts.items()
        if count > 1
    ]


def _definition(spec: ComponentSpec, definitions: Definitions, resources: Resources | None) -> Definition:
    definition = definitions.get(Kind(spec.type), spec.definition, spec.definition_version)
    parameters = definition.parse(spec.config)
    if resources is not None and definition.kind is Kind.PIPELINE:
        definition.factory(parameters, resources).check()
    return definition


def _part_problems(spec: DatasetSpec, by_name: Mapping[str, ComponentSpec | DatasetSpec]) -> Iterable[str]:
    for field, wanted in PARTS.items():
        name = getattr(spec, field)
        part = by_name.get(name)
        if part is None:
            yield f"{spec.name}: {field} {name!r} does not exist; {_hint(name, by_name, wanted)}"
        elif part.type != wanted:
            yield f"{spec.name}: {field} {name!r} is {a(part.type)}, not {a(wanted)}"


def _hint(name: str, by_name: Mapping[str, ComponentSpec | DatasetSpec], wanted: str | None = None) -> str:
    names = sorted(n for n, s in by_name.items() if wanted is None or s.type == wanted)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"describe it, or choose one of: {', '.join(names) or 'none yet'}"


def flow_kinds(spec: DatasetSpec, found: Mapping[str, Definition]) -> tuple[FlowKind, ...]:
    """Return the flows that the spec's definition calls for."""
    definition = found.get(spec.pipeline_instance)
    return definition.flows if definition else (FlowKind.REFRESH,)


def _upstream_problems(
    spec: DatasetSpec,
    by_name: Mapping[str, ComponentSpec | DatasetSpec],
    found: Mapping[str, Definition],
) -> Iterable[str]:
    data_sets = {n: s for n, s in by_name.items() if isinstance(s, RunnableSpec)}
    for ref in spec.upstream_refs:
        upstream = by_name.get(ref.instance)
        if upstream is None:
            yield f"{spec.name}: upstream {ref.instance!r} does not exist; {_hint(ref.instance, data_sets)}"
        elif not isinstance(upstream, DatasetSpec):
            yield f"{spec.name}: upstream {ref.instance!r} is {a(upstream.type)}, which has no flow to wait for"
        elif ref.flow is not None and ref.flow not in flow_kinds(upstream, found):
            kinds = ", ".join(flow_kinds(upstream, found))
            yield f"{spec.name}: upstream {ref.instance!r} has no flow {ref.flow.value!r}; it has: {kinds}"
    for (name, role), count in Counter((ref.instance, ref.role) for ref in spec.upstream_refs).items():
        if count > 1:
            yield (
                f"{spec.name}: upstream {name!r} is named {count} times in the role {role!r}: "
                "keep one of these upstream_refs"
            )
    if (definition := found.get(spec.pipeline_instance)) is not None:
        yield from _role_problems(spec, definition)
        if FlowKind.REFRESH not in definition.flows:
            yield f"{spec.name}: {definition.ref} calls for no refresh flow, so nothing would ever make its data"


def _role_problems(spec: DatasetSpec, definition: Definition) -> Iterable[str]:
    roles = {role.name: role for role in definition.roles}
    counts = Counter(ref.role for ref in spec.upstream_refs)
    for name, count in counts.items():
        if name not in roles:
            accepted = ", ".join(roles) or "none: it reads no other instance"
            yield f"{spec.name}: {definition.ref} accepts no upstream in the role {name!r}; it accepts: {accepted}"
        elif count > 1 and not roles[name].many:
            yield f"{spec.name}: {definition.ref} accepts one upstream in the role {name!r}, not {count}"
    for role in roles.values():
        if role.required and role.name not in counts:
            yield (
                f"{spec.name}: {definition.ref} needs an upstream in the role {role.name!r}: add one to upstream_refs"
            )


def _cycle_problems(specs: Iterable[DatasetSpec]) -> Iterable[str]:
    cycle = find_cycle((ref.instance, spec.name) for spec in specs for ref in spec.upstream_refs)
    if cycle:
        yield (
            "the lineage has a cycle: "
            + " -> ".join(f"{name}.{FlowKind.REFRESH}" for name in cycle)
            + "; remove one of these upstream_refs"
        )


def _flows(
    spec: DatasetSpec,
    by_name: Mapping[str, ComponentSpec | DatasetSpec],
    found: Mapping[str, Definition],
) -> tuple[ResolvedFlow, ...]:
    edges = tuple(ResolvedEdge((ref.instance, ref.flow or FlowKind.REFRESH), ref) for ref in spec.upstream_refs)
    content = {
        "flow": spec.model_dump(mode="json", include=set(COMPUTED_FROM)),
        "parts": {field: _part_content(by_name[getattr(spec, field)], found) for field in PARTS},
    }
    config_hash = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return tuple(ResolvedFlow(spec.name, kind, config_hash, edges) for kind in flow_kinds(spec, found))


def _part_content(part: ComponentSpec | DatasetSpec, found: Mapping[str, Definition]) -> dict[str, Any]:
    definition = found[part.name]
    assert isinstance(part, ComponentSpec)
    parameters = definition.parse(part.config)
    content = {"definition": definition.ref, "config": parameters.model_dump(mode="json")}
    return content | ({"uses": list(uses)} if (uses := definition.uses(parameters)) else {})


def _upstream_first(instances: Sequence[ResolvedInstance]) -> list[ResolvedInstance]:
    parts = [i for i in instances if isinstance(i.spec, ComponentSpec)]
    waiting = {i.spec.name: i for i in instances if isinstance(i.spec, DatasetSpec)}
    ordered: list[ResolvedInstance] = []
    placed: set[str] = set()
    while waiting:
        ready = [
            name
            for name, instance in waiting.items()
            if all(edge.upstream[0] in placed for flow in instance.flows for edge in flow.edges)
        ]
        ordered.extend(waiting.pop(name) for name in ready)
        placed.update(ready)
    return parts + ordered
