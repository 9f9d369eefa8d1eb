"""What a plan leaves out: instances with something wrong, and all that reads them; nothing else.

What is left out stays as it was applied, and so does what it was applied with.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from flows.planning.resources.resource import Record
from instances.errors import Problem
from instances.plans.usage import uses_of
from instances.specification.resolution import ResolvedInstance
from instances.specification.specs import AnySpec
from instances.specification.types import TYPES, in_place, part_names


def named_in(problems: Iterable[str]) -> set[str]:
    """Return the instances that these problems are problems of."""
    return {problem.instance for problem in problems if isinstance(problem, Problem)}


def of_the_whole(problems: Iterable[str]) -> list[str]:
    """Return the problems that no instance alone can be held back for."""
    return [problem for problem in problems if not isinstance(problem, Problem)]


def sound(
    instances: Sequence[ResolvedInstance],
    described: Sequence[AnySpec],
    left_out: Collection[str],
    blocks: Collection[str],
) -> tuple[ResolvedInstance, ...]:
    """Return the instances that are planned all the same: none of `left_out`, and none that reads one of those.

    A part goes with the instance that it is described inside, unless it has a block of its own (`blocks`) or
    another instance uses it.
    """
    kept = {instance.spec.name: instance for instance in instances if instance.spec.name not in left_out}
    known = {spec.name for spec in described} | set(left_out)
    while True:
        missing = known - kept.keys()
        readers = [
            name
            for name, instance in kept.items()
            if not missing.isdisjoint(name for name, _ in uses_of(instance.spec))
        ]
        if not readers:
            break
        for name in readers:
            del kept[name]
    used = {part for instance in kept.values() for part in part_names(instance.spec)}
    specs = {spec.name: spec for spec in described}
    inside = {part.name for spec in described if spec.name not in kept for part in in_place(spec, specs).values()} - {
        *used,
        *blocks,
    }
    return tuple(instance for name, instance in kept.items() if name not in inside)


def held_with(described: Iterable[AnySpec], planned: Collection[str], problems: Iterable[str]) -> tuple[str, ...]:
    """Return the instances that are left out for the problems of others; parts go without saying with their whole."""
    specs = {spec.name: spec for spec in described}
    inside = {part.name for spec in specs.values() for part in in_place(spec, specs).values()}
    return tuple(sorted(specs.keys() - inside - set(planned) - named_in(problems)))


def needed(names: Collection[str], record: Record) -> dict[str, str]:
    """Return, of what is on record, all that these instances were applied with, each with an instance that reads it."""
    instances = {flow.flow_id: flow.instance for flow in record.flows}
    reads: dict[str, set[str]] = {name: set(recorded_parts(fields)) for name, fields in record.rows.items()}
    for flow in record.flows:
        above = {instances[edge.upstream] for edge in flow.edges if edge.upstream in instances}
        reads.setdefault(flow.instance, set()).update(above - {flow.instance})
    found: dict[str, str] = {}
    waiting = [name for name in names if name in reads]
    while waiting:
        reader = waiting.pop()
        for name in reads.get(reader, set()) - found.keys():
            found[name] = reader
            waiting.append(name)
    return found


def recorded_parts(fields: Mapping[str, object]) -> Iterator[str]:
    """Yield the names of an instance's parts, as its row has them."""
    instance_type = TYPES.get(str(fields.get("type")))
    for field in instance_type.parts if instance_type is not None else ():
        if isinstance(part := fields.get(field), str):
            yield part
