"""Resolution: from what the user describes to what must exist, checked as a whole.

All problems are found together, before anything is written.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from definitions.contract import Definition, FlowKind, Kind, Resources, Role
from definitions.errors import DefinitionError
from definitions.known_words import unknown_word
from definitions.work.flow_spec import OWN, FlowSpec
from instances.errors import InvalidSpec, Problem, first_names
from instances.specification.fields import UpstreamRef
from instances.specification.plugins import ConfiguredDefinition, Definitions, configured
from instances.specification.shapes import SHAPES, Output
from instances.specification.specs import AnySpec, BacktestSpec, DefinedSpec, RunnableSpec, SignalInstanceSpec
from instances.specification.types import KEEPING, part_names, type_of, with_names
from instances.world.lineage import find_cycle, topological
from instances.world.wording import a
from research.errors import did_you_mean, nearest

FlowKey = tuple[str, FlowKind]


@dataclass(frozen=True)
class ResolvedEdge:
    """An edge of the lineage, flow to flow, by names."""

    upstream: FlowKey
    ref: UpstreamRef


@dataclass(frozen=True)
class ResolvedFlow:
    """A flow that must exist; `config_hash` changes when what its runs compute from changes.

    `brought` is what its definition says of it where it is a flow of a package's own.
    """

    instance: str
    kind: FlowKind
    config_hash: str
    edges: tuple[ResolvedEdge, ...]
    brought: FlowSpec | None = None

    @property
    def key(self) -> FlowKey:
        return self.instance, self.kind


@dataclass(frozen=True)
class ResolvedInstance:
    """An instance that must exist, with its definition and its parsed config if it names one itself.

    `kept_as` is the name under which what it leaves is kept: its own, unless it was renamed.
    """

    spec: AnySpec
    configured: ConfiguredDefinition | None
    flows: tuple[ResolvedFlow, ...]
    kept_as: str

    @property
    def definition(self) -> Definition | None:
        return self.configured.definition if self.configured is not None else None


@dataclass(frozen=True)
class Resolution:
    """What must exist of all that is described, as far as it is sound, and what is wrong with the rest."""

    instances: tuple[ResolvedInstance, ...]
    problems: tuple[Problem, ...]


def resolve(
    specs: Sequence[AnySpec],
    definitions: Definitions,
    *,
    resources: Resources | None = None,
    sources: Collection[str] = (),
) -> tuple[ResolvedInstance, ...]:
    """Check the specs as a whole and return what must exist, parts first, then upstream flows' instances first.

    With `resources` the pipelines named in `sources` are also asked whether their source looks usable.
    Raises `InvalidSpec` with every problem found.
    """
    found = resolution(specs, definitions, resources=resources, sources=sources)
    if found.problems:
        raise InvalidSpec(found.problems)
    return found.instances


def resolution(
    specs: Sequence[AnySpec],
    definitions: Definitions,
    *,
    resources: Resources | None = None,
    sources: Collection[str] = (),
    broken: Collection[str] = (),
    kept_as: Mapping[str, str] | None = None,
) -> Resolution:
    """Check the specs as a whole as `resolve` does, and go on with those that are sound.

    `broken` names instances that are described too, though in a way that can't be read. `kept_as` has the names under
    which what instances leave is kept, where these are not their own: by them a configuration is known, so that
    it stays the same when an instance is renamed.
    """
    described = _Descriptions({spec.name: spec for spec in specs}, {}, frozenset(broken), kept_as or {})
    found = [*_duplicates(specs)]
    for spec in specs:
        if isinstance(spec, DefinedSpec):
            try:
                asked = resources if spec.name in sources else None
                described.found[spec.name] = _configured(spec, definitions, asked)
            except DefinitionError as error:
                found.append((spec.name, f"{spec.name}: {error}"))
    for spec in specs:
        found.extend((spec.name, problem) for problem in _part_problems(spec, described))
        if isinstance(spec, RunnableSpec):
            found.extend((spec.name, problem) for problem in _upstream_problems(spec, described))
        if isinstance(spec, BacktestSpec):
            found.extend((spec.name, problem) for problem in _entity_problems(spec, described))
    flows = [
        ((spec.name, kind), tuple(described.edges(spec, kind)))
        for spec in specs
        if isinstance(spec, RunnableSpec)
        for kind in described.flow_kinds(spec)
    ]
    found.extend(_cycle_problems(flows))
    edges = dict(flows)  # of two instances with one name neither is sound
    unsound = {name for name, _ in found}
    sound = described.specs.keys() - unsound
    resolved = {
        spec.name: ResolvedInstance(
            spec=spec,
            configured=described.found.get(spec.name),
            flows=tuple(_flow(spec, kind, edges[spec.name, kind], described) for kind in described.flow_kinds(spec)),
            kept_as=described.known_as(spec.name),
        )
        for spec in specs
        if spec.name in sound and sound.issuperset(part_names(spec))
    }
    # A cycle is told once, in the words that each of its flows would have.
    problems = tuple(dict.fromkeys(Problem(name, text) for name, text in found))
    return Resolution(tuple(resolved[name] for name in _upstream_first(resolved)), problems)


@dataclass(frozen=True)
class _Descriptions:
    """All specs by name, and the definitions that could be found and configured, by the instance that names them.

    `broken` are names of further instances, of which no more is known. `kept_as` are the names by which the
    configuration of others knows some of them.
    """

    specs: Mapping[str, AnySpec]
    found: dict[str, ConfiguredDefinition]
    broken: frozenset[str]
    kept_as: Mapping[str, str]

    def known_as(self, name: str) -> str:
        """Return the name by which a configuration knows an instance, whatever it is called now."""
        return self.kept_as.get(name, name)

    def defining(self, spec: AnySpec) -> Definition | None:
        """Return the definition that decides on an instance's flows and roles; None if there is none."""
        field = type_of(spec).defining_part
        found = self.found.get(spec.name if field is None else getattr(spec, field))
        return found.definition if found is not None else None

    def entities(self, name: str) -> tuple[str, ...] | None:
        """Return all that the rows of a dataset can be of; None where that is not known."""
        spec = self.specs.get(name)
        field = type_of(spec).defining_part if spec is not None else None
        found = self.found.get(getattr(spec, field)) if field is not None else None
        return found.entities if found is not None else None

    def flow_kinds(self, spec: AnySpec) -> tuple[FlowKind, ...]:
        """Return the flows of an instance: those of its type that its definition calls for, then those it brings."""
        definition = self.defining(spec)
        own = tuple(k for k in type_of(spec).flows if definition is None or k in definition.flows)
        return (*own, *(each.flow_kind for each in self.flow_specs(spec)))

    def flow_specs(self, spec: AnySpec) -> tuple[FlowSpec, ...]:
        """Return the flows that the definition of an instance brings beside those of its type."""
        definition = self.defining(spec) if isinstance(spec, RunnableSpec) else None
        return definition.flow_specs if definition is not None else ()

    def roles(self, spec: AnySpec) -> tuple[Role, ...] | None:
        """Return the roles that its upstreams can play; None when that is not known."""
        instance_type, definition = type_of(spec), self.defining(spec)
        if definition is not None:
            return definition.roles
        return None if instance_type.defining_part or instance_type.defined_by else instance_type.roles

    def made_by(self, name: str) -> FlowKind | None:
        """Return the flow that makes an instance's rows."""
        spec = self.specs.get(name)
        kinds = self.flow_kinds(spec) if spec is not None else ()
        return next((kind for kind in kinds if SHAPES[kind].leaves is Output.ROWS), None)

    def edges(self, spec: RunnableSpec, kind: FlowKind) -> Iterator[ResolvedEdge]:
        """Yield the edges of a flow, those to other flows of its instance last; unknown upstreams are left out."""
        shape = SHAPES[kind]
        for ref in spec.references():
            upstream = ref.flow or self.made_by(ref.instance)
            if upstream is not None and (shape.roles is None or ref.role in shape.roles):
                yield ResolvedEdge((ref.instance, upstream), ref)
        for own in shape.own_edges:
            max_age = getattr(spec, own.max_age_field) if own.max_age_field else None
            ref = UpstreamRef(instance=spec.name, flow=own.upstream, role=own.role, max_age=max_age)
            yield ResolvedEdge((spec.name, own.upstream), ref)
        if not kind.built_in and (rows := self.made_by(spec.name)) is not None:
            yield ResolvedEdge((spec.name, rows), UpstreamRef(instance=spec.name, flow=rows, role=OWN))


def _duplicates(specs: Iterable[AnySpec]) -> list[tuple[str, str]]:
    counts = Counter(spec.name for spec in specs)
    return [
        (
            name,
            f"{name}: {count} instances have this name ({', '.join(s.type for s in specs if s.name == name)}); "
            "names are unique over all types: rename all but one",
        )
        for name, count in counts.items()
        if count > 1
    ]


def _configured(spec: DefinedSpec, definitions: Definitions, resources: Resources | None) -> ConfiguredDefinition:
    """Return the definition that a spec names, configured; with `resources` a pipeline's source is looked at too."""
    found = configured(spec, definitions)
    if resources is not None and found.definition.kind is Kind.PIPELINE:
        found.plugin(resources).check()
    return found


def _unfit_parts(spec: AnySpec, described: _Descriptions) -> Iterable[str]:
    """Yield why a part is not for the rows that the pipeline brings, where their columns are known already."""
    parts = {type_: described.found.get(getattr(spec, field)) for field, type_ in type_of(spec).parts.items()}
    pipeline = parts.get("pipeline")
    columns = pipeline.columns if pipeline is not None else None
    for part in (parts.get(type_) for type_ in KEEPING):
        if part is not None and columns is not None and (problem := part.unfit(columns)):
            yield f"{spec.name}: {problem}"


def _entity_problems(spec: BacktestSpec, described: _Descriptions) -> Iterator[str]:
    """Yield which entities a backtest names that there are none of, where those of a dataset are known already."""
    for field, instance, named in spec.entities_by_field():
        known = described.entities(instance)
        unknown = [name for name in named if known is not None and name not in known]
        if unknown:
            yield (
                f"{spec.name}: {field}: {instance} has no {first_names(unknown)}; its entities are "
                f"{first_names(known or ())}.{did_you_mean(unknown[0], known or ())}"
            )
    benchmark = spec.benchmark
    several = described.entities(benchmark.instance) if benchmark is not None and benchmark.entity is None else None
    if benchmark is not None and several is not None and len(several) > 1:
        yield (
            f"{spec.name}: benchmark: {benchmark.instance} has {len(several)} entities: choose one, "
            f"like {{instance: {benchmark.instance}, entity: {several[0]}}}"
        )


def _part_problems(spec: AnySpec, described: _Descriptions) -> Iterable[str]:
    yield from _unfit_parts(spec, described)
    for field, wanted in type_of(spec).parts.items():
        name = getattr(spec, field)
        part = described.specs.get(name)
        if part is None:
            if name not in described.broken:
                yield f"{spec.name}: {field} {name!r} does not exist; {_hint(name, described, wanted)}"
        elif part.type != wanted:
            yield f"{spec.name}: {field} {name!r} is {a(part.type)}, not {a(wanted)}"


def _hint(name: str, described: _Descriptions, wanted: str | None = None) -> str:
    fitting = (lambda s: s.type == wanted) if wanted else (lambda s: isinstance(s, RunnableSpec))
    names = sorted(n for n, s in described.specs.items() if fitting(s))
    near = nearest(name, names)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"describe it, or choose one of: {', '.join(names) or 'none yet'}"


def _upstream_problems(spec: AnySpec, described: _Descriptions) -> Iterator[str]:
    assert isinstance(spec, RunnableSpec)
    for ref in spec.references():
        if problem := _reference_problem(ref, described):
            yield f"{spec.name}: upstream {ref.instance!r} {problem}"
    for (name, role), count in Counter((ref.instance, ref.role) for ref in spec.references()).items():
        if count > 1:
            yield (
                f"{spec.name}: upstream {name!r} is named {count} times in the role {role!r}: "
                "keep one of these upstream_refs"
            )
    roles, definition = described.roles(spec), described.defining(spec)
    who = definition.ref if definition is not None else a(spec.type)
    if roles is not None:
        yield from _role_problems(spec, roles, who)
    yield from _unknown_flows(spec, described)
    flows = type_of(spec).flows
    if not described.flow_kinds(spec):
        yield f"{spec.name}: {who} calls for no {' or '.join(flows)} flow, which {a(spec.type)} needs"


def _unknown_flows(spec: AnySpec, described: _Descriptions) -> Iterator[str]:
    """Yield what is wrong with settings of flows that no definition brings."""
    brought = [each.kind for each in described.flow_specs(spec)]
    assert isinstance(spec, RunnableSpec)
    if described.defining(spec) is None and type_of(spec).flows and not isinstance(spec, BacktestSpec):
        return  # that it is unknown is told already
    for kind in spec.definition_flows.keys() - brought:
        told = unknown_word(kind, brought) if brought else "its definition brings no flow of its own: leave it out"
        yield f"{spec.name}: definition_flows.{kind}: {told}"


def _reference_problem(ref: UpstreamRef, described: _Descriptions) -> str | None:
    upstream = described.specs.get(ref.instance)
    if upstream is None:
        return None if ref.instance in described.broken else f"does not exist; {_hint(ref.instance, described)}"
    kinds = described.flow_kinds(upstream)
    if not isinstance(upstream, RunnableSpec):
        return f"is {a(upstream.type)}, which has no flow to wait for"
    if ref.flow is not None and ref.flow not in kinds:
        return f"has no flow {ref.flow.value!r}; it has: {', '.join(kinds)}"
    if ref.flow is not None and SHAPES[ref.flow].leaves is not Output.ROWS:
        return f"leaves no rows with its flow {ref.flow.value!r}; leave `flow` out, or name one that does"
    if kinds and ref.flow is None and described.made_by(ref.instance) is None:
        return f"is {a(upstream.type)}, which leaves no rows to read"
    return None


def _role_problems(spec: RunnableSpec, accepted: Iterable[Role], who: str) -> Iterator[str]:
    roles = {role.name: role for role in accepted}
    counts = Counter(ref.role for ref in spec.references())
    for name, count in counts.items():
        if name not in roles:
            listed = ", ".join(roles) or "none: it reads no other instance"
            yield f"{spec.name}: {who} accepts no upstream in the role {name!r}; it accepts: {listed}"
        elif count > 1 and not roles[name].many:
            yield f"{spec.name}: {who} accepts one upstream in the role {name!r}, not {count}"
    for role in roles.values():
        played = [ref for ref in spec.references() if ref.role == role.name]
        if role.required and not played:
            yield f"{spec.name}: {who} needs an upstream in the role {role.name!r}: add one to upstream_refs"
        elif role.required and not any(ref.required for ref in played):
            yield (
                f"{spec.name}: upstream {played[0].instance!r} plays the required role {role.name!r} of {who}, "
                "so it can't be optional: leave `required` out"
            )


def _cycle_problems(flows: Iterable[tuple[FlowKey, Iterable[ResolvedEdge]]]) -> Iterator[tuple[str, str]]:
    cycle = find_cycle((".".join(edge.upstream), ".".join(flow)) for flow, edges in flows for edge in edges)
    for flow in cycle or ():
        name = flow.partition(".")[0]
        yield name, f"the lineage has a cycle: {' -> '.join(cycle or ())}; remove one of these upstream_refs"


def _without_added(fields: dict[str, Any], added: Mapping[str, object]) -> dict[str, Any]:
    """Return fields without those that came later and mean what was before them."""
    for place, before in added.items():
        group, _, name = place.partition(".")
        if isinstance(fields.get(group), dict) and fields[group].get(name, ...) == before:
            fields = {**fields, group: {key: value for key, value in fields[group].items() if key != name}}
    return fields


def _flow(spec: AnySpec, kind: FlowKind, edges: tuple[ResolvedEdge, ...], described: _Descriptions) -> ResolvedFlow:
    shape = SHAPES[kind]
    fields = spec.model_dump(mode="json", include={"type", *shape.computed_from}, exclude=dict(shape.for_readers))
    known = with_names(_without_added(fields, shape.added), described.kept_as)
    content = {
        "flow": {field: value for field, value in known.items() if field in shape.computed_from},
        "reads": [
            [described.known_as(edge.upstream[0]), edge.upstream[1], edge.ref.role, edge.ref.required] for edge in edges
        ],
        "parts": {field: _content(getattr(spec, field), described) for field in type_of(spec).parts},
    }
    if neutral := _neutral_values(edges, shape.neutral_of, described):
        content["neutral"] = neutral
    if shape.by_definition and spec.name in described.found:
        content["definition"] = _content(spec.name, described)
    config_hash = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    brought = next((each for each in described.flow_specs(spec) if each.flow_kind is kind), None)
    return ResolvedFlow(spec.name, kind, config_hash, edges, brought)


def _neutral_values(
    edges: Iterable[ResolvedEdge], roles: Collection[str], described: _Descriptions
) -> dict[str, float]:
    """Return the neutral values of the signals that play one of these roles."""
    specs = [described.specs.get(edge.upstream[0]) for edge in edges if edge.ref.role in roles]
    return {
        described.known_as(spec.name): spec.signal_spec.neutral
        for spec in specs
        if isinstance(spec, SignalInstanceSpec)
    }


def _content(name: str, described: _Descriptions) -> dict[str, Any]:
    """Return what an instance's own definition and config say, defaults filled in."""
    found = described.found[name]
    content = {"definition": found.definition.ref, "config": found.config}
    return content | ({"uses": list(uses)} if (uses := found.uses) else {})


def _upstream_first(instances: Mapping[str, ResolvedInstance]) -> Iterator[str]:
    """Yield the names of all instances: parts first, then each after those that its flows read, where it can be."""
    parents = {
        name: [edge.upstream[0] for flow in instance.flows for edge in flow.edges]
        for name, instance in instances.items()
        if instance.flows
    }
    yield from (name for name in instances if name not in parents)
    places = {name: f"{place:06}" for place, name in enumerate(instances)}
    yield from topological(parents, key=places.__getitem__)
